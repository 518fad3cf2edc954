// COCO's twelve numbers beside pycocotools, on the same files.
//
// `evaluate`: from cases in memory (pycocotools: two indexed COCO objects) to the twelve numbers.
// `files`: the same from the paths of the two JSON files, reading and indexing included.
import { readFileSync } from 'node:fs';
import { cocoOptions, cocoSummary, evaluateDetections, fromCocoJson } from '@mdt/eval-coco';
import { type CocoFiles, writeCocoFiles } from './evaluation-data.js';
import { benchmark, type Case, type Contestant } from './harness.js';
import { pythonPeer } from './process-contestant.js';

type Kind = 'bbox' | 'segm';

const ours = (files: () => CocoFiles, kind: Kind, fromFiles: boolean) => async (): Promise<Contestant> => {
  const paths = files();
  const read = () => {
    const parse = (path: string): unknown => JSON.parse(readFileSync(path, 'utf8'));
    return fromCocoJson(parse(paths.groundTruth), parse(paths.results), { masks: kind === 'segm' });
  };
  const ready = fromFiles ? undefined : read();
  return {
    name: 'ours',
    async run() {
      const started = performance.now();
      const { cases, classes } = ready ?? read();
      const shape = kind === 'segm' ? 'masks' : 'boxes';
      const summary = cocoSummary(evaluateDetections(cases, { classes, shape, ...cocoOptions }));
      return { seconds: (performance.now() - started) / 1000, outcome: `AP ${summary[0]!.toFixed(9)}` };
    },
    close: async () => {},
  };
};

const settings: { numImages: number; kind: Kind }[] = [
  { numImages: 5000, kind: 'bbox' },
  { numImages: 5000, kind: 'segm' },
];
const cases = settings.flatMap(({ numImages, kind }): Case[] => {
  let written: CocoFiles | undefined;
  const files = () => (written ??= writeCocoFiles(numImages, { masks: kind === 'segm' }));
  return [false, true].map((fromFiles) => ({
    name: `coco ${kind} ${numImages} images ${fromFiles ? 'files' : 'evaluate'}`,
    ours: ours(files, kind, fromFiles),
    peers: [() => pythonPeer('pycocotools 2.0.10', ['pycocotools_peer.py'], { ...files(), kind, fromFiles })()],
  }));
});

await benchmark('evaluation', cases, { repeat: 2, warmUp: 0 });
