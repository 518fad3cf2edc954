import { type Dim, type GroundTruth, InputError, numBoxes, type Random } from '@mdt/core';
import * as tf from '@tensorflow/tfjs-core';
import { type AnchorGrid, anchorBoxes, legacyRank, levelOf } from './anchors.js';
import type { BoxCoder } from './box-coder.js';
import { gatherRows } from './gather-rows.js';
import { crossEntropy, smoothL1 } from './losses.js';
import type { Matcher, Matching } from './matcher.js';
import type { Sampler } from './sampler.js';

export interface RetinaLossOptions<D extends Dim = Dim> {
  grid: AnchorGrid<D>;
  matcher: Matcher;
  sampler: Sampler;
  boxCoder: BoxCoder;
  classes: readonly string[];
  legacy: boolean;
}

export interface RetinaLosses {
  class: tf.Scalar;
  box: tf.Scalar;
  /** Whether rows of every level and of both heads take part, so that every variable has a gradient. */
  reachesAll: boolean;
}

/** Rows of the heads' outputs with what each should be; per level, rows counted over the whole batch. */
interface ChosenRows {
  rows: number[];
  values: number[];
  weights: number[];
}

const noRows = (): ChosenRows => ({ rows: [], values: [], weights: [] });

function push({ rows, values, weights }: ChosenRows, row: number, value: ArrayLike<number>, weight: number): void {
  rows.push(row);
  values.push(...Array.from(value));
  weights.push(weight);
}

/**
 * Class and box loss of one-stage detectors. Only the sampled anchors' rows are fetched from the heads' outputs; matching and
 * sampling happen on plain arrays, and a level without such rows costs no backward pass.
 *
 * @param logits per level `[b · anchors, 1 + classes]`
 * @param deltas per level `[b · anchors, 2 · dim]`
 */
export function retinaLosses<D extends Dim>(
  logits: readonly tf.Tensor2D[],
  deltas: readonly tf.Tensor2D[],
  targets: readonly GroundTruth<D>[],
  options: RetinaLossOptions<D>,
  random: Random,
): RetinaLosses {
  const { grid } = options;
  for (const [image, target] of targets.entries()) checkTarget(target, image, options);
  const matchings = targets.map((target) => options.matcher.match(grid, target)); // while the engine is still at the forward pass
  const values = logits.map((level) => level.dataSync() as Float32Array);
  const classRows = grid.levels.map(noRows);
  const boxRows = grid.levels.map(noRows);
  targets.forEach((target, image) => {
    const hardness = foregroundShare(grid, values, image, options.classes.length + 1);
    for (const chosen of chooseAnchors(target, matchings[image]!, hardness, options, random.fork(image))) {
      const level = levelOf(grid, chosen.anchor);
      const l = grid.levels.indexOf(level);
      const row = image * level.length + chosen.anchor - level.offset;
      push(classRows[l]!, row, [chosen.classIndex], chosen.weight / (2 * targets.length));
      if (chosen.goal) push(boxRows[l]!, row, chosen.goal, chosen.weight / (chosen.goal.length * targets.length));
    }
  });
  const picked = (maps: readonly tf.Tensor2D[], chosen: readonly ChosenRows[]) => {
    const parts = maps.flatMap((map, l) => (chosen[l]!.rows.length ? [gatherRows(map, Int32Array.from(chosen[l]!.rows))] : []));
    return parts.length === 1 ? parts[0]! : tf.concat2d(parts, 0);
  };
  const all = (chosen: readonly ChosenRows[], key: 'values' | 'weights') => Float32Array.from(chosen.flatMap((c) => c[key]));
  const isEmpty = ({ rows }: ChosenRows) => rows.length === 0;
  const hasPositives = !boxRows.every(isEmpty);
  return {
    class: crossEntropy(picked(logits, classRows), all(classRows, 'values'), all(classRows, 'weights')),
    box: hasPositives ? smoothL1(picked(deltas, boxRows), all(boxRows, 'values'), all(boxRows, 'weights')) : tf.scalar(0),
    reachesAll: hasPositives && !classRows.some(isEmpty),
  };
}

function checkTarget<D extends Dim>(target: GroundTruth<D>, image: number, { grid, classes }: RetinaLossOptions<D>): void {
  const { boxes, labels } = target;
  const n = numBoxes(boxes, grid.dim, `targets[${image}]`);
  if (labels.length !== n) throw new RangeError(`targets[${image}]: labels has ${labels.length} values, expected ${n}`);
  for (const label of labels) {
    if (label >= 0 && label < classes.length) continue;
    throw new InputError(
      'unknown-class',
      `targets[${image}]: label ${label}, expected 0 to ${classes.length - 1} (${classes.join(', ')})`,
    );
  }
  for (let i = 0; i < boxes.length; i += 2 * grid.dim) {
    for (let d = 0; d < grid.dim; d++) {
      if (boxes[i + grid.dim + d]! > boxes[i + d]! && Number.isFinite(boxes[i + grid.dim + d]! - boxes[i + d]!)) continue;
      const box = Array.from(boxes.subarray(i, i + 2 * grid.dim)).join(', ');
      throw new InputError('invalid-data', `targets[${image}]: box [${box}] has no size; rows are minima, then maxima`);
    }
  }
}

interface ChosenAnchor {
  anchor: number;
  /** 0 background, else 1 + label. */
  classIndex: number;
  /** Its share in the mean over the image's positives, or over its negatives. */
  weight: number;
  /** Of a positive: the deltas it should predict. */
  goal?: Float64Array;
}

function chooseAnchors<D extends Dim>(
  target: GroundTruth<D>,
  matching: Matching,
  hardness: Float64Array,
  { grid, sampler, boxCoder, legacy }: RetinaLossOptions<D>,
  random: Random,
): ChosenAnchor[] {
  const rank = legacy ? (anchor: number) => legacyRank(grid, anchor) : undefined;
  const { positives, negatives } = sampler.sample(matching, hardness, random, rank);
  const width = 2 * grid.dim;
  const chosen = Array.from(positives, (place): ChosenAnchor => {
    const anchor = matching.positives[place]!;
    const object = matching.targets[place]! * width;
    const goal = boxCoder.encode(target.boxes.subarray(object, object + width), anchorBoxes(grid, [anchor]));
    return { anchor, classIndex: matching.labels[place]! + 1, weight: 1 / positives.length, goal };
  });
  for (const anchor of negatives) chosen.push({ anchor, classIndex: 0, weight: 1 / negatives.length });
  return chosen;
}

/** Per anchor of an image: the highest probability of a foreground class. */
function foregroundShare(grid: AnchorGrid, logits: readonly Float32Array[], image: number, classes: number): Float64Array {
  const hardness = new Float64Array(grid.length);
  grid.levels.forEach(({ offset, length }, l) => {
    const values = logits[l]!;
    let at = image * length * classes;
    for (let i = 0; i < length; i++, at += classes) {
      let highest = values[at + 1]!;
      for (let k = 2; k < classes; k++) highest = Math.max(highest, values[at + k]!);
      let sum = 0;
      for (let k = 0; k < classes; k++) sum += Math.exp(values[at + k]! - highest);
      hardness[offset + i] = 1 / sum;
    }
  });
  return hardness;
}
