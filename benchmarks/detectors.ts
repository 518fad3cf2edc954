// A training step and an inference of every detector in the original's LIDC (3D) and toy (2D) configurations, beside the Python
// toolkit itself: MDT_ORIGINAL=DIR names its checkout. All start from our weights; the toolkit's step also collects detections,
// as its training does. Memory is the peak of what the tensors held, ours by the engine's count, the toolkit's by PyTorch's
// profiler in the warm-up, and the peak of resident memory. Ours in float32 and in bfloat16 take turns with the toolkit.
// MDT_BENCH_TINY=1 shrinks the patches, to see that everything runs; --only 'mrcnn 3d step' --repeat 1 runs one case.
import type { Dim } from '@mdt/core';
import { benchmark, type Case, threads } from './harness.js';
import { nodeProcess, pythonPeer } from './process-contestant.js';
import { type OriginalModel, type RetinaCase, sharedPath, writeBatch } from './retina-case.js';

const original = process.env.MDT_ORIGINAL;
if (!original) throw new Error('benchmark detectors: MDT_ORIGINAL has to name a checkout of the Python toolkit');
const tiny = process.env.MDT_BENCH_TINY === '1';
const all: readonly OriginalModel[] = ['retina_net', 'retina_unet', 'mrcnn', 'ufrcnn', 'detection_unet'];
const settings: { dim: Dim; patchSize: number[]; batchSize: number }[] = [
  { dim: 3, patchSize: tiny ? [16, 64, 64] : [64, 128, 128], batchSize: 1 },
  { dim: 2, patchSize: tiny ? [64, 64] : [320, 320], batchSize: 4 },
];

const cases = settings.flatMap((setting) => {
  let batch: string | undefined;
  return all.flatMap((model) =>
    (['step', 'inference'] as const).map((direction): Case => {
      const weights = sharedPath(`weights-${model}-${setting.dim}d${tiny ? '-tiny' : ''}.safetensors`);
      const shared = { ...setting, model, direction, threads, weights };
      const aCase = (): RetinaCase => ({ ...shared, batch: (batch ??= writeBatch(setting)) });
      const ours = (precision: 'float32' | 'bfloat16') => () =>
        nodeProcess('ours', 'retina-ours.ts', { ...aCase(), precision })();
      const name = `${model} ${setting.dim}d${tiny ? ' tiny' : ''} ${direction}`;
      return {
        name: `${name} float32`,
        ours: ours('float32'),
        further: { [`${name} bfloat16`]: ours('bfloat16') },
        peers: [() => pythonPeer('original toolkit', ['original.py', original], aCase())()],
      };
    }),
  );
});

await benchmark('detectors', cases, { repeat: 3 });
