import * as tf from '@tensorflow/tfjs-core';
import { beforeAll, describe } from 'vitest';
import { useTorch } from '../src/index.js';
import { agrees as agreesWithin, floats, type Op, tolerances, type Values } from './compare.js';

type Pad = 'same' | 'valid' | number | [[number, number], [number, number], [number, number], [number, number]];
interface Layer {
  x: number[];
  filter: number[];
  strides: number[];
  pad: Pad;
}

const layers: Layer[] = [
  { x: [2, 7, 9, 3], filter: [3, 3, 3, 4], strides: [1, 1], pad: 'same' },
  { x: [2, 7, 9, 3], filter: [3, 3, 3, 4], strides: [1, 1], pad: 'valid' },
  { x: [2, 7, 9, 3], filter: [3, 3, 3, 4], strides: [2, 2], pad: 'same' },
  { x: [2, 8, 6, 3], filter: [3, 3, 3, 4], strides: [2, 2], pad: 'same' }, // one zero more behind than before
  { x: [2, 8, 6, 3], filter: [2, 2, 3, 4], strides: [1, 1], pad: 'same' },
  { x: [1, 9, 7, 2], filter: [7, 7, 2, 5], strides: [2, 2], pad: 3 },
  { x: [1, 9, 7, 2], filter: [3, 5, 2, 5], strides: [2, 1], pad: 1 },
  { x: [1, 9, 7, 2], filter: [1, 1, 2, 5], strides: [1, 1], pad: 'valid' },
  { x: [1, 9, 8, 2], filter: [1, 1, 2, 5], strides: [2, 2], pad: 'same' },
  {
    x: [1, 9, 7, 2],
    filter: [3, 3, 2, 5],
    strides: [1, 1],
    pad: [
      [0, 0],
      [1, 2],
      [0, 1],
      [0, 0],
    ],
  },
  { x: [1, 5, 70, 18], filter: [3, 3, 18, 18], strides: [1, 1], pad: 'same' },
  { x: [1, 4, 5, 256], filter: [3, 3, 256, 256], strides: [2, 1], pad: 'same' }, // few places, many channels
  { x: [1, 2, 3, 4, 130], filter: [3, 3, 3, 130, 128], strides: [1, 1, 1], pad: 'same' },
  { x: [2, 4, 6, 5, 3], filter: [3, 3, 3, 3, 4], strides: [1, 1, 1], pad: 'same' },
  { x: [2, 4, 6, 5, 3], filter: [3, 3, 3, 3, 4], strides: [1, 1, 1], pad: 'valid' },
  { x: [2, 4, 6, 5, 3], filter: [3, 3, 3, 3, 4], strides: [1, 2, 2], pad: 'same' },
  { x: [1, 4, 6, 8, 3], filter: [2, 2, 2, 3, 4], strides: [2, 2, 2], pad: 'valid' },
  { x: [1, 4, 6, 5, 3], filter: [1, 1, 1, 3, 2], strides: [1, 1, 1], pad: 'valid' },
];

for (const [precision, tolerance] of tolerances) {
  describe(precision, () => {
    beforeAll(() => useTorch({ threads: 2, precision }));
    const agrees = (name: string, op: Op, inputs: readonly Values[]) => agreesWithin(name, op, inputs, tolerance);

    for (const layer of layers) {
      const { x, filter, strides, pad } = layer;
      const dims = strides.length;
      describe(`${dims}D, x [${x}], filter [${filter}], strides ${strides}, padding ${JSON.stringify(pad)}`, () => {
        const info =
          dims === 2
            ? tf.backend_util.computeConv2DInfo(x as never, filter as never, strides as never, 1, pad as never)
            : tf.backend_util.computeConv3DInfo(x as never, filter as never, strides as never, 1, pad as never);
        const dy = floats(info.outShape, { seed: 4 });
        const attrs = { strides, pad, dilations: strides.map(() => 1), dataFormat: dims === 2 ? 'NHWC' : 'NDHWC' };
        const run = (name: string, inputs: Record<string, tf.Tensor>, more: object) =>
          tf.engine().runKernel(name, inputs, { ...attrs, ...more } as never) as tf.Tensor;
        const end = dims === 2 ? '' : 'V2';
        agrees('forward', ((a: tf.Tensor, w: tf.Tensor) => run(`Conv${dims}D`, { x: a, filter: w }, {})) as Op, [
          floats(x),
          floats(filter, { seed: 3 }),
        ]);
        agrees(
          'gradient of x',
          ((d: tf.Tensor, w: tf.Tensor) => run(`Conv${dims}DBackpropInput${end}`, { dy: d, filter: w }, { inputShape: x })) as Op,
          [dy, floats(filter, { seed: 3 })],
        );
        agrees(
          'gradient of the filter',
          ((a: tf.Tensor, d: tf.Tensor) =>
            run(`Conv${dims}DBackpropFilter${end}`, { x: a, dy: d }, { filterShape: filter })) as Op,
          [floats(x), dy],
        );
      });
    }

    describe('through the ops', () => {
      const x = floats([1, 6, 7, 2]);
      agrees('conv2d', ((a: tf.Tensor4D, w: tf.Tensor4D) => tf.conv2d(a, w, [2, 1], 'same')) as Op, [x, floats([3, 3, 2, 4])]);
      agrees(
        'conv2d of one image without a batch axis',
        ((a: tf.Tensor3D, w: tf.Tensor4D) => tf.conv2d(a, w, 1, 'valid')) as Op,
        [floats([6, 7, 2]), floats([3, 3, 2, 4])],
      );
      agrees('conv1d', ((a: tf.Tensor3D, w: tf.Tensor3D) => tf.conv1d(a, w, 2, 'same')) as Op, [
        floats([2, 9, 3]),
        floats([3, 3, 4]),
      ]);
      agrees(
        'conv2d rounding its size up',
        ((a: tf.Tensor4D, w: tf.Tensor4D) => tf.conv2d(a, w, 2, 0, 'NHWC', 1, 'ceil')) as Op,
        [x, floats([3, 3, 2, 4])],
      );
      agrees('conv2dTranspose', ((a: tf.Tensor4D, w: tf.Tensor4D) => tf.conv2dTranspose(a, w, [1, 12, 14, 3], 2, 'same')) as Op, [
        x,
        floats([2, 2, 3, 2]),
      ]);
      agrees('conv3d', ((a: tf.Tensor5D, w: tf.Tensor5D) => tf.conv3d(a, w, 1, 'same')) as Op, [
        floats([1, 3, 4, 5, 2]),
        floats([3, 3, 3, 2, 3]),
      ]);
      agrees(
        'conv3dTranspose',
        ((a: tf.Tensor5D, w: tf.Tensor5D) => tf.conv3dTranspose(a, w, [1, 4, 6, 6, 2], 2, 'same')) as Op,
        [floats([1, 2, 3, 3, 2]), floats([2, 2, 2, 2, 2])],
      );
      agrees(
        'depthwiseConv2d, run by backend cpu',
        ((a: tf.Tensor4D, w: tf.Tensor4D) => tf.depthwiseConv2d(a, w, 1, 'same')) as Op,
        [x, floats([3, 3, 2, 2])],
      );
    });

    // Most of a detector's gradients are zero; then only the boxes around what is not zero are convolved.
    for (const dims of [2, 3]) {
      const size = [24, 30, 30].slice(-dims);
      const sparse = floats([2, ...size, 4], { seed: 6 });
      const inner = size.slice(1).reduce((a, b) => a * b, 1) * 4;
      sparse.values = sparse.values.map((v, i) => ([0, 1, 12, 23].includes(Math.floor(i / inner)) && i % inner < 40 ? v : 0));
      const kernel = [3, 3, 3].slice(-dims);
      const end = dims === 2 ? '' : 'V2';
      const attrs = { strides: kernel.map(() => 1), pad: 'same', dataFormat: dims === 2 ? 'NHWC' : 'NDHWC' };
      agrees(
        `gradients that are nearly all zero, ${dims}D: x`,
        ((dy: tf.Tensor, filter: tf.Tensor) =>
          tf.engine().runKernel(`Conv${dims}DBackpropInput${end}`, { dy, filter }, {
            ...attrs,
            inputShape: [2, ...size, 3],
          } as never)) as Op,
        [sparse, floats([...kernel, 3, 4])],
      );
      agrees(
        `gradients that are nearly all zero, ${dims}D: filter`,
        ((x: tf.Tensor, dy: tf.Tensor) =>
          tf.engine().runKernel(`Conv${dims}DBackpropFilter${end}`, { x, dy }, {
            ...attrs,
            filterShape: [...kernel, 3, 4],
          } as never)) as Op,
        [floats([2, ...size, 3]), sparse],
      );
    }
  });
}
