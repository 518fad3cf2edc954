import { cannotExport, isChannelsFirst, type KernelExport, type Order, type Value } from '../graph-builder.js';
import { activated } from './activation.js';

/** Where axis `axis` of channels-last is in the given order. */
const axisIn = (order: Order, axis: number, rank: number): number => {
  const positive = axis < 0 ? axis + rank : axis;
  if (order === 'last' || positive === 0) return positive;
  return positive === rank - 1 ? 1 : positive + 1;
};

/** One number per axis, moved to the given order. */
const perAxisIn = (order: Order, values: readonly number[]): number[] =>
  order === 'last' ? [...values] : [values[0]!, values.at(-1)!, ...values.slice(1, -1)];

/** The order that the value has without a transposition. */
const cheapest = (value: Value): Order => (isChannelsFirst(value) ? 'first' : 'last');

const asList = (value: unknown, rank: number): number[] => {
  if (value === undefined || value === null) return Array.from({ length: rank }, (_, d) => d);
  return Array.isArray(value) ? (value as number[]) : [Number(value)];
};

function reduction(op: string): KernelExport {
  return (call) => {
    const { builder, attrs } = call;
    const x = call.value('x');
    const rank = x.shape.length;
    const keepDims = Boolean(attrs.keepDims);
    const order = keepDims ? cheapest(x) : 'last';
    const axes = asList(attrs.axis ?? attrs.reductionIndices, rank).map((axis) => axisIn(order, axis, rank));
    const attributes = { keepdims: keepDims ? 1 : 0 };
    const input = builder.in(order, x);
    // Until opset 18 only ReduceSum takes its axes as an input.
    const name =
      op === 'ReduceSum'
        ? builder.node(op, [input, builder.integers(axes)], attributes)
        : builder.node(op, [input], { ...attributes, axes });
    return { name, order };
  };
}

function softmax(op: string, axisName: string): KernelExport {
  return (call) => {
    const logits = call.value('logits');
    const order = cheapest(logits);
    const axis = axisIn(order, Number(call.attrs[axisName] ?? -1), logits.shape.length);
    return { name: call.builder.node(op, [call.builder.in(order, logits)], { axis }), order };
  };
}

const reshape: KernelExport = (call) => {
  const { builder } = call;
  const x = call.value('x');
  const target = call.flexible('shape');
  return { name: builder.node('Reshape', [builder.in('last', x), builder.integers(target)]), order: 'last' };
};

const transpose: KernelExport = (call) => ({
  name: call.builder.node('Transpose', [call.builder.in('last', call.value('x'))], { perm: [...(call.attrs.perm as number[])] }),
  order: 'last',
});

const concat: KernelExport = (call) => {
  const { builder, values } = call;
  const order: Order = values.every((value) => value.names.first !== undefined) ? 'first' : 'last';
  const axis = axisIn(order, Number(call.attrs.axis), call.shape.length);
  return {
    name: builder.node(
      'Concat',
      values.map((value) => builder.in(order, value)),
      { axis },
    ),
    order,
  };
};

const pad: KernelExport = (call) => {
  const { builder, attrs } = call;
  const x = call.value('x');
  const order = cheapest(x);
  const paddings = attrs.paddings as [number, number][];
  const sides = [0, 1].flatMap((side) =>
    perAxisIn(
      order,
      paddings.map((pair) => pair[side]!),
    ),
  );
  const value = builder.floats([Number(attrs.constantValue ?? 0)], []);
  return { name: builder.node('Pad', [builder.in(order, x), builder.integers(sides), value], { mode: 'constant' }), order };
};

const slice: KernelExport = (call) => {
  const { builder, attrs } = call;
  const x = call.value('x');
  const order = cheapest(x);
  const rank = x.shape.length;
  const begin = asList(attrs.begin, rank);
  const size = call.flexible('size');
  const toTheEnd = 2 ** 31 - 1; // ONNX cuts an end past the axis off
  const axes: number[] = [];
  const starts: number[] = [];
  const ends: number[] = [];
  for (let d = 0; d < rank; d++) {
    const from = begin[d] ?? 0;
    const whole = size[d] === -1 || from + size[d]! === x.shape[d];
    if (from === 0 && whole) continue;
    axes.push(axisIn(order, d, rank));
    starts.push(from);
    ends.push(whole ? toTheEnd : from + size[d]!);
  }
  const input = builder.in(order, x);
  if (axes.length === 0) return { name: builder.node('Identity', [input]), order };
  return { name: builder.node('Slice', [input, ...[starts, ends, axes].map((list) => builder.integers(list))]), order };
};

const expandDims: KernelExport = (call) => {
  const { builder, attrs } = call;
  const rank = call.shape.length;
  const axis = Number(attrs.dim) < 0 ? Number(attrs.dim) + rank : Number(attrs.dim);
  return {
    name: builder.node('Unsqueeze', [builder.in('last', call.value('input')), builder.integers([axis])]),
    order: 'last',
  };
};

const tile: KernelExport = (call) => {
  const x = call.value('x');
  const order = cheapest(x);
  const reps = call.builder.integers(perAxisIn(order, call.attrs.reps as number[]));
  return { name: call.builder.node('Tile', [call.builder.in(order, x), reps]), order };
};

const gather: KernelExport = (call) => {
  const { builder, attrs } = call;
  if (Number(attrs.batchDims ?? 0) !== 0) cannotExport(call, 'no batch dimensions of a gather');
  const inputs = [builder.in('last', call.value('x')), builder.in('last', call.value('indices'))];
  return { name: builder.node('Gather', inputs, { axis: Number(attrs.axis ?? 0) }), order: 'last' };
};

const matMul: KernelExport = (call) => {
  const { builder, attrs } = call;
  const side = (name: string, turned: boolean): string => {
    const value = call.value(name);
    const rank = value.shape.length;
    const plain = builder.in('last', value);
    if (!turned) return plain;
    const perm = [...Array.from({ length: rank - 2 }, (_, d) => d), rank - 1, rank - 2];
    return builder.node('Transpose', [plain], { perm });
  };
  let name = builder.node('MatMul', [side('a', Boolean(attrs.transposeA)), side('b', Boolean(attrs.transposeB))]);
  const bias = call.optional('bias');
  if (bias) name = builder.node('Add', [name, builder.in('last', bias)]);
  return { name: activated(call, name, attrs.activation), order: 'last' };
};

export const shapeKernels: Record<string, KernelExport> = {
  Mean: reduction('ReduceMean'),
  Sum: reduction('ReduceSum'),
  Max: reduction('ReduceMax'),
  Min: reduction('ReduceMin'),
  Prod: reduction('ReduceProd'),
  Softmax: softmax('Softmax', 'dim'),
  LogSoftmax: softmax('LogSoftmax', 'axis'),
  Reshape: reshape,
  Transpose: transpose,
  Concat: concat,
  PadV2: pad,
  Slice: slice,
  ExpandDims: expandDims,
  Tile: tile,
  GatherV2: gather,
  BatchMatMul: matMul,
  _FusedMatMul: matMul,
};
