import { nearestName, product } from '@mdt/core';
import type { ElementType, Graph, GraphValue } from '@mdt/onnx';
import * as tf from '@tensorflow/tfjs-core';
import { cannotExport, GraphBuilder, type KernelCall, type Value } from './graph-builder.js';
import { kernelExports } from './kernels/index.js';
import { type Trace, type TracedCall, type TracedTensor, trace } from './trace.js';

/** An axis that is to take any size: what it is called, and two sizes to try the network with. */
export interface FreeAxis {
  readonly name: string;
  readonly sizes: readonly [number, number];
}

/** What goes into the network: float32, channels last; each axis a size, or free. */
export interface NetworkInput {
  readonly name: string;
  readonly shape: readonly (number | FreeAxis)[];
}

export type Network = (inputs: Readonly<Record<string, tf.Tensor>>) => Record<string, tf.Tensor>;

/**
 * The ONNX graph of a network, recorded from the kernels that a run on the active backend calls. With free axes it runs twice,
 * with both sizes, to see what follows them.
 *
 * @throws InputError `unsupported-format` for a kernel that has no ONNX form, naming the line that called it
 */
export function networkGraph(name: string, network: Network, inputs: readonly NetworkInput[]): Graph {
  const first = record(network, inputs, 0);
  const isFree = inputs.some(({ shape }) => shape.some((axis) => typeof axis !== 'number'));
  const second = isFree ? record(network, inputs, 1) : undefined;
  if (second && second.calls.length !== first.calls.length) {
    throw new RangeError(
      `${name}: the network makes ${first.calls.length} calls at one size and ${second.calls.length} at another; export it with fixed sizes`,
    );
  }
  const builder = new GraphBuilder();
  const values = new Map<number, Value>();
  inputs.forEach((input, i) => {
    const tensor = first.inputs[i]!;
    values.set(tensor.id, { shape: tensor.shape, type: 'float32', names: { last: builder.unique(input.name) } });
  });
  for (const [id, { tensor, values: data }] of first.constants) {
    const type = elementType(tensor, { kernel: 'a constant', calledFrom: 'the network' });
    values.set(id, { shape: tensor.shape, type, names: {}, constant: data });
  }
  for (const [i, call] of first.calls.entries()) {
    const write = kernelExports[call.kernel];
    if (!write) {
      const near = nearestName(call.kernel, Object.keys(kernelExports));
      return cannotExport(call, `it has no ONNX form here${near ? `, the nearest that has is ${near}` : ''}`);
    }
    const [output] = call.outputs as [TracedTensor];
    const type = elementType(output, call);
    const exported = write(callOf(builder, values, call, second?.calls[i], output, type));
    values.set(output.id, { shape: output.shape, type, names: { [exported.order]: exported.name } });
  }
  const outputs = Object.entries(first.outputs).map(([key, tensor]): GraphValue => {
    const value = values.get(tensor.id)!;
    builder.node('Identity', [builder.in('last', value)], {}, builder.unique(key));
    return { name: key, type: value.type, shape: openShape(tensor, second?.outputs[key], inputs, key) };
  });
  const graphInputs = inputs.map(
    (input): GraphValue => ({
      name: input.name,
      type: 'float32',
      shape: input.shape.map((axis) => (typeof axis === 'number' ? axis : axis.name)),
    }),
  );
  return builder.finish(name, graphInputs, outputs);
}

interface Recording extends Trace {
  readonly inputs: readonly TracedTensor[];
}

function record(network: Network, inputs: readonly NetworkInput[], which: 0 | 1): Recording {
  const tensors = inputs.map(({ shape }) => tf.zeros(shape.map((axis) => (typeof axis === 'number' ? axis : axis.sizes[which]))));
  try {
    const named = Object.fromEntries(inputs.map(({ name }, i) => [name, tensors[i]!]));
    const traced = trace(() => network(named), tensors);
    return { ...traced, inputs: tensors.map(({ id, shape, dtype }) => ({ id, shape: [...shape], dtype })) };
  } finally {
    tf.dispose(tensors);
  }
}

function elementType({ dtype }: TracedTensor, call: Pick<TracedCall, 'kernel' | 'calledFrom'>): ElementType {
  if (dtype === 'float32' || dtype === 'int32' || dtype === 'bool') return dtype;
  return cannotExport(call, `tensors of ${dtype} have no place in a network`);
}

function callOf(
  builder: GraphBuilder,
  values: ReadonlyMap<number, Value>,
  call: TracedCall,
  other: TracedCall | undefined,
  output: TracedTensor,
  type: ElementType,
): KernelCall {
  const lookup = (tensor: TracedTensor): Value => values.get(tensor.id)!;
  const optional = (name: string): Value | undefined => {
    const input = call.inputs[name];
    return input === undefined ? undefined : lookup(input as TracedTensor);
  };
  return {
    builder,
    kernel: call.kernel,
    attrs: call.attrs,
    calledFrom: call.calledFrom,
    shape: output.shape,
    type,
    values: Object.values(call.inputs)
      .flat()
      .map((tensor) => lookup(tensor as TracedTensor)),
    optional,
    value: (name) => optional(name) ?? cannotExport(call, `it has no input '${name}'`),
    flexible: (attribute) => flexible(call, other, attribute),
  };
}

/** The sizes of an attribute; the one that is not the same for both sizes of the network becomes −1. */
function flexible(call: TracedCall, other: TracedCall | undefined, attribute: string): number[] {
  const sizes = [...(call.attrs[attribute] as number[])];
  if (!other) return sizes;
  const others = other.attrs[attribute] as number[];
  const open = sizes.flatMap((size, d) => (size !== others[d] || size === -1 ? [d] : []));
  // A leading axis that is the input's is copied, which leaves the −1 to another.
  const input = (call.inputs.x ?? Object.values(call.inputs)[0]) as TracedTensor;
  if (call.kernel === 'Reshape' && open.length > 1 && open[0] === 0 && sizes[0] === input.shape[0]) {
    sizes[0] = 0;
    open.shift();
  }
  if (call.kernel === 'Reshape' && open.length > 1) {
    cannotExport(call, `more than one size of [${sizes.join(', ')}] changes with the input; export with fixed sizes`);
  }
  for (const d of open) sizes[d] = -1;
  return sizes;
}

/** Sizes of an output; those that follow a free axis under its name. */
function openShape(
  { shape }: TracedTensor,
  other: TracedTensor | undefined,
  inputs: readonly NetworkInput[],
  key: string,
): (number | string)[] {
  const free = inputs.flatMap((input) => input.shape.filter((axis): axis is FreeAxis => typeof axis !== 'number'));
  return shape.map((size, d) => {
    if (!other || other.shape[d] === size) return size;
    const axis = free.find(({ sizes }) => sizes[0] === size && sizes[1] === other.shape[d]);
    return axis?.name ?? `${key}_${d}`;
  });
}

/** Values that a graph's constants hold. */
export const parameterCount = (graph: Graph): number => graph.initializers.reduce((sum, { shape }) => sum + product(shape), 0);
