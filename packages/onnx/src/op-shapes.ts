import { product } from '@mdt/core';
import { integerAttribute, listAttribute, textAttribute } from './constants.js';
import type { ReadNode } from './model-reader.js';

export type Shape = readonly number[];

/** What the shape of an op's result may depend on. */
export interface OpCall {
  readonly node: ReadNode;
  /** Shapes of the inputs; undefined for one that is left out. */
  readonly shapes: readonly (Shape | undefined)[];
  /** The values of an input that is a small constant. */
  constant(input: number): readonly number[] | undefined;
}

type Rule = (call: OpCall) => Shape | undefined;

const same: Rule = ({ shapes }) => shapes[0];

const broadcast: Rule = ({ shapes }) => {
  const given = shapes.filter((shape) => shape !== undefined);
  const rank = Math.max(...given.map((shape) => shape.length));
  return Array.from({ length: rank }, (_, d) => Math.max(...given.map((shape) => shape[d - rank + shape.length] ?? 1)));
};

/** Cells that a window of `kernel` cells gives along each axis. */
function windows(node: ReadNode, size: Shape, kernel: readonly number[]): Shape {
  const strides = listAttribute(node, 'strides') ?? size.map(() => 1);
  const dilations = listAttribute(node, 'dilations') ?? size.map(() => 1);
  const pads = listAttribute(node, 'pads') ?? [];
  const isSame = (textAttribute(node, 'auto_pad') ?? 'NOTSET').startsWith('SAME');
  return size.map((n, d) => {
    const stride = Math.max(1, strides[d] ?? 1);
    if (isSame) return Math.ceil(n / stride);
    const padded = n + (pads[d] ?? 0) + (pads[d + size.length] ?? 0);
    return Math.max(0, Math.ceil((padded - (dilations[d] ?? 1) * ((kernel[d] ?? 1) - 1) - 1) / stride) + 1);
  });
}

const convolution: Rule = ({ node, shapes: [x, filter] }) =>
  x && filter && [x[0]!, filter[0]!, ...windows(node, x.slice(2), filter.slice(2))];

const pool: Rule = ({ node, shapes: [x] }) =>
  x && [x[0]!, x[1]!, ...windows(node, x.slice(2), listAttribute(node, 'kernel_shape') ?? [])];

const resize: Rule = ({ shapes: [x], constant }) => {
  const sizes = constant(3);
  if (x && sizes?.length === x.length) return sizes;
  const scales = constant(2);
  return x && scales?.length === x.length ? x.map((n, d) => Math.ceil(n * scales[d]!)) : undefined;
};

const reshape: Rule = ({ shapes: [x], constant }) => {
  const wanted = constant(1);
  if (!x || !wanted) return undefined;
  const known = wanted.map((n, d) => (n === 0 ? (x[d] ?? 0) : n));
  const rest = product(known.filter((n) => n >= 0));
  return known.map((n) => (n < 0 ? (rest > 0 ? Math.ceil(product(x) / rest) : 0) : n));
};

const transpose: Rule = ({ node, shapes: [x] }) => {
  const perm = listAttribute(node, 'perm');
  return x && (perm ? perm.map((d) => x[d] ?? 0) : [...x].reverse());
};

const concat: Rule = ({ node, shapes }) => {
  const [first] = shapes;
  const axis = integerAttribute(node, 'axis', 0);
  const at = first && axis < 0 ? axis + first.length : axis;
  return first?.map((n, d) => (d === at ? shapes.reduce((sum, shape) => sum + (shape?.[d] ?? 0), 0) : n));
};

const padded: Rule = ({ shapes: [x], constant }) => {
  const pads = constant(1);
  return x && pads && x.map((n, d) => Math.max(0, n + (pads[d] ?? 0) + (pads[d + x.length] ?? 0)));
};

const matMul: Rule = ({ shapes: [a, b] }) => {
  if (!a || !b || a.length < 2 || b.length < 2) return undefined;
  const batch = a.length >= b.length ? a.slice(0, -2) : b.slice(0, -2);
  return [...batch, a.at(-2)!, b.at(-1)!];
};

const gemm: Rule = ({ node, shapes: [a, b] }) =>
  a && b && [a[integerAttribute(node, 'transA', 0) ? 1 : 0]!, b[integerAttribute(node, 'transB', 0) ? 0 : 1]!];

const tile: Rule = ({ shapes: [x], constant }) => {
  const reps = constant(1);
  return x && reps && x.map((n, d) => n * Math.max(0, reps[d] ?? 1));
};

const gather: Rule = ({ node, shapes: [x, indices] }) => {
  const axis = integerAttribute(node, 'axis', 0);
  const at = x && axis < 0 ? axis + x.length : axis;
  return x && indices && [...x.slice(0, at), ...indices, ...x.slice(at + 1)];
};

/** Axes of length 1 put in; their places count in the result. */
const unsqueeze: Rule = ({ shapes: [x], constant }) => {
  const axes = constant(1);
  if (!x || !axes) return undefined;
  const rank = x.length + axes.length;
  const ones = new Set(axes.map((d) => (d < 0 ? d + rank : d)));
  let from = 0;
  return Array.from({ length: rank }, (_, d) => (ones.has(d) ? 1 : (x[from++] ?? 1)));
};

const names = (rule: Rule, list: string): [string, Rule][] => list.split(' ').map((name) => [name, rule]);

/**
 * How large the results of ops are: those that networks are made of, as far as their size follows from sizes and small constants. A
 * reduction counts as large as its input.
 */
export const opShapes: ReadonlyMap<string, Rule> = new Map([
  ...names(
    same,
    'Relu Elu Sigmoid Tanh Exp Log Sqrt Abs Neg Softplus Floor Ceil Round Erf Reciprocal Not Identity LeakyRelu Clip',
  ),
  ...names(same, 'Cast Softmax LogSoftmax BatchNormalization InstanceNormalization QuantizeLinear DequantizeLinear Slice'),
  ...names(same, 'ReduceMean ReduceSum ReduceMax ReduceMin ReduceProd HardSwish HardSigmoid Gelu Sign Squeeze GlobalAveragePool'),
  ...names(broadcast, 'Add Sub Mul Div Max Min Pow Sum Greater GreaterOrEqual Less LessOrEqual Equal And Or Where PRelu'),
  ...names(convolution, 'Conv'),
  ...names(pool, 'MaxPool AveragePool'),
  ...names(resize, 'Resize'),
  ...names(reshape, 'Reshape'),
  ...names(transpose, 'Transpose'),
  ...names(concat, 'Concat'),
  ...names(padded, 'Pad'),
  ...names(matMul, 'MatMul'),
  ...names(gemm, 'Gemm'),
  ...names(tile, 'Tile'),
  ...names(gather, 'Gather'),
  ...names(unsqueeze, 'Unsqueeze'),
]);
