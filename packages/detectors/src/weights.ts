import type { Weight } from '@mdt/backbone';
import { InputError, type SafeTensor, toFloat32 } from '@mdt/core';
import * as tf from '@tensorflow/tfjs-core';

export interface NamedWeight {
  /** As in a checkpoint. */
  name: string;
  weight: Weight;
}

/** The values of built weights, float32. */
export async function readWeights(weights: readonly NamedWeight[]): Promise<Map<string, SafeTensor>> {
  const tensors = new Map<string, SafeTensor>();
  for (const { name, weight } of weights) {
    // A copy, since a backend may hand out the memory that training goes on to change.
    const data = Float32Array.from(await weight.variable.data<'float32'>());
    tensors.set(name, { dtype: 'F32', shape: weight.shape, data });
  }
  return tensors;
}

/**
 * Gives built weights new values; checks all of them first.
 *
 * @throws InputError `invalid-checkpoint` naming the first tensor that is missing, of another shape, or left over
 */
export function writeWeights(who: string, weights: readonly NamedWeight[], tensors: ReadonlyMap<string, SafeTensor>): void {
  const fail = (what: string): never => {
    throw new InputError('invalid-checkpoint', `${who}: ${what}`);
  };
  const known = new Set(weights.map(({ name }) => name));
  for (const { name, weight } of weights) {
    const tensor = tensors.get(name);
    if (!tensor) fail(`the weights lack '${name}' (${weight.shape.join('x')})`);
    else if (tensor.shape.join() !== weight.shape.join()) {
      fail(`'${name}' has the shape ${tensor.shape.join('x')}, expected ${weight.shape.join('x')}`);
    }
  }
  const extra = [...tensors.keys()].find((name) => !known.has(name));
  if (extra !== undefined) fail(`the weights hold '${extra}', which this detector does not have`);
  tf.tidy(() => {
    for (const { name, weight } of weights) {
      weight.variable.assign(tf.tensor(Float32Array.from(toFloat32(tensors.get(name)!)), [...weight.shape], 'float32'));
    }
  });
}

/** One line per stage: how many parameters it has. */
export function describeWeights(weights: readonly NamedWeight[]): string[] {
  const stages = new Map<string, number>();
  let total = 0;
  for (const { name, weight } of weights) {
    if (!weight.trainable) continue;
    const stage = name
      .split('.')
      .slice(0, name.startsWith('backbone.') ? 2 : 1)
      .join('.');
    stages.set(stage, (stages.get(stage) ?? 0) + weight.size);
    total += weight.size;
  }
  const width = Math.max(...[...stages.keys()].map((stage) => stage.length), 'parameters'.length);
  const line = (name: string, count: number) => `  ${name.padEnd(width)} ${count.toLocaleString('en-US').padStart(12)}`;
  return [line('parameters', total), ...[...stages].map(([stage, count]) => line(stage, count))];
}
