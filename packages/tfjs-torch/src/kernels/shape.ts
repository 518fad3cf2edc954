import { backend_util, slice_util, type TensorInfo, util } from '@tensorflow/tfjs-core';
import type { TorchBackend } from '../backend.js';
import { composed } from '../composed.js';
import { inputList, type KernelCall, kernel, type TorchKernel } from '../kernel.js';
import { normalAxes } from '../shapes.js';

/** A kernel that moves elements of any native type. */
const moving = <I extends string, A>(name: string, run: (call: KernelCall<I, A>) => TensorInfo | TensorInfo[]): TorchKernel =>
  kernel(name, run, { complex: true });

/** A new tensor over the same native memory. */
function reshaped(backend: TorchBackend, x: TensorInfo, shape: readonly number[]): TensorInfo {
  if (util.arraysEqual(x.shape, shape as number[])) return backend.alias(x);
  return backend.run('Reshape', [x], { shape, dtype: x.dtype }, [shape]);
}

export const shape: TorchKernel[] = [
  moving<'x', { shape: number[] }>('Reshape', ({ backend, inputs: { x }, attrs }) => {
    const size = util.sizeFromShape(x.shape);
    const target = util.inferFromImplicitShape(attrs.shape, size);
    if (util.sizeFromShape(target) !== size) {
      throw new Error(
        `Reshape: shape [${x.shape.join(',')}] has ${size} values, [${target.join(',')}] asks for ${util.sizeFromShape(target)}`,
      );
    }
    return reshaped(backend, x, target);
  }),
  moving<'input', { dim: number }>('ExpandDims', ({ backend, inputs: { input }, attrs }) => {
    const rank = input.shape.length;
    if (attrs.dim < -(rank + 1) || attrs.dim > rank) {
      throw new Error(`ExpandDims: Axis must be in the interval [${-(rank + 1)}, ${rank}], got ${attrs.dim}`);
    }
    const target = input.shape.slice();
    target.splice(attrs.dim < 0 ? rank + 1 + attrs.dim : attrs.dim, 0, 1);
    return reshaped(backend, input, target);
  }),
  moving<'x', { perm: number[] }>('Transpose', ({ backend, inputs: { x }, attrs: { perm } }) =>
    backend.run('Transpose', [x], { shape: perm.map((axis) => x.shape[axis]!), dtype: x.dtype }, [perm]),
  ),
  moving<string, { axis: number }>('Concat', ({ backend, inputs, attrs }) => {
    const all = inputList(inputs);
    const [axis] = normalAxes(attrs.axis, all[0]!.shape.length);
    const shapes = all.map((t) => t.shape);
    backend_util.assertParamsConsistent(shapes, axis!);
    const target = backend_util.computeOutShape(shapes, axis!);
    const parts = all.filter((t) => util.sizeFromShape(t.shape) > 0);
    if (parts.length === 0) return backend.fromValues([], target, all[0]!.dtype);
    if (parts.length === 1) return backend.alias(parts[0]!);
    return backend.run('Concat', parts, { shape: target, dtype: parts[0]!.dtype }, [axis!]);
  }),
  moving<'x', { begin: number | number[]; size: number | number[] }>('Slice', ({ backend, inputs: { x }, attrs }) => {
    const [begin, size] = slice_util.parseSliceParams(x as never, attrs.begin, attrs.size) as [number[], number[]];
    slice_util.assertParamsValid(x as never, begin, size);
    return backend.run('Slice', [x], { shape: size, dtype: x.dtype }, [begin, size]);
  }),
  moving<
    'x',
    {
      begin: number[];
      end: number[];
      strides: number[];
      beginMask: number;
      endMask: number;
      ellipsisMask: number;
      newAxisMask: number;
      shrinkAxisMask: number;
    }
  >('StridedSlice', ({ backend, inputs: { x }, attrs }) => {
    const info = slice_util.sliceInfo(
      x.shape,
      attrs.begin,
      attrs.end,
      attrs.strides,
      attrs.beginMask,
      attrs.endMask,
      attrs.ellipsisMask,
      attrs.newAxisMask,
      attrs.shrinkAxisMask,
    );
    if (info.isIdentity) return reshaped(backend, x, info.finalShape);
    if (info.finalShape.includes(0)) return backend.fromValues([], info.finalShape, x.dtype);
    // Backward strides: take the same elements forward, then turn them round.
    const { begin, end, strides } = info;
    const backward = strides.flatMap((s, d) => (s < 0 ? [d] : []));
    const sparse = slice_util.computeOutShape(begin, end, strides);
    const low = begin.map((b, d) => (strides[d]! < 0 ? b + (sparse[d]! - 1) * strides[d]! : b));
    const high = end.map((e, d) => (strides[d]! < 0 ? begin[d]! + 1 : e));
    return composed(backend, (temporary) => {
      const sizes = { shape: sparse, dtype: x.dtype };
      const forward = temporary(backend.run('StridedSlice', [x], sizes, [low, high, strides.map(Math.abs)]));
      const turned = backward.length > 0 ? temporary(backend.run('Reverse', [forward], forward, [backward])) : forward;
      return reshaped(backend, turned, info.finalShape);
    });
  }),
  moving<'x', { numOrSizeSplits: number | number[]; axis: number }>('SplitV', ({ backend, inputs: { x }, attrs }) => {
    const [axis] = normalAxes(attrs.axis, x.shape.length);
    const sizes = backend_util.prepareSplitSize(x as never, attrs.numOrSizeSplits, axis!);
    const outputs = sizes.map((n) => ({ shape: x.shape.map((v, d) => (d === axis ? n : v)), dtype: x.dtype }));
    return backend.runMany('SplitV', [x], outputs, [axis!, sizes]);
  }),
  moving<string, { axis: number }>('Pack', ({ backend, inputs, attrs: { axis } }) => {
    const parts = inputList(inputs);
    const target = parts[0]!.shape.slice();
    const at = axis < 0 ? target.length + 1 + axis : axis;
    for (const { shape, dtype } of parts) {
      util.assertShapesMatch(parts[0]!.shape, shape, 'Pack: ');
      if (dtype !== parts[0]!.dtype) throw new TypeError(`Pack: types ${parts[0]!.dtype} and ${dtype} differ`);
    }
    target.splice(at, 0, parts.length);
    return backend.run('Pack', parts, { shape: target, dtype: parts[0]!.dtype }, [at]);
  }),
  moving<'value', { axis: number }>('Unpack', ({ backend, inputs: { value }, attrs }) => {
    const [axis] = normalAxes(attrs.axis, value.shape.length);
    const part = { shape: value.shape.filter((_, d) => d !== axis), dtype: value.dtype };
    const parts = Array.from({ length: value.shape[axis!]! }, () => part);
    return backend.runMany('Unpack', [value], parts, [axis!]);
  }),
  moving<'x', { paddings: [number, number][]; constantValue: number }>('PadV2', ({ backend, inputs: { x }, attrs }) => {
    const before = attrs.paddings.map(([b]) => b);
    const after = attrs.paddings.map(([, a]) => a);
    const target = x.shape.map((n, d) => before[d]! + n + after[d]!);
    return backend.run('PadV2', [x], { shape: target, dtype: x.dtype }, [attrs.constantValue, before, after]);
  }),
  moving<'x', { reps: number[] }>('Tile', ({ backend, inputs: { x }, attrs: { reps } }) =>
    backend.run('Tile', [x], { shape: x.shape.map((n, d) => n * reps[d]!), dtype: x.dtype }, [reps]),
  ),
  moving<'x', { shape: number[] }>('BroadcastTo', ({ backend, inputs: { x }, attrs }) =>
    backend.run('BroadcastTo', [x], { shape: attrs.shape, dtype: x.dtype }, [attrs.shape]),
  ),
  moving<'x', { dims: number | number[] }>('Reverse', ({ backend, inputs: { x }, attrs }) => {
    if (x.shape.length === 0) return backend.alias(x);
    return backend.run('Reverse', [x], x, [normalAxes(attrs.dims, x.shape.length)]);
  }),
];
