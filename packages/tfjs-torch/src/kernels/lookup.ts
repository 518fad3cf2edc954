import { backend_util, type DataType, util } from '@tensorflow/tfjs-core';
import { dtypeCode } from '../backend.js';
import { kernel, type TorchKernel } from '../kernel.js';
import { normalAxes } from '../shapes.js';

export const lookup: TorchKernel[] = [
  kernel<'x' | 'indices', { axis: number; batchDims: number }>('GatherV2', ({ backend, inputs: { x, indices }, attrs }) => {
    const [axis] = normalAxes(attrs.axis, x.shape.length);
    const batchDims = attrs.batchDims < 0 ? attrs.batchDims + indices.shape.length : (attrs.batchDims ?? 0);
    const { outputShape } = backend_util.segment_util.collectGatherOpShapeInfo(x as never, indices as never, axis!, batchDims);
    const [low, high] = backend.knownRange(indices) ?? [0, 0];
    const size = x.shape[axis!]!;
    if (low < 0 || high >= Math.max(size, 1))
      throw new RangeError(`GatherV2: the index value ${low < 0 ? low : high} is not in [0, ${size - 1}]`);
    return backend.run('GatherV2', [x, indices], { shape: outputShape, dtype: x.dtype }, [axis!, batchDims, outputShape]);
  }),
  kernel<'params' | 'indices'>('GatherNd', ({ backend, inputs: { params, indices } }) => {
    const [shape] = backend_util.prepareAndValidate(params as never, indices as never);
    if (util.sizeFromShape(shape) === 0) return backend.fromValues([], shape, params.dtype);
    return backend.run('GatherNd', [params, indices], { shape, dtype: params.dtype }, [shape]);
  }),
  kernel<'indices' | 'updates', { shape: number[] }>(
    'ScatterNd',
    ({ backend, inputs: { indices, updates }, attrs: { shape } }) =>
      backend.run('ScatterNd', [indices, updates], { shape, dtype: updates.dtype }, [
        shape,
        backend_util.calculateShapes(updates as never, indices as never, shape).sliceRank,
      ]),
    { complex: true },
  ),
  kernel<'tensor' | 'indices' | 'updates'>('TensorScatterUpdate', ({ backend, inputs: { tensor, indices, updates } }) =>
    backend.run('TensorScatterUpdate', [indices, updates, tensor], { shape: tensor.shape, dtype: tensor.dtype }, [
      tensor.shape,
      backend_util.calculateShapes(updates as never, indices as never, tensor.shape).sliceRank,
    ]),
  ),
  kernel<'x' | 'segmentIds', { numSegments: number }>('UnsortedSegmentSum', ({ backend, inputs: { x, segmentIds }, attrs }) => {
    const shape = [attrs.numSegments, ...x.shape.slice(segmentIds.shape.length)];
    return backend.run('UnsortedSegmentSum', [x, segmentIds], { shape, dtype: x.dtype }, [attrs.numSegments]);
  }),
  kernel<'indices', { dtype?: DataType; depth: number; onValue: number; offValue: number }>(
    'OneHot',
    ({ backend, inputs: { indices }, attrs: { dtype = 'int32', depth, onValue, offValue } }) =>
      backend.run('OneHot', [indices], { shape: [...indices.shape, depth], dtype }, [
        dtypeCode(dtype, 'OneHot'),
        depth,
        onValue,
        offValue,
      ]),
  ),
  kernel<'x', { k: number; sorted: boolean }>('TopK', ({ backend, inputs: { x }, attrs: { k } }) => {
    const shape = [...x.shape.slice(0, -1), k];
    return backend.runMany(
      'TopK',
      [x],
      [
        { shape, dtype: x.dtype },
        { shape, dtype: 'int32' },
      ],
      [k],
    );
  }),
];
