// One right call of everything that the addon has, for misuse.ts to spoil argument by argument. misuse.test.ts compares the
// names with those that the addon gives: a new export or kernel without a row fails.

/** Elements of a tensor by the letter of its type: f float32, i int32, b bool, c complex64; `f2x3` has the shape [2, 3]. */
export type Input = `${'f' | 'i' | 'b' | 'c'}${string}` | null;
/** A list goes to native code after its length. */
export type Attr = number | number[];

export interface KernelCall {
  inputs: Input[];
  attrs: Attr[];
  /** How many tensors come out. Default 1. */
  outputs?: number;
}

const call = (inputs: Input[], attrs: Attr[] = [], outputs = 1): KernelCall => ({ inputs, attrs, outputs });

/** The same row for each of the names. */
const each = (names: string, row: KernelCall): Record<string, KernelCall> =>
  Object.fromEntries(names.split(' ').map((name) => [name, row]));

const window2d: Attr[] = [
  [2, 2],
  [1, 1],
  [0, 0],
];
const linear = 0; // activation
const float32 = 0; // precision, and the code of the type
const convAttrs: Attr[] = [[1, 1], [1, 1], linear, float32];
const grouped: Attr[] = [[1, 1], [1, 1], [1, 1], 1];
const roi: Attr[] = [[2, 2], [1, 1, 0.5, 0.5], 1, 0, [2, 4, 5, 2, 2, 2, 3, 2]]; // two maps of two images
const doubled: Attr[] = [1, 0, [4, 5], [8, 10], 2, 2];

/** By native kernel. */
export const kernelCalls: Readonly<Record<string, KernelCall>> = {
  ...each('Abs Acos Acosh Asin Asinh Atan Atanh Ceil Cos Cosh Elu Erf Exp Expm1 Floor Identity IsFinite IsInf', call(['f2x3'])),
  ...each('IsNan Log Log1p Neg Reciprocal Relu Relu6 Round Rsqrt Selu Sigmoid Sign Sin Sinh Softplus Sqrt', call(['f2x3'])),
  ...each('Square Tan Tanh Softmax LogSoftmax', call(['f2x3'])),
  ...each('LogicalNot', call(['b2x3'])),
  ...each('Add Atan2 Equal FloorDiv Greater GreaterEqual Less LessEqual Maximum Minimum Mod', call(['f2x3', 'f2x3'])),
  ...each('Multiply NotEqual Pow Prelu RealDiv SquaredDifference Sub EluGrad', call(['f2x3', 'f2x3'])),
  ...each('LogicalAnd LogicalOr', call(['b2x3', 'b2x3'])),
  BitwiseAnd: call(['i2x3', 'i2x3']),
  Cast: call(['f2x3'], [1]),
  Fill: call([], [float32, 0.5, [2, 3]]),
  ...each('Step LeakyRelu', call(['f2x3'], [0.2])),
  ClipByValue: call(['f2x3'], [-1, 1]),
  AddN: call(['f2x3', 'f2x3', 'f2x3']),
  Select: call(['b2x3', 'f2x3', 'f2x3']),
  AddAct: call(['f2x3', 'f2x3'], [1, 0]),
  ActGrad: call(['f2x3', 'f2x3'], [1]),
  ...each('Sum Mean Max Min Prod', call(['f2x3'], [[0], 0])),
  ...each('All Any', call(['b2x3'], [[0], 0])),
  ...each('ArgMax ArgMin', call(['f2x3'], [0])),
  ...each('Cumsum Cumprod', call(['f2x3'], [0, 0, 0])),
  Reshape: call(['f2x3'], [[3, 2]]),
  Slice: call(
    ['f2x3'],
    [
      [0, 1],
      [2, 2],
    ],
  ),
  PadV2: call(['f2x3'], [0, [1, 0], [0, 1]]),
  Concat: call(['f2x3', 'f2x3'], [1]),
  SplitV: call(['f2x3'], [1, [1, 2]], 2),
  Transpose: call(['f2x3'], [[1, 0]]),
  Tile: call(['f2x3'], [[2, 1]]),
  BroadcastTo: call(['f1x3'], [[2, 3]]),
  Reverse: call(['f2x3'], [[1]]),
  StridedSlice: call(
    ['f2x3'],
    [
      [0, 0],
      [2, 3],
      [1, 2],
    ],
  ),
  Pack: call(['f2x3', 'f2x3'], [0]),
  Take: call(['f2x3'], [1, [0, 2]]),
  Unpack: call(['f2x3'], [0], 2),
  GatherV2: call(['f2x3', 'i2'], [0, 0, [2, 3]]),
  GatherNd: call(['f2x3', 'i2x1'], [[2, 3]]),
  ScatterNd: call(['i2x1', 'f2x3'], [[2, 3], 1]),
  TensorScatterUpdate: call(['i2x1', 'f2x3', 'f2x3'], [[2, 3], 1]),
  UnsortedSegmentSum: call(['f2x3', 'i2'], [2]),
  OneHot: call(['i3'], [1, 4, 1, 0]),
  TopK: call(['f2x3'], [2], 2),
  BatchMatMul: call(['f2x3', 'f3x2'], [0, 0, float32]),
  Einsum: call(['f2x3', 'f3x2'], [Array.from('ij,jk->ik', (letter) => letter.charCodeAt(0))]),
  ConvAct: call(['f1x4x5x2', 'f3x3x2x3', 'f3'], convAttrs),
  ConvActInputGrad: call(['f1x4x5x3', null, 'f3x3x2x3'], [...convAttrs, [1, 4, 5, 2]]),
  ConvActFilterGrad: call(['f1x4x5x3', null, 'f1x4x5x2'], [...convAttrs, [3, 3, 2, 3]], 2),
  GroupedConv: call(['f1x4x5x2', 'f3x3x2x3'], grouped),
  GroupedConvInputGrad: call(['f1x4x5x3', 'f3x3x2x3'], [...grouped, [1, 4, 5, 2]]),
  GroupedConvFilterGrad: call(['f1x4x5x3', 'f1x4x5x2'], [...grouped, [3, 3, 2, 3]]),
  Complex: call(['f2x3', 'f2x3']),
  ...each('Real Imag ComplexAbs FFT IFFT', call(['c2x4'])),
  FusedBatchNorm: call(['f1x4x5x2', 'f2', 'f2', 'f2', 'f2'], [0.001]),
  MaxPool: call(['f1x4x5x2'], [...window2d, [0, 0], 1]),
  MaxPoolGrad: call(['f1x3x4x2', 'f1x4x5x2'], [...window2d, [0, 0], 1]),
  MeanPool: call(['f1x4x5x2'], [...window2d, [0, 0]]),
  MeanPoolGrad: call(['f1x3x4x2'], [...window2d, [0, 0], [1, 4, 5, 2]]),
  Resize: call(['f1x4x5x2'], doubled),
  ResizeGrad: call(['f1x8x10x2'], doubled),
  GroupNorm: call(['f1x4x5x2', 'f2', 'f2'], [2, 1e-5]),
  GroupNormGrad: call(['f1x4x5x2', 'f1x4x5x2', 'f2'], [2, 1e-5], 3),
  ChannelMoments: call(['f1x4x5x2'], [], 2),
  AdamStep: call(['f2x3', 'f2x3', 'f2x3', 'f2x3'], [0.001, 0.9, 0.999, 1e-8, 0, 1, 0, 0, 0], 3),
  RoiAlign: call(['f3x4', 'i3', 'i3', 'f2x4x5x2', 'f2x2x3x2'], roi),
  RoiAlignGrad: call(['f3x2x2x2', 'f3x4', 'i3', 'i3'], roi, 2),
};

/** By export: right arguments after `start`, or what there is to say of their order. Slot 0 holds a tensor. */
export const exportCalls: Readonly<Record<string, readonly unknown[]>> = {
  start: [new Float64Array(new SharedArrayBuffer(8 * 256)), 1, 'cpu'], // refused: it was called before
  run: [0],
  upload: [0, 0, Float32Array.of(1, 2, 3)],
  free: [1],
  readSync: [0],
  read: [0],
  idle: [],
  memory: [],
  deviceMemory: [],
  resetPeak: [],
  emptyPool: [],
  profile: [],
  setThreads: [2],
  configure: [false, false, Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY],
  openCudaOps: ['/nowhere.node'],
};
