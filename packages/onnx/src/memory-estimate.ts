import { InputError, nearestName, product } from '@mdt/core';
import { smallConstant } from './constants.js';
import type { ModelPart } from './model-part.js';
import type { ReadModel, ReadNode } from './model-reader.js';
import { opShapes, type Shape } from './op-shapes.js';

const valueBytes = 4; // no op that networks are made of has larger results

/** What one forward pass needs, as far as a graph says. */
export interface Needs {
  /** The most bytes that constants and results of ops take at one time, when each is let go after its last use. */
  readonly bytes: number;
  /** Multiplications with additions; of other ops one for each value. */
  readonly operations: number;
}

/**
 * Estimates what a part of a graph needs, before it runs.
 *
 * @throws InputError `unsupported-format` for ops that are not among those of networks, `invalid-data` for sizes that nobody can tell
 */
export function estimateNeeds(model: ReadModel, part: ModelPart, inputs: ReadonlyMap<string, Shape>, file: string): Needs {
  const shapes = new Map<string, Shape>(inputs);
  for (const { name, shape } of part.initializers) shapes.set(name, shape);
  const lastUse = new Map<string, number>();
  part.nodes.forEach((node, i) => {
    for (const name of node.inputs) lastUse.set(name, i);
  });
  for (const name of part.outputs) lastUse.set(name, part.nodes.length);
  let held = part.initializers.reduce((sum, { byteLength }) => sum + byteLength, 0);
  for (const shape of inputs.values()) held += product(shape) * valueBytes;
  let most = held;
  let operations = 0;
  part.nodes.forEach((node, i) => {
    const rule = opShapes.get(node.op);
    if (!rule) {
      const near = nearestName(node.op, opShapes.keys());
      const text = `${file}: the op '${node.op}' is not among those that networks are made of${near ? `, such as ${near}` : ''}`;
      throw new InputError('unsupported-format', text);
    }
    const shape = rule({
      node,
      shapes: node.inputs.map((name) => shapes.get(name)),
      constant: (input) => {
        const tensor = model.initializers.get(node.inputs[input] ?? '');
        return tensor && smallConstant(tensor);
      },
    });
    const count = shape ? product(shape) : Number.NaN;
    if (!Number.isSafeInteger(count) || count < 0) {
      throw new InputError('invalid-data', `${file}: nobody can tell how large the result of ${node.op} '${node.outputs[0]}' is`);
    }
    operations += count * termsOf(node, shapes);
    for (const name of node.outputs) {
      if (name === '') continue;
      shapes.set(name, shape!);
      held += count * valueBytes;
    }
    most = Math.max(most, held);
    for (const name of new Set(node.inputs)) {
      if (lastUse.get(name) === i && shapes.has(name) && !model.initializers.has(name))
        held -= product(shapes.get(name)!) * valueBytes;
    }
  });
  return { bytes: most, operations };
}

/** How many products add up to one value of an op's result. */
function termsOf({ op, inputs: [first = '', second = ''] }: ReadNode, shapes: ReadonlyMap<string, Shape>): number {
  if (op === 'Conv') return product((shapes.get(second) ?? []).slice(1));
  if (op === 'MatMul' || op === 'Gemm') return Math.max(1, ...(shapes.get(first) ?? []).slice(-2));
  return 1;
}
