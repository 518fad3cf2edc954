import { InputError } from '@mdt/core';
import type { AttributeValue, ElementType, Graph, GraphValue, Initializer, Node } from '@mdt/onnx';

/**
 * A tensor of the graph that is being built. TensorFlow.js keeps channels last; ONNX's convolutions, poolings and resizes want
 * them first. A value exists in one of the two orders, and in the other once somebody asked for it, so that a chain of
 * convolutions costs one transposition at each end.
 */
export interface Value {
  /** As TensorFlow.js has it, channels last. */
  readonly shape: readonly number[];
  readonly type: ElementType;
  /** What is known of it: its name in the order `[b, ...spatial, c]`, in `[b, c, ...spatial]`, or both. */
  names: { last?: string; first?: string };
  /** Its values, if it is a constant; one without a name becomes an initializer when it is first asked for. */
  readonly constant?: Initializer['data'];
}

/** Whether channels-first is the order that costs no transposition. */
export const isChannelsFirst = ({ names }: Value): boolean => names.first !== undefined && names.last === undefined;

export type Order = 'last' | 'first';

/** Collects nodes and constants under names that are its own. */
export class GraphBuilder {
  readonly #nodes: Node[] = [];
  readonly #initializers = new Map<string, Initializer>();
  readonly #taken = new Set<string>();

  /** A name that nothing has yet. */
  unique(stem: string): string {
    let name = stem;
    for (let n = 1; this.#taken.has(name); n++) name = `${stem}_${n}`;
    this.#taken.add(name);
    return name;
  }

  /** Adds a node with one output and returns the output's name. */
  node(op: string, inputs: readonly string[], attributes: Record<string, AttributeValue> = {}, output?: string): string {
    return this.nodes(op, inputs, [output ?? this.unique(op.toLowerCase())], attributes)[0]!;
  }

  nodes(
    op: string,
    inputs: readonly string[],
    outputs: readonly string[],
    attributes: Record<string, AttributeValue> = {},
  ): readonly string[] {
    this.#nodes.push({ op, name: `n${this.#nodes.length}_${op}`, inputs, outputs, attributes });
    return outputs;
  }

  initializer(stem: string, type: ElementType, shape: readonly number[], data: Initializer['data']): string {
    const name = this.unique(stem);
    this.#initializers.set(name, { name, type, shape, data });
    return name;
  }

  /** A list of whole numbers as a constant, as shapes and pads are passed. */
  integers(values: readonly number[]): string {
    const stem = `i_${values.join('_')}`;
    if (this.#initializers.has(stem)) return stem;
    return this.initializer(stem, 'int64', [values.length], BigInt64Array.from(values, BigInt));
  }

  floats(values: readonly number[], shape: readonly number[] = [values.length]): string {
    return this.initializer('f', 'float32', shape, Float32Array.from(values));
  }

  /** The name of a value in the order asked for; a transposition the first time it is not there. */
  in(order: Order, value: Value): string {
    const have = value.names[order];
    if (have !== undefined) return have;
    if (value.constant && value.names.first === undefined && value.names.last === undefined) {
      value.names.last = this.initializer('constant', value.type, value.shape, value.constant);
      return this.in(order, value);
    }
    const rank = value.shape.length;
    if (rank < 3) return this.in(order === 'last' ? 'first' : 'last', value);
    const other = order === 'first' ? value.names.last! : value.names.first!;
    const spatial = Array.from({ length: rank - 2 }, (_, d) => d + 1);
    const perm = order === 'first' ? [0, rank - 1, ...spatial] : [0, ...spatial.map((d) => d + 1), 1];
    const name = this.node('Transpose', [other], { perm }, this.unique(`${other}_${order}`));
    value.names[order] = name;
    return name;
  }

  /** The graph with only what its outputs need. */
  finish(name: string, inputs: readonly GraphValue[], outputs: readonly GraphValue[]): Graph {
    const needed = new Set(outputs.map((output) => output.name));
    const nodes: Node[] = [];
    for (const node of this.#nodes.toReversed()) {
      if (!node.outputs.some((output) => needed.has(output))) continue;
      nodes.push(node);
      for (const input of node.inputs) if (input !== '') needed.add(input);
    }
    const initializers = [...this.#initializers.values()].filter((tensor) => needed.has(tensor.name));
    return { name, nodes: nodes.reverse(), initializers, inputs, outputs };
  }
}

/** What the export of a kernel may ask for. */
export interface KernelCall {
  readonly builder: GraphBuilder;
  readonly kernel: string;
  readonly attrs: Readonly<Record<string, unknown>>;
  /** The input of that name. */
  value(name: string): Value;
  /** The inputs of a kernel that takes a list. */
  readonly values: readonly Value[];
  /** The input of that name if it was given. */
  optional(name: string): Value | undefined;
  /** Shape and type of the result, channels last. */
  readonly shape: readonly number[];
  readonly type: ElementType;
  readonly calledFrom: string;
  /**
   * A list of sizes that the call was given, fit for the sizes that the graph is to take: as they are when those are fixed;
   * else the one that changes with them is −1.
   */
  flexible(attribute: string): number[];
}

/** Writes one kernel call as ONNX nodes; gives the name of the result and the order it is in. */
export type KernelExport = (call: KernelCall) => { name: string; order: Order };

/** Refuses a call, naming the line it came from. */
export function cannotExport({ kernel, calledFrom }: Pick<KernelCall, 'kernel' | 'calledFrom'>, why: string): never {
  throw new InputError('unsupported-format', `exportOnnx: ${kernel} cannot be exported: ${why} (called from ${calledFrom})`);
}
