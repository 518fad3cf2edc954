import { kernels as mdt } from '@mdt/core';
import type { TensorInfo } from '@tensorflow/tfjs-core';
import { kernel, type TorchKernel } from '../kernel.js';

const float = (shape: readonly number[]) => ({ shape, dtype: 'float32' as const });

/** Shape of each map out of the flat attribute; throws where the attributes do not describe one dimension. */
function mapShapes(name: string, { pool, shapes, scales }: mdt.RoiAlignAttrs): number[][] {
  const rank = pool.length + 2;
  const count = shapes.length / rank;
  if (!(Number.isInteger(count) && count >= 1 && scales.length === count * pool.length)) {
    throw new Error(`${name}: ${shapes.length} shape values and ${scales.length} scales do not describe maps of rank ${rank}`);
  }
  return Array.from({ length: count }, (_, i) => shapes.slice(i * rank, (i + 1) * rank));
}

function checkRois(name: string, dim: number, boxes: TensorInfo, images: TensorInfo, levels: TensorInfo): number {
  const [n, width] = boxes.shape;
  const perBox = [images, levels].every(({ shape, dtype }) => shape.length === 1 && shape[0] === n && dtype === 'int32');
  if (boxes.shape.length === 2 && width === 2 * dim && perBox) return n!;
  throw new Error(
    `${name}: boxes [${boxes.shape}], images ${images.dtype} [${images.shape}], levels ${levels.dtype} [${levels.shape}]; ` +
      `expected [n,${2 * dim}] and int32 [n] twice`,
  );
}

const settings = ({ pool, scales, single, ratio, shapes }: mdt.RoiAlignAttrs) => [pool, scales, single, ratio, shapes];

/** RoIAlign of `@mdt/native-ops` and its gradient. */
export const detection: TorchKernel[] = [
  kernel<string, mdt.RoiAlignAttrs>(mdt.RoiAlign, ({ backend, inputs, attrs }) => {
    const shapes = mapShapes(mdt.RoiAlign, attrs);
    const maps = shapes.map((shape, i) => {
      const map = inputs[mdt.roiMap(i)];
      if (map && map.shape.join() === shape.join() && shape[0] === shapes[0]![0] && shape.at(-1) === shapes[0]!.at(-1))
        return map;
      throw new Error(`${mdt.RoiAlign}: map ${i} is [${map?.shape}], expected [${shape}], batch and channels as map 0`);
    });
    const { boxes, images, levels } = inputs as Record<'boxes' | 'images' | 'levels', TensorInfo>;
    const n = checkRois(mdt.RoiAlign, attrs.pool.length, boxes, images, levels);
    const out = float([n, ...attrs.pool, shapes[0]!.at(-1)!]);
    return backend.run('RoiAlign', [boxes, images, levels, ...maps], out, settings(attrs));
  }),
  kernel<'dy' | 'boxes' | 'images' | 'levels', mdt.RoiAlignAttrs>(mdt.RoiAlignGrad, ({ backend, inputs, attrs }) => {
    const shapes = mapShapes(mdt.RoiAlignGrad, attrs);
    const { dy, boxes, images, levels } = inputs;
    const n = checkRois(mdt.RoiAlignGrad, attrs.pool.length, boxes, images, levels);
    const expected = [n, ...attrs.pool, shapes[0]!.at(-1)!];
    if (dy.shape.join() !== expected.join()) {
      throw new Error(`${mdt.RoiAlignGrad}: dy is [${dy.shape}], expected [${expected}]`);
    }
    return backend.runMany('RoiAlignGrad', [dy, boxes, images, levels], shapes.map(float), settings(attrs));
  }),
];
