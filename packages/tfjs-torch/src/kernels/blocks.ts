import { backend_util, type TensorInfo, util } from '@tensorflow/tfjs-core';
import type { TorchBackend } from '../backend.js';
import { composed } from '../composed.js';
import { kernel, type TorchKernel } from '../kernel.js';

/** x [a…] seen as `split`, its axes put into another order, seen as `joined`. */
function rearranged(
  backend: TorchBackend,
  x: TensorInfo,
  { split, order, joined }: { split: number[]; order: number[]; joined: number[] },
): TensorInfo {
  return composed(backend, (temporary) => {
    const parts = temporary(backend.run('Reshape', [x], { shape: split, dtype: x.dtype }, [split]));
    const shape = order.map((axis) => split[axis]!);
    const moved = temporary(backend.run('Transpose', [parts], { shape, dtype: x.dtype }, [order]));
    return backend.run('Reshape', [moved], { shape: joined, dtype: x.dtype }, [joined]);
  });
}

interface Blocks {
  blockShape: number[];
  crops: [number, number][];
  paddings: [number, number][];
}

/** Places of an image to places of the batch or of the channels, and back; borders that mirror the image. */
export const blocks: TorchKernel[] = [
  kernel<'x', Blocks>('BatchToSpaceND', ({ backend, inputs: { x }, attrs: { blockShape, crops } }) => {
    const size = util.sizeFromShape(blockShape);
    const split = backend_util.getReshaped(x.shape, blockShape, size);
    const order = backend_util.getPermuted(split.length, blockShape.length);
    const joined = backend_util.getReshapedPermuted(x.shape, blockShape, size);
    const begin = backend_util.getSliceBeginCoords(crops, blockShape.length);
    const shape = backend_util.getSliceSize(joined, crops, blockShape.length);
    return composed(backend, (temporary) => {
      const whole = temporary(rearranged(backend, x, { split, order, joined }));
      // Axes behind the blocks are not cropped; the helpers leave them out.
      const rest = joined.slice(shape.length);
      const cut = [...shape, ...rest];
      return backend.run('Slice', [whole], { shape: cut, dtype: x.dtype }, [[...begin, ...rest.map(() => 0)], cut]);
    });
  }),
  kernel<'x', Blocks>('SpaceToBatchND', ({ backend, inputs: { x }, attrs: { blockShape, paddings } }) => {
    const size = util.sizeFromShape(blockShape);
    const pads = [[0, 0], ...paddings, ...x.shape.slice(1 + blockShape.length).map(() => [0, 0])];
    const before = pads.map(([b]) => b!);
    const after = pads.map(([, a]) => a!);
    const shape = x.shape.map((n, d) => before[d]! + n + after[d]!);
    const split = backend_util.getReshaped(shape, blockShape, size, false);
    const order = backend_util.getPermuted(split.length, blockShape.length, false);
    const joined = backend_util.getReshapedPermuted(shape, blockShape, size, false);
    return composed(backend, (temporary) => {
      const whole = temporary(backend.run('PadV2', [x], { shape, dtype: x.dtype }, [0, before, after]));
      return rearranged(backend, whole, { split, order, joined });
    });
  }),
  kernel<'x', { blockSize: number; dataFormat: string }>('DepthToSpace', ({ backend, inputs: { x }, attrs }) => {
    const { blockSize: block, dataFormat } = attrs;
    const first = dataFormat === 'NCHW';
    const [n, h, w, depth] = (first ? [x.shape[0], x.shape[2], x.shape[3], x.shape[1]] : x.shape) as [
      number,
      number,
      number,
      number,
    ];
    const channels = depth / (block * block);
    return first
      ? rearranged(backend, x, {
          split: [n, block, block, channels, h, w],
          order: [0, 3, 4, 1, 5, 2],
          joined: [n, channels, h * block, w * block],
        })
      : rearranged(backend, x, {
          split: [n, h, w, block, block, channels],
          order: [0, 1, 3, 2, 4, 5],
          joined: [n, h * block, w * block, channels],
        });
  }),
  kernel<'x', { paddings: [number, number][]; mode: 'reflect' | 'symmetric' }>(
    'MirrorPad',
    ({ backend, inputs: { x }, attrs: { paddings, mode } }) =>
      composed(backend, (temporary) => {
        const edge = mode === 'symmetric' ? 1 : 0; // whether the border repeats the outermost element
        let y = backend.alias(x);
        for (const [axis, [before, after]] of paddings.entries()) {
          if (before === 0 && after === 0) continue;
          const n = x.shape[axis]!;
          const places = Array.from({ length: before + n + after }, (_, i) => {
            const at = i - before;
            return at < 0 ? -at - edge : at < n ? at : 2 * (n - 1) - at + edge;
          });
          const shape = y.shape.slice();
          shape[axis] = places.length;
          y = backend.run('Take', [temporary(y)], { shape, dtype: x.dtype }, [axis, places]);
        }
        return y;
      }),
  ),
];
