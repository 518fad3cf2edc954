import {
  type Detector,
  type OriginalNaming,
  originalName,
  originalNaming,
  type TrainBatch,
  toOriginalLayout,
} from '@mdt/detectors';
import * as tf from '@tensorflow/tfjs-core';
import type { Comparison } from './comparison.js';
import { firstChoices } from './first-choices.js';
import { l2, pick, relative, statisticsError, within } from './measure.js';
import type { Limits } from './network-limits.js';
import type { NetworkRecording } from './recording.js';

const printed = 5e-10; // the recorded parts of the loss have nine decimals

interface OwnGradient {
  shape: number[];
  data: Float32Array;
}

/**
 * One training step beside the recorded one: the loss, its parts, and every gradient.
 *
 * @param partNames the original's name of each of our parts
 */
export async function compareTraining(
  recording: NetworkRecording,
  detector: Detector<2>,
  batch: TrainBatch<2>,
  limits: Limits,
  partNames: Readonly<Record<string, string>>,
): Promise<Comparison[]> {
  const { variables } = detector;
  const parts = new Map<string, tf.Scalar>();
  const { value, grads } = tf.variableGrads(
    () => {
      const losses = detector.loss(batch, firstChoices);
      for (const [name, part] of Object.entries(losses.parts)) parts.set(name, tf.keep(part));
      return losses.total;
    },
    variables.map(({ variable }) => variable),
  );
  const scalar = async (tensor: tf.Tensor) => (await tensor.data())[0]!;
  const comparisons = [within('loss', relative(await scalar(value), recording.loss), limits.loss)];
  for (const [name, theirs] of Object.entries(partNames)) {
    const part = parts.get(name);
    const recorded = recording.lossParts.get(theirs);
    if (part && recorded !== undefined) {
      const error = Math.max(0, Math.abs((await scalar(part)) - recorded) - printed);
      comparisons.push(within(`loss ${theirs}`, error / Math.max(recorded, 1e-12), limits.loss));
    }
  }
  const naming: OriginalNaming = originalNaming(detector.kind, recording.parameters);
  const own = new Map<string, OwnGradient>();
  for (const { name, variable } of variables) {
    const data = await grads[variable.name]!.data();
    own.set(originalName(name, naming), toOriginalLayout(name, { shape: variable.shape, data }, detector.dim));
  }
  tf.dispose([value, grads, ...parts.values()]);
  comparisons.push(...compareGradients(recording, own, limits));
  return comparisons;
}

function compareGradients(
  recording: NetworkRecording,
  own: ReadonlyMap<string, OwnGradient>,
  { illConditioned }: Limits,
): Comparison[] {
  const names = recording.names('grad.').map((name) => name.slice('grad.'.length));
  const all = names.map((name) => {
    const recorded = recording.tensor(`grad.${name}`);
    return { name, recorded, norm: recorded.meanL2?.[1] ?? l2(recorded.values), ours: own.get(name) };
  });
  const whole = l2(all.map(({ norm }) => norm));
  const comparisons: Comparison[] = [];
  let squared = 0;
  for (const { name, recorded, norm, ours } of all) {
    const label = `grad ${name}`;
    if (!ours || ours.shape.join() !== recorded.shape.join()) {
      const detail = `shape ${ours?.shape.join('x') ?? '(no gradient)'}, recorded ${recorded.shape.join('x')}`;
      comparisons.push({ name: label, passed: false, detail });
      continue;
    }
    const mine = pick(ours.data, recorded);
    const difference = l2(Float64Array.from(recorded.values, (v, i) => mine[i]! - v));
    const stored = l2(recorded.values);
    if (illConditioned) {
      squared += (difference * (norm / Math.max(stored, 1e-30))) ** 2; // samples stand for the whole tensor
      if (norm > 1e-3 * whole) comparisons.push(within(label, difference / stored, 0.1));
      continue;
    }
    comparisons.push(within(label, difference / Math.max(stored, 1e-4 * whole), 1e-3));
    if (recorded.meanL2) {
      comparisons.push(within(`${label} mean and l2`, statisticsError(ours.data, recorded.meanL2, 1e-4 * whole), 1e-4));
    }
  }
  if (illConditioned) comparisons.push(within('grad, all together', Math.sqrt(squared) / whole, 5e-2));
  // What the original never used has no gradient there, and one of zeros here.
  const missing = [...own].filter(([name, { data }]) => !names.includes(name) && data.some((v) => v !== 0));
  comparisons.push({
    name: 'grad, names',
    passed: missing.length === 0,
    detail: missing.length
      ? `the original has no gradient of ${missing.map(([name]) => name).join(', ')}`
      : `${names.length} tensors`,
  });
  return comparisons;
}
