// Our side of `npm run bench -- ops`: the native ops, or with `twin` as its argument their TypeScript twins.
import { readFileSync } from 'node:fs';
import { readSafetensors } from '@mdt/core';
import { connectedComponents, nativeOps, nonMaximumSuppression, resample, roiAlign, roiAlignGrad } from '@mdt/native-ops';
import type { OpsCase } from './ops-case.js';
import { serve } from './serve.js';

const twin = process.argv.includes('twin');
if (twin) process.env.MDT_NATIVE_OPS = 'off'; // read when the first op is called

/** Of a result that has too many values to show. */
const sum = (values: Float32Array) => () => `sum ${values.reduce((total, value) => total + value, 0).toPrecision(7)}`;

/** One call of the op, which says what came out. */
function work(task: OpsCase): () => string | (() => string) {
  const { tensors } = readSafetensors(readFileSync(task.data));
  const floats = (name: string) => tensors.get(name)!.data as Float32Array;
  const { threads } = task;
  switch (task.op) {
    case 'nms': {
      const [boxes, scores] = [floats('boxes'), floats('scores')];
      return () => `kept ${nonMaximumSuppression(boxes, scores, { dim: 3, iouThreshold: task.iouThreshold, threads }).length}`;
    }
    case 'roiAlign':
    case 'roiAlignGrad': {
      const { size, channels, pool, sampling, ratio } = task;
      const dim = size.length as 2 | 3;
      const options = { dim, channels, poolSize: pool, sampling, samplingRatio: ratio, threads };
      const [boxes, dy, values] = [floats('boxes'), floats('dy'), floats('map')];
      if (task.op === 'roiAlign') return () => sum(roiAlign({ values, size }, boxes, options));
      return () => sum(roiAlignGrad(dy, { size }, boxes, options));
    }
    case 'components': {
      const { size, connectivity } = task;
      const values = tensors.get('mask')!.data as Uint8Array;
      return () => `${connectedComponents({ values, size }, { dim: 3, connectivity, threads }).count} components`;
    }
    case 'resample': {
      const { size, outputSize, step, order } = task;
      const values = floats('image');
      const affine = step.flatMap((s, d) => [0, 1, 2, 3].map((column) => (column === d ? s : 0)));
      return () => sum(resample({ values, size }, { dim: 3, outputSize, affine, order, mode: 'nearest', threads }));
    }
  }
}

await serve(async (task: OpsCase) => {
  if (nativeOps.info().native === twin) throw new Error(nativeOps.info().reason);
  const run = work(task);
  return { run: async () => run() };
});
