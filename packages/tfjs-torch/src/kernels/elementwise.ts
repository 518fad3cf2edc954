import { type DataType, upcastType, util } from '@tensorflow/tfjs-core';
import { dtypeCode, type TorchBackend } from '../backend.js';
import { runOnCpu } from '../cpu.js';
import { backendName, inputList, kernel, type TorchKernel } from '../kernel.js';
import { broadcastShape } from '../shapes.js';

// Kernels of one input `x` whose output has its type.
const unary = [
  'Abs Acos Acosh Asin Asinh Atan Atanh Ceil Cos Cosh Elu Erf Exp Expm1 Floor Log Log1p Neg Reciprocal Relu Relu6 Round',
  'Rsqrt Selu Sigmoid Sign Sin Sinh Softplus Sqrt Square Tan Tanh',
].flatMap((names) => names.split(' '));
const unaryToBool = ['IsFinite', 'IsInf', 'IsNan', 'LogicalNot'];

const binary = [
  'Add',
  'Atan2',
  'BitwiseAnd',
  'FloorDiv',
  'Maximum',
  'Minimum',
  'Mod',
  'Multiply',
  'Pow',
  'RealDiv',
  'SquaredDifference',
  'Sub',
];
const binaryToBool = ['Equal', 'Greater', 'GreaterEqual', 'Less', 'LessEqual', 'LogicalAnd', 'LogicalOr', 'NotEqual'];

// FloorDiv gives integers on every backend of TensorFlow.js.
const ownType: Partial<Record<string, DataType>> = { FloorDiv: 'int32', Atan2: 'float32' };

// These keep the type of x; the others compute in float32.
const keepsType = new Set(['Abs', 'Ceil', 'Floor', 'Neg', 'Relu', 'Relu6', 'Round', 'Sign', 'Square']);

// Whatever a tensor holds, strings included.
const identity: TorchKernel = {
  kernelName: 'Identity',
  backendName,
  kernelFunc: ({ inputs, backend }) => (backend as TorchBackend).alias(inputs.x!),
};

const complexToo = new Set(['Add', 'Equal', 'Multiply', 'Neg', 'NotEqual', 'RealDiv', 'Square', 'Sub']);

export const elementwise: TorchKernel[] = [
  ...unary.map((name) =>
    kernel<'x'>(
      name,
      ({ backend, inputs: { x } }) =>
        backend.run(name, [x], { shape: x.shape, dtype: keepsType.has(name) ? x.dtype : 'float32' }),
      { complex: complexToo.has(name) },
    ),
  ),
  ...unaryToBool.map((name) =>
    kernel<'x'>(name, ({ backend, inputs: { x } }) => backend.run(name, [x], { shape: x.shape, dtype: 'bool' })),
  ),
  ...[...binary, ...binaryToBool].map((name) =>
    kernel<'a' | 'b'>(
      name,
      ({ backend, inputs: { a, b } }) => {
        const common = a.dtype === 'bool' && b.dtype === 'bool' ? 'int32' : upcastType(a.dtype, b.dtype);
        const dtype = binaryToBool.includes(name) ? 'bool' : (ownType[name] ?? common);
        return backend.run(name, [a, b], { shape: broadcastShape(a.shape, b.shape, name), dtype });
      },
      { complex: complexToo.has(name) },
    ),
  ),
  kernel(
    'AddN',
    ({ backend, inputs }) => {
      const tensors = inputList(inputs);
      return backend.run('AddN', tensors, { shape: tensors[0]!.shape, dtype: tensors[0]!.dtype });
    },
    { complex: true },
  ),
  kernel<'x' | 'alpha'>('Prelu', ({ backend, inputs: { x, alpha } }) =>
    backend.run('Prelu', [x, alpha], { shape: broadcastShape(x.shape, alpha.shape, 'Prelu'), dtype: 'float32' }),
  ),
  kernel<'x', { alpha: number }>('LeakyRelu', ({ backend, inputs: { x }, attrs }) =>
    backend.run('LeakyRelu', [x], { shape: x.shape, dtype: 'float32' }, [attrs.alpha]),
  ),
  kernel<'x', { alpha: number }>('Step', ({ backend, inputs: { x }, attrs }) =>
    backend.run('Step', [x], { shape: x.shape, dtype: x.dtype }, [attrs.alpha]),
  ),
  kernel<'x', { clipValueMin: number; clipValueMax: number }>('ClipByValue', ({ backend, inputs: { x }, attrs }) =>
    backend.run('ClipByValue', [x], { shape: x.shape, dtype: x.dtype }, [attrs.clipValueMin, attrs.clipValueMax]),
  ),
  kernel<'dy' | 'y'>('EluGrad', ({ backend, inputs: { dy, y } }) =>
    backend.run('EluGrad', [dy, y], { shape: y.shape, dtype: 'float32' }),
  ),
  kernel<'x', { dtype: DataType }>(
    'Cast',
    ({ backend, inputs: { x }, attrs: { dtype } }) =>
      x.dtype === dtype ? backend.alias(x) : backend.run('Cast', [x], { shape: x.shape, dtype }, [dtypeCode(dtype, 'Cast')]),
    { complex: true },
  ),
  identity,
  kernel<never, { shape: number[]; value: number; dtype?: DataType }>('Fill', ({ backend, attrs: { shape, value, dtype } }) => {
    const type = dtype ?? util.inferDtype(value);
    if (type === 'string') return runOnCpu('Fill', { inputs: {}, attrs: { shape, value, dtype: type }, backend });
    return backend.run('Fill', [], { shape, dtype: type }, [dtypeCode(type, 'Fill'), value, shape]);
  }),
  ...(['ZerosLike', 'OnesLike'] as const).map((name) =>
    kernel<'x'>(
      name,
      ({ backend, inputs: { x } }) =>
        backend.run('Fill', [], { shape: x.shape, dtype: x.dtype }, [dtypeCode(x.dtype, name), name === 'OnesLike', x.shape]),
      { complex: name === 'ZerosLike' }, // TensorFlow.js refuses ones of complex numbers
    ),
  ),
  kernel<'condition' | 't' | 'e'>(
    'Select',
    ({ backend, inputs: { condition, t, e } }) =>
      backend.run('Select', [condition, t, e], { shape: t.shape, dtype: upcastType(t.dtype, e.dtype) }),
    { complex: true },
  ),
];
