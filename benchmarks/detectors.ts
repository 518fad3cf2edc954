// A training step and an inference of every detector in the original's LIDC (3D) and toy (2D) configurations, beside the Python
// toolkit itself: MDT_ORIGINAL=DIR names its checkout. All start from our weights; the toolkit's step also collects detections,
// as its training does. MDT_BENCH_TINY=1 shrinks the patches, to see that everything runs; MDT_BENCH_MODELS=mrcnn,ufrcnn chooses.
import type { Dim } from '@mdt/core';
import { benchmark, type Case, threads } from './harness.js';
import { nodeProcess, pythonPeer } from './process-contestant.js';
import { type OriginalModel, type RetinaCase, sharedPath, writeBatch } from './retina-case.js';

const original = process.env.MDT_ORIGINAL;
if (!original) throw new Error('benchmark detectors: MDT_ORIGINAL has to name a checkout of the Python toolkit');
const tiny = process.env.MDT_BENCH_TINY === '1';
const all: readonly OriginalModel[] = ['retina_net', 'retina_unet', 'mrcnn', 'ufrcnn', 'detection_unet'];
const chosen = process.env.MDT_BENCH_MODELS?.split(',');
const settings: { dim: Dim; patchSize: number[]; batchSize: number }[] = [
  { dim: 3, patchSize: tiny ? [16, 64, 64] : [64, 128, 128], batchSize: 1 },
  { dim: 2, patchSize: tiny ? [64, 64] : [320, 320], batchSize: 4 },
];

const cases = settings.flatMap((setting) => {
  let batch: string | undefined;
  return all
    .filter((model) => !chosen || chosen.includes(model))
    .flatMap((model) =>
      (['float32', 'bfloat16'] as const).flatMap((precision) =>
        (['step', 'inference'] as const).map((direction): Case => {
          const weights = sharedPath(`weights-${model}-${setting.dim}d.safetensors`);
          const shared = { ...setting, model, direction, threads, weights };
          const aCase = (): RetinaCase => ({ ...shared, precision, batch: (batch ??= writeBatch(setting)) });
          return {
            name: `${model} ${setting.dim}d${tiny ? ' tiny' : ''} ${direction} ${precision}`,
            ours: () => nodeProcess('ours', 'retina-ours.ts', aCase())(),
            peers: [() => pythonPeer('original toolkit', ['original.py', original], aCase())()],
          };
        }),
      ),
    );
});

await benchmark('detectors', cases, { repeat: 3 });
