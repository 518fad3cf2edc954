import { kernels } from '@mdt/core';
import * as tf from '@tensorflow/tfjs-core';
import { afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { useTorch } from '../src/index.js';

beforeAll(() => useTorch({ threads: 2 }));

const x = (shape: number[], dtype: tf.DataType = 'float32') => tf.zeros(shape, dtype);
const indices = (...values: number[]) => tf.tensor(values, [values.length], 'int32') as tf.Tensor1D;
/** Indices that a kernel made: JavaScript does not know them. */
const computed = (...values: number[]) => tf.neg(indices(...values.map((v) => -v))) as tf.Tensor1D;

let tensors = 0;
beforeEach(() => {
  tf.engine().startScope();
  tensors = tf.memory().numTensors;
});
afterEach(() => {
  expect(Array.from(tf.add([1, 2], [3, 4]).dataSync())).toEqual([4, 6]); // later ops work
  tf.engine().endScope();
  expect(tf.memory().numTensors).toBe(tensors);
});

describe('what goes wrong natively', () => {
  test('is thrown where the result is read, with the kernel and the shapes', () => {
    const result = tf.gather(tf.zeros([3, 2]), computed(0, 7));
    expect(() => result.dataSync()).toThrow('GatherV2(Float[3,2], Int[2]): index 7 is outside 0 to 2');
  });

  test('rejects the promise of an asynchronous read', async () => {
    const result = tf.gather(tf.zeros([3, 2]), computed(-1));
    const error = await result.data().catch((e: unknown) => e);
    expect(error).toBeInstanceOf(Error);
    expect((error as Error).message).toBe('GatherV2(Float[3,2], Int[1]): index -1 is outside 0 to 2');
  });

  test('is passed on by every op that uses the result: the first error is the one to see', async () => {
    const bad = tf.gather(tf.zeros([3]), computed(5));
    const other = tf.gatherND(tf.zeros([2, 2]), tf.tensor([[4, 0]], [1, 2], 'int32'));
    const result = tf.sum(tf.mul(tf.reshape(tf.add(bad, other), [1, 1]), 2));
    expect(() => result.dataSync()).toThrow('GatherV2(Float[3], Int[1]): index 5 is outside 0 to 2');
    await expect(result.data()).rejects.toThrow('GatherV2(Float[3], Int[1]): index 5 is outside 0 to 2');
    expect(() => other.dataSync()).toThrow('GatherNd(Float[2,2], Int[1,2]): index 4 is outside 0 to 1');
  });

  test('does not spoil what did not use it', () => {
    const bad = tf.gather(tf.zeros([3]), computed(5));
    const good = tf.add(tf.ones([2]), 1);
    expect(Array.from(good.dataSync())).toEqual([2, 2]);
    bad.dispose();
    expect(Array.from(tf.add(good, 1).dataSync())).toEqual([3, 3]); // the slot of the error is used again
  });

  test('includes indices of scatters and segments', () => {
    const scattered = tf.scatterND(tf.tensor([[4]], [1, 1], 'int32'), tf.ones([1]), [3]);
    expect(() => scattered.dataSync()).toThrow('ScatterNd(Int[1,1], Float[1]): index 4 is outside 0 to 2');
    const summed = tf.unsortedSegmentSum(tf.ones([2]), indices(0, 3), 3);
    expect(() => summed.dataSync()).toThrow('UnsortedSegmentSum(Float[2], Int[2]): segment 3 is outside 0 to 2');
  });

  test('includes memory that does not suffice', () => {
    const huge = tf
      .engine()
      .runKernel('Fill', {}, { shape: [1 << 16, 1 << 16, 1 << 16], value: 1, dtype: 'float32' }) as tf.Tensor; // 1 PiB
    expect(() => huge.dataSync()).toThrow(/^Fill\(\): .*(memory|alloc)/s);
  });
});

describe('what is wrong is refused at once', () => {
  test('an index from JavaScript that is out of range', () => {
    expect(() => tf.gather(tf.zeros([3, 2]), indices(0, 7))).toThrow('GatherV2: the index value 7 is not in [0, 2]');
    expect(() => tf.gather(tf.zeros([3, 2]), indices(-1), 1)).toThrow('GatherV2: the index value -1 is not in [0, 1]');
  });

  test('a disposed tensor', async () => {
    const gone = tf.ones([2]);
    gone.dispose();
    expect(() => tf.neg(gone)).toThrow(/disposed/);
    expect(() => gone.dataSync()).toThrow(/disposed/);
    await expect(async () => gone.data()).rejects.toThrow(/disposed/);
  });

  test('a disposed tensor that reaches a kernel', () => {
    const gone = tf.ones([2]);
    const { dataId, shape, dtype } = gone;
    gone.dispose();
    expect(() => tf.engine().runKernel('Neg', { x: { dataId, shape, dtype } as never })).toThrow(/disposed|isDisposed/);
  });

  test('casts to strings, and the parts of a number that is not complex', () => {
    expect(() => tf.cast(tf.ones([2]), 'string')).toThrow(/string/);
    expect(() => tf.engine().runKernel('Real', { input: tf.ones([2]) })).toThrow('Real: expected complex64, got float32');
  });

  const cases: [string, () => unknown, RegExp][] = [
    ['operands that do not broadcast', () => tf.add(x([2, 3]), x([4])), /\[2,3\].*\[4\]|2,3.*4/],
    [
      'a reshape to another size',
      () => tf.engine().runKernel('Reshape', { x: x([6]) }, { shape: [4] }),
      /Size\(6\) must match the product of shape 4/,
    ],
    [
      'matrices whose inner sizes differ',
      () => tf.engine().runKernel('BatchMatMul', { a: x([2, 3]), b: x([4, 5]) }, { transposeA: false, transposeB: false }),
      /BatchMatMul: inner sizes 3 and 4 of \[2,3\] and \[4,5\]/,
    ],
    [
      'a filter for other channels',
      () => tf.conv2d(x([1, 5, 5, 2]) as tf.Tensor4D, x([3, 3, 3, 1]) as tf.Tensor4D, 1, 'same'),
      /depth|channels/,
    ],
    [
      'a filter larger than its image',
      () => tf.conv2d(x([1, 2, 2, 1]) as tf.Tensor4D, x([3, 3, 1, 1]) as tf.Tensor4D, 1, 'valid'),
      /Conv2D: filter \[3,3,1,1\] does not fit x \[1,2,2,1\]/,
    ],
    [
      'gradients of another shape',
      () =>
        tf
          .engine()
          .runKernel(
            'Conv2DBackpropInput',
            { dy: x([1, 4, 5, 1]), filter: x([3, 3, 2, 1]) },
            { strides: 1, pad: 'same', inputShape: [1, 5, 5, 2] },
          ),
      /Conv2DBackpropInput: dy has shape \[1,4,5,1\], expected \[1,5,5,1\]/,
    ],
    ['an axis that is not there', () => tf.sum(x([2, 3]), 2), /axis|axes/i],
    ['a concatenation of unlike shapes', () => tf.concat([x([2, 3]), x([2, 4])], 0), /concat/i],
    [
      'integers where floats are needed',
      () => tf.conv2d(x([1, 5, 5, 1], 'int32') as tf.Tensor4D, x([3, 3, 1, 1]) as tf.Tensor4D, 1, 'same'),
      /float32/,
    ],
  ];
  for (const [name, call, message] of cases) test(name, () => expect(call).toThrow(message));
});

describe('the kernels of @mdt/core', () => {
  const run = (name: string, inputs: Record<string, tf.Tensor>, attrs: object) => () =>
    tf.engine().runKernel(name, inputs, attrs as never);
  const conv = { strides: [1, 1], pads: [1, 1], activation: 'linear' };
  const image = () => x([1, 6, 6, 2]);
  const resize = { size: [4, 2], factors: [0, 0], mode: 'nearest', alignment: 'half-pixel' };
  const norm = { groups: 2, epsilon: 1e-5 };
  const filter = () => x([3, 3, 2, 4]);
  const cases: [string, () => () => unknown, RegExp][] = [
    [
      'a bias of another length',
      () => run(kernels.ConvAct, { x: image(), filter: filter(), bias: x([3]) }, conv),
      /MdtConvAct: bias has shape \[3\], expected \[4\]/,
    ],
    [
      'a filter for other channels',
      () => run(kernels.ConvAct, { x: image(), filter: x([3, 3, 5, 4]) }, conv),
      /x \[1,6,6,2\] has 2 channels, filter \[3,3,5,4\] takes 5/,
    ],
    [
      'strides of zero',
      () => run(kernels.ConvAct, { x: image(), filter: filter() }, { ...conv, strides: [0, 1] }),
      /strides 0x1/,
    ],
    [
      'strides for another number of axes',
      () => run(kernels.ConvAct, { x: image(), filter: filter() }, { ...conv, strides: [1, 1, 1] }),
      /expected 3 spatial axes/,
    ],
    [
      'padding for another number of axes',
      () => run(kernels.ConvAct, { x: image(), filter: filter() }, { ...conv, pads: [1] }),
      /MdtConvAct/,
    ],
    [
      'a dy of another shape, for x',
      () => run(kernels.ConvActInputGrad, { dy: x([1, 5, 6, 4]), filter: filter() }, { ...conv, inputShape: [1, 6, 6, 2] }),
      /MdtConvActInputGrad: dy has shape \[1,5,6,4\], expected \[1,6,6,4\]/,
    ],
    [
      'a dy of another shape, for the filter',
      () => run(kernels.ConvActFilterGrad, { dy: x([1, 5, 6, 4]), x: image() }, { ...conv, filterShape: [3, 3, 2, 4] }),
      /MdtConvActFilterGrad: dy has shape/,
    ],
    [
      'a y of another shape',
      () =>
        run(
          kernels.ConvActInputGrad,
          { dy: x([1, 6, 6, 4]), y: x([6]), filter: filter() },
          { ...conv, activation: 'relu', inputShape: [1, 6, 6, 2] },
        ),
      /y has shape \[6\], expected \[1,6,6,4\]/,
    ],
    [
      'unlike summands',
      () => run(kernels.AddAct, { a: image(), b: x([2]) }, { activation: 'relu' }),
      /MdtAddAct: shapes \[1,6,6,2\] and \[2\] differ/,
    ],
    [
      'a y of another shape, behind an activation',
      () => run(kernels.ActGrad, { dy: image(), y: x([2]) }, { activation: 'relu' }),
      /MdtActGrad: y has shape/,
    ],
    [
      'a window larger than its image',
      () => run(kernels.MaxPoolNd, { x: image() }, { window: [9, 9], strides: [1, 1], pads: [0, 0] }),
      /window of 9x9 does not fit/,
    ],
    [
      'a dy of another shape, behind a pool',
      () => run(kernels.MaxPoolNdGrad, { dy: image(), x: image() }, { window: [2, 2], strides: [2, 2], pads: [0, 0] }),
      /MdtMaxPoolGrad: dy has shape \[1,6,6,2\], expected \[1,3,3,2\]/,
    ],
    [
      'a dy of another size than the resized image',
      () => run(kernels.ResizeGrad, { dy: image() }, { ...resize, inputSize: [2, 3] }),
      /MdtResizeGrad: dy has shape \[1,6,6,2\], expected \[1,4,2,2\]/,
    ],
    [
      'a size of another number of axes',
      () => run(kernels.Resize, { x: image() }, { ...resize, size: [4, 2, 2] }),
      /MdtResize: x has shape \[1,6,6,2\], expected 3 spatial axes/,
    ],
    [
      'a size of nothing',
      () => run(kernels.Resize, { x: image() }, { ...resize, size: [4, 0] }),
      /cannot resize \[1,6,6,2\] to \[1,4,0,2\]/,
    ],
    [
      'groups that do not divide the channels',
      () => run(kernels.GroupNorm, { x: image() }, { groups: 3, epsilon: 1e-5 }),
      /MdtGroupNorm: 3 groups do not divide the 2 channels/,
    ],
    [
      'a scale of another length',
      () => run(kernels.GroupNorm, { x: image(), scale: x([3]) }, norm),
      /MdtGroupNorm: scale has shape \[3\], expected \[2\]/,
    ],
    [
      'a dy of another shape, behind a norm',
      () => run(kernels.GroupNormGrad, { dy: x([2]), x: image() }, norm),
      /MdtGroupNormGrad: dy has shape/,
    ],
  ];
  for (const [name, call, message] of cases) test(`refuse ${name}`, () => expect(call()).toThrow(message));

  test('say at the read that they got integers', () => {
    const of = (shape: number[]) => x(shape, 'int32');
    const calls: [string, () => tf.Tensor | tf.Tensor[]][] = [
      ['ConvAct', run(kernels.ConvAct, { x: of([1, 6, 6, 2]), filter: filter() }, conv) as never],
      ['ConvAct', run(kernels.ConvAct, { x: image(), filter: of([3, 3, 2, 4]) }, conv) as never],
      ['ConvAct', run(kernels.ConvAct, { x: x([1, 6, 80, 2]), filter: filter(), bias: of([4]) }, conv) as never],
      ['GroupNorm', run(kernels.GroupNorm, { x: of([1, 6, 6, 2]) }, norm) as never],
      ['GroupNorm', run(kernels.GroupNorm, { x: image(), scale: of([2]) }, norm) as never],
      [
        'AdamStep',
        run(
          kernels.AdamStep,
          { value: x([2]), grad: of([2]), m: x([2]), v: x([2]) },
          { learningRate: 1, beta1: 0, beta2: 0, epsilon: 1, weightDecay: 0, step: 1 },
        ) as never,
      ],
    ];
    for (const [name, call] of calls) expect(() => [call()].flat()[0]!.dataSync(), name).toThrow(new RegExp(`^${name}\\(.*Int`));
  });

  test('say at the read that optimizer states differ in shape', () => {
    const attrs = { learningRate: 1, beta1: 0, beta2: 0, epsilon: 1, weightDecay: 0, step: 1 };
    const [value] = run(kernels.AdamStep, { value: x([2]), grad: x([3]), m: x([2]), v: x([2]) }, attrs)() as tf.Tensor[];
    expect(() => value!.dataSync()).toThrow(
      'AdamStep(Float[2], Float[3], Float[2], Float[2]): value, grad, m and v must have one shape',
    );
  });
});
