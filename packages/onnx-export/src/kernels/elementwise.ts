import { elementTypes } from '@mdt/onnx';
import { cannotExport, isChannelsFirst, type KernelCall, type KernelExport, type Order, type Value } from '../graph-builder.js';
import { activated } from './activation.js';

/** The order that costs no transposition: channels first where some operand of full rank is there already. */
function commonOrder(values: readonly Value[], rank: number): Order {
  const full = values.filter((value) => value.shape.length === rank && rank >= 3);
  return full.some(isChannelsFirst) ? 'first' : 'last';
}

/** An operand as the broadcast wants it: one that has fewer axes than the result gets them where its order needs them. */
export function operand({ builder }: KernelCall, value: Value, rank: number, order: Order): string {
  const own = value.shape.length;
  if (order === 'last' || own === 0 || own === rank) return builder.in(own === rank ? order : 'last', value);
  // [c] against [b, c, ...]: the channels move in front of the spatial axes.
  const padded = [...Array(rank - own).fill(1), ...value.shape];
  const first = [padded[0]!, padded.at(-1)!, ...padded.slice(1, -1)];
  if (padded.slice(1, -1).some((n) => n !== 1)) {
    const wide: Value = { ...value, shape: padded, names: { last: reshaped(builder.in('last', value), padded, builder) } };
    return builder.in('first', wide);
  }
  return reshaped(builder.in('last', value), first, builder);
}

const reshaped = (name: string, shape: readonly number[], builder: KernelCall['builder']): string =>
  builder.node('Reshape', [name, builder.integers(shape)]);

function elementwise(
  op: string,
  inputs: readonly string[],
  rest?: (call: KernelCall) => Parameters<KernelCall['builder']['node']>[2],
): KernelExport {
  return (call) => {
    const values = inputs.map((name) => call.value(name));
    const rank = call.shape.length;
    const order = commonOrder(values, rank);
    const operands = values.map((value) => operand(call, value, rank, order));
    return { name: call.builder.node(op, operands, rest?.(call)), order };
  };
}

/** Several nodes after one another on one operand. */
function chain(step: (call: KernelCall, x: string) => string): KernelExport {
  return (call) => {
    const x = call.value('x');
    const order = commonOrder([x], call.shape.length);
    return { name: step(call, call.builder.in(order, x)), order };
  };
}

const addAll: KernelExport = (call) => {
  const { builder, values, shape } = call;
  const order = commonOrder(values, shape.length);
  return {
    name: builder.node(
      'Sum',
      values.map((value) => builder.in(order, value)),
    ),
    order,
  };
};

const addActivated: KernelExport = (call) => {
  const sum = elementwise('Add', ['a', 'b'])(call);
  return { ...sum, name: activated(call, sum.name, call.attrs.activation) };
};

const cast: KernelExport = (call) => {
  const types: Record<string, number> = elementTypes;
  const to = types[String(call.attrs.dtype)];
  if (to === undefined) return cannotExport(call, `no ONNX type for ${String(call.attrs.dtype)}`);
  return chain(({ builder }, x) => builder.node('Cast', [x], { to }))(call);
};

const clip: KernelExport = chain(({ builder, attrs }, x) =>
  builder.node('Clip', [x, builder.floats([Number(attrs.clipValueMin)], []), builder.floats([Number(attrs.clipValueMax)], [])]),
);

const binary: Record<string, string> = {
  Add: 'Add',
  Sub: 'Sub',
  Multiply: 'Mul',
  RealDiv: 'Div',
  Maximum: 'Max',
  Minimum: 'Min',
  Pow: 'Pow',
  Greater: 'Greater',
  GreaterEqual: 'GreaterOrEqual',
  Less: 'Less',
  LessEqual: 'LessOrEqual',
  Equal: 'Equal',
  LogicalAnd: 'And',
  LogicalOr: 'Or',
};

const unary: Record<string, string> = {
  Relu: 'Relu',
  Elu: 'Elu',
  Sigmoid: 'Sigmoid',
  Tanh: 'Tanh',
  Exp: 'Exp',
  Log: 'Log',
  Sqrt: 'Sqrt',
  Abs: 'Abs',
  Neg: 'Neg',
  Softplus: 'Softplus',
  Floor: 'Floor',
  Ceil: 'Ceil',
  Round: 'Round',
  Erf: 'Erf',
  Reciprocal: 'Reciprocal',
  LogicalNot: 'Not',
  Identity: 'Identity',
};

export const elementwiseKernels: Record<string, KernelExport> = {
  ...Object.fromEntries(Object.entries(binary).map(([kernel, op]) => [kernel, elementwise(op, ['a', 'b'])])),
  ...Object.fromEntries(Object.entries(unary).map(([kernel, op]) => [kernel, elementwise(op, ['x'])])),
  Select: elementwise('Where', ['condition', 't', 'e']),
  Prelu: elementwise('PRelu', ['x', 'alpha']),
  LeakyRelu: elementwise('LeakyRelu', ['x'], ({ attrs }) => ({ alpha: { float: Number(attrs.alpha) } })),
  Relu6: chain(({ builder }, x) => builder.node('Clip', [x, builder.floats([0], []), builder.floats([6], [])])),
  ClipByValue: clip,
  Square: chain(({ builder }, x) => builder.node('Mul', [x, x])),
  Rsqrt: chain(({ builder }, x) => builder.node('Reciprocal', [builder.node('Sqrt', [x])])),
  Cast: cast,
  AddN: addAll,
  MdtAddAct: addActivated,
  MdtAddActLinear: addActivated,
};
