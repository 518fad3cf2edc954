import { backend_util, slice_util, type TensorInfo, util } from '@tensorflow/tfjs-core';
import type { TorchBackend } from '../backend.js';
import { normalAxes } from '../backend.js';
import { inputList, kernel, type TorchKernel } from '../kernel.js';

/** A new tensor over the same native memory. */
function reshaped(backend: TorchBackend, x: TensorInfo, shape: readonly number[]): TensorInfo {
  if (util.arraysEqual(x.shape, shape as number[])) return backend.alias(x);
  return backend.run('Reshape', [x], { shape, dtype: x.dtype }, [shape]);
}

export const shape: TorchKernel[] = [
  kernel<'x', { shape: number[] }>('Reshape', ({ backend, inputs: { x }, attrs }) => {
    const size = util.sizeFromShape(x.shape);
    const target = util.inferFromImplicitShape(attrs.shape, size);
    if (util.sizeFromShape(target) !== size) {
      throw new Error(
        `Reshape: shape [${x.shape.join(',')}] has ${size} values, [${target.join(',')}] asks for ${util.sizeFromShape(target)}`,
      );
    }
    return reshaped(backend, x, target);
  }),
  kernel<'input', { dim: number }>('ExpandDims', ({ backend, inputs: { input }, attrs }) => {
    const target = input.shape.slice();
    target.splice(attrs.dim < 0 ? input.shape.length + 1 + attrs.dim : attrs.dim, 0, 1);
    return reshaped(backend, input, target);
  }),
  kernel<'x', { perm: number[] }>('Transpose', ({ backend, inputs: { x }, attrs: { perm } }) =>
    backend.run('Transpose', [x], { shape: perm.map((axis) => x.shape[axis]!), dtype: x.dtype }, [perm]),
  ),
  kernel<string, { axis: number }>('Concat', ({ backend, inputs, attrs }) => {
    const all = inputList(inputs);
    const [axis] = normalAxes(attrs.axis, all[0]!.shape.length);
    const target = backend_util.computeOutShape(
      all.map((t) => t.shape),
      axis!,
    );
    const parts = all.filter((t) => util.sizeFromShape(t.shape) > 0);
    if (parts.length === 0) return backend.fromValues([], target, all[0]!.dtype);
    backend_util.assertParamsConsistent(
      parts.map((t) => t.shape),
      axis!,
    );
    if (parts.length === 1) return backend.alias(parts[0]!);
    return backend.run('Concat', parts, { shape: target, dtype: parts[0]!.dtype }, [axis!]);
  }),
  kernel<'x', { begin: number | number[]; size: number | number[] }>('Slice', ({ backend, inputs: { x }, attrs }) => {
    const [begin, size] = slice_util.parseSliceParams(x as never, attrs.begin, attrs.size) as [number[], number[]];
    slice_util.assertParamsValid(x as never, begin, size);
    return backend.run('Slice', [x], { shape: size, dtype: x.dtype }, [begin, size]);
  }),
  kernel<
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
    const forward = backend.run('StridedSlice', [x], { shape: sparse, dtype: x.dtype }, [low, high, strides.map(Math.abs)]);
    const turned = backward.length > 0 ? backend.run('Reverse', [forward], forward, [backward]) : backend.alias(forward);
    const result = reshaped(backend, turned, info.finalShape);
    backend.drop(forward);
    backend.drop(turned);
    return result;
  }),
  kernel<'x', { numOrSizeSplits: number | number[]; axis: number }>('SplitV', ({ backend, inputs: { x }, attrs }) => {
    const [axis] = normalAxes(attrs.axis, x.shape.length);
    const sizes = backend_util.prepareSplitSize(x as never, attrs.numOrSizeSplits, axis!);
    const outputs = sizes.map((n) => ({ shape: x.shape.map((v, d) => (d === axis ? n : v)), dtype: x.dtype }));
    return backend.runMany('SplitV', [x], outputs, [axis!, sizes]);
  }),
  kernel<string, { axis: number }>('Pack', ({ backend, inputs, attrs: { axis } }) => {
    const parts = inputList(inputs);
    const target = parts[0]!.shape.slice();
    const at = axis < 0 ? target.length + 1 + axis : axis;
    for (const part of parts) util.assertShapesMatch(parts[0]!.shape, part.shape, 'Pack: ');
    target.splice(at, 0, parts.length);
    return backend.run('Pack', parts, { shape: target, dtype: parts[0]!.dtype }, [at]);
  }),
  kernel<'value', { axis: number }>('Unpack', ({ backend, inputs: { value }, attrs }) => {
    const [axis] = normalAxes(attrs.axis, value.shape.length);
    const part = { shape: value.shape.filter((_, d) => d !== axis), dtype: value.dtype };
    const parts = Array.from({ length: value.shape[axis!]! }, () => part);
    return backend.runMany('Unpack', [value], parts, [axis!]);
  }),
  kernel<'x', { paddings: [number, number][]; constantValue: number }>('PadV2', ({ backend, inputs: { x }, attrs }) => {
    const before = attrs.paddings.map(([b]) => b);
    const after = attrs.paddings.map(([, a]) => a);
    const target = x.shape.map((n, d) => before[d]! + n + after[d]!);
    return backend.run('PadV2', [x], { shape: target, dtype: x.dtype }, [attrs.constantValue, before, after]);
  }),
  kernel<'x', { reps: number[] }>('Tile', ({ backend, inputs: { x }, attrs: { reps } }) =>
    backend.run('Tile', [x], { shape: x.shape.map((n, d) => n * reps[d]!), dtype: x.dtype }, [reps]),
  ),
  kernel<'x', { shape: number[] }>('BroadcastTo', ({ backend, inputs: { x }, attrs }) =>
    backend.run('BroadcastTo', [x], { shape: attrs.shape, dtype: x.dtype }, [attrs.shape]),
  ),
  kernel<'x', { dims: number | number[] }>('Reverse', ({ backend, inputs: { x }, attrs }) => {
    if (x.shape.length === 0) return backend.alias(x);
    return backend.run('Reverse', [x], x, [normalAxes(attrs.dims, x.shape.length)]);
  }),
];
