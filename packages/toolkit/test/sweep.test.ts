import { cp, readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { beforeAll, expect, test } from 'vitest';
import { writeOperatingPoint } from '../src/predict/operating-point-file.js';
import { refuseMixed } from '../src/run/evaluate-runs.js';
import type { RunPart } from '../src/run/predict-parts.js';
import { mdt, smallConfig, smallToy, temporaryFolder } from './support.js';

let folder = '';
let data = '';
let run = '';
const json = async (...path: string[]) => JSON.parse(await readFile(join(...path), 'utf8'));
const events = (out: string) =>
  out
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line));

beforeAll(async () => {
  folder = await temporaryFolder();
  data = join(folder, 'toy');
  run = join(folder, 'cross');
  await smallToy(data);
  const file = join(folder, 'cross.json');
  const config = smallConfig(data);
  const training = { ...config.training, epochs: 1 };
  await writeFile(file, JSON.stringify({ ...config, training, data: { dir: data, folds: { folds: 4 } } }));
  expect(await mdt('train', file, '--out', run, '--folds', '0,2')).toMatchObject({ code: 0 });
}, 60_000);

test('each fold is judged on its own cases: pooled, and as the mean over folds', async () => {
  const out = join(folder, 'judged');
  const { code, out: text } = await mdt('evaluate', '--run', run, '--folds', 'all', '--out', out, '--json');
  expect(code).toBe(0);
  const { models, folds, metrics } = events(text).at(-1);
  expect(models).toBe(1);
  expect(metrics.cases).toBe(4);
  expect(folds).toEqual(await json(out, 'folds.json'));
  expect(folds.perFold.map(({ fold, cases }: { fold: number; cases: number }) => [fold, cases])).toEqual([
    [0, 2],
    [2, 2],
  ]);
  const aps: number[] = folds.perFold.flatMap(({ ap }: { ap: number | null }) => ap ?? []);
  expect(folds.mean.ap).toBeCloseTo(aps.reduce((sum, ap) => sum + ap, 0) / aps.length, 12);
  expect(folds.pooled.ap).toBe(metrics.ap);

  // Cases of other folds were learnt from by the first.
  const tested = (await json(out, 'predictions.json')).cases.map(({ id }: { id: string }) => id);
  for (const [i, id] of tested.entries()) expect((await json(run, `fold-${i < 2 ? 0 : 2}`, 'split.json')).test).toContain(id);

  const part = (fold: number, ids: string[]) => ({ run: `fold-${fold}`, fold, part: { ids } }) as unknown as RunPart;
  expect(() => refuseMixed([part(0, ['a', 'b']), part(1, ['c', 'b'])])).toThrow(
    "case 'b' is judged by 'fold-0' and by 'fold-1', but each fold has to have cases of its own",
  );
});

test('on a hold-out set the folds predict together, each model counted once', async () => {
  const heldOut = join(folder, 'held-out');
  await cp(data, heldOut, { recursive: true });
  const out = join(folder, 'ensemble');
  const judged = await mdt('evaluate', '--run', run, '--data', heldOut, '--out', out, '--json');
  expect(events(judged.out).at(-1)).toMatchObject({ models: 2, metrics: { cases: 2 } });
  expect(await readdir(out)).not.toContain('folds.json');
  const image = join(data, 'test-00000.npy');
  const predicted = await mdt('predict', image, '--run', run, '--folds', '2', '--out', out, '--json');
  expect(events(predicted.out).at(-1)).toMatchObject({ models: 1 });
  const all = await mdt('predict', image, '--run', run, '--folds', 'all', '--out', out, '--json');
  expect(events(all.out).at(-1)).toMatchObject({ models: 2 });
  const twice = await mdt('predict', image, '--run', run, '--run', join(run, 'fold-0'), '--folds', '0', '--out', out);
  expect(twice).toMatchObject({ code: 2, err: expect.stringContaining('--folds is for one --run') });
  const absent = await mdt('predict', image, '--run', run, '--folds', '1', '--out', out);
  expect(absent).toMatchObject({ code: 3, err: expect.stringContaining('train fold 1 first') });
});

test('a sweep over the folds is stored with them and used from then on', async () => {
  const swept = await mdt('sweep', run, '--json', '--iou', '0.1');
  expect(swept).toMatchObject({ code: 0 });
  const steps = events(swept.out).filter(({ event }) => event === 'step');
  expect(steps.map(({ plan, step }) => `${plan} ${step}`)).toEqual([
    ...[1, 2, 3].map((k) => `mdt ${k}`),
    ...[1, 2, 3, 4, 5].map((k) => `nndetection ${k}`),
  ]);
  const point = await json(run, 'operating-point.json');
  const { cases, configured, checkpoints } = point.sweep;
  expect(cases).toBe(4); // the validation parts of both folds
  expect(point.ap).toBe(Math.max(configured.ap, ...steps.map(({ best }) => best.ap)));
  expect(checkpoints.map((path: string) => path.split('/')[0])).toEqual(['fold-0', 'fold-2']);

  // Again without a network, from what is stored.
  const again = await mdt('sweep', run, '--again', '--plan', 'mdt', '--iou', '0.1', '--json');
  expect(events(again.out).at(-1).point.sweep.configured).toEqual(configured);

  // A point that nothing can miss: sides from 1000 voxels on.
  await writeOperatingPoint(run, { method: 'nms', iouThreshold: 0.5, minSide: 1000, ap: 0, minScore: 0, f1: 0 });
  const image = join(data, 'test-00000.npy');
  const out = join(folder, 'pointed');
  const found = async (...args: string[]) => {
    const { code, err } = await mdt('predict', image, '--out', out, ...args);
    expect(code).toBe(0);
    const [{ detections }] = (await json(out, 'predictions.json')).cases;
    return [detections.length > 0, err.includes('operating point')];
  };
  expect(await found('--run', run)).toEqual([false, true]);
  expect(await found('--run', join(run, 'fold-0'))).toEqual([false, true]);
  expect(await found('--run', run, '--no-operating-point')).toEqual([true, false]);
  await writeFile(join(folder, 'other.json'), JSON.stringify({ ...point, minScore: 0 }));
  expect(await found('--run', run, '--operating-point', join(folder, 'other.json'))).toEqual([true, false]);
  expect(await mdt('evaluate', '--run', run, '--out', out)).toMatchObject({ code: 0 });
  expect(await json(out, 'metrics.json')).toMatchObject({
    operatingPoint: { minScore: 0, truePositives: 0, falsePositives: 0, precision: null, recall: 0 },
  });
  const bad = await mdt('predict', image, '--run', run, '--operating-point', join(data, 'dataset.json'), '--out', out);
  expect(bad).toMatchObject({ code: 3, err: expect.stringContaining('not an operating point') });
});
