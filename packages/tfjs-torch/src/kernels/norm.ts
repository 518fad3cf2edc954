import { kernel, type TorchKernel } from '../kernel.js';

export const norm: TorchKernel[] = [
  kernel<'x' | 'mean' | 'variance' | 'scale' | 'offset', { varianceEpsilon?: number }>(
    'FusedBatchNorm',
    ({ backend, inputs: { x, mean, variance, scale, offset }, attrs: { varianceEpsilon = 0.001 } }) => {
      for (const [what, t] of Object.entries({ variance, scale, offset })) {
        if (t && t.shape.length !== mean.shape.length) {
          throw new Error(`FusedBatchNorm: mean has rank ${mean.shape.length}, ${what} has rank ${t.shape.length}`);
        }
      }
      return backend.run('FusedBatchNorm', [x, mean, variance, scale, offset], { shape: x.shape, dtype: 'float32' }, [
        varianceEpsilon,
      ]);
    },
  ),
];
