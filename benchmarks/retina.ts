// A training step and an inference of the Retina U-Net in the original's configurations, beside PyTorch.
//
// Peers: a plain PyTorch twin of the same layers, and with MDT_ORIGINAL=DIR the Python toolkit itself. A step of ours and of
// the twin is forward, loss, gradients, Adam; the toolkit's also collects detections, as its training does.
// All start from our weights; their losses differ by the random draws of anchors only.
// MDT_BENCH_TINY=1 shrinks the patches, to see that everything runs.
import type { Dim } from '@mdt/core';
import { benchmark, type Case, threads } from './harness.js';
import { nodeProcess, pythonPeer } from './process-contestant.js';
import { type RetinaCase, sharedPath, writeBatch } from './retina-case.js';

const tiny = process.env.MDT_BENCH_TINY === '1';
const original = process.env.MDT_ORIGINAL;
const settings: { dim: Dim; patchSize: number[]; batchSize: number }[] = [
  { dim: 3, patchSize: tiny ? [16, 64, 64] : [64, 128, 128], batchSize: 1 }, // the original's LIDC experiment
  { dim: 2, patchSize: tiny ? [64, 64] : [320, 320], batchSize: 4 }, // its toy experiment
];

const cases = settings.flatMap((setting): Case[] => {
  let batch: string | undefined;
  return (['step', 'inference'] as const).map((direction) => {
    const weights = sharedPath(`weights-${setting.dim}d.safetensors`);
    const aCase = (): RetinaCase => ({ ...setting, direction, threads, weights, batch: (batch ??= writeBatch(setting)) });
    return {
      name: `retina_unet ${setting.dim}d${tiny ? ' tiny' : ''} ${direction} float32`,
      ours: () => nodeProcess('ours', 'retina-ours.ts', aCase())(),
      peers: [
        () => pythonPeer('plain PyTorch twin', ['plain_torch.py'], aCase())(),
        ...(original ? [() => pythonPeer('original toolkit', ['original.py', original], aCase())()] : []),
      ],
    };
  });
});

await benchmark('retina', cases, { repeat: 3 });
