import { type Dim, type GroundTruth, InputError, numBoxes, type Random } from '@mdt/core';
import * as tf from '@tensorflow/tfjs-core';
import { type AnchorGrid, anchorBoxes, legacyRank, levelOf } from './anchors.js';
import type { BoxCoder } from './box-coder.js';
import { gatherRows } from './gather-rows.js';
import { crossEntropy, smoothL1 } from './losses.js';
import type { Matcher } from './matcher.js';
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
  const values = logits.map((level) => level.dataSync() as Float32Array);
  const classRows = grid.levels.map(noRows);
  const boxRows = grid.levels.map(noRows);
  targets.forEach((target, image) => {
    chooseRows(target, image, targets.length, values, options, random.fork(image), classRows, boxRows);
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

function chooseRows<D extends Dim>(
  target: GroundTruth<D>,
  image: number,
  batchSize: number,
  logits: readonly Float32Array[],
  { grid, matcher, sampler, boxCoder, classes, legacy }: RetinaLossOptions<D>,
  random: Random,
  classRows: ChosenRows[],
  boxRows: ChosenRows[],
): void {
  const matching = matcher.match(grid, target);
  const rank = legacy ? (anchor: number) => legacyRank(grid, anchor) : undefined;
  const hardness = foregroundShare(grid, logits, image, classes.length + 1);
  const { positives, negatives } = sampler.sample(matching, hardness, random, rank);
  const place = (rows: ChosenRows[], anchor: number, value: readonly number[], weight: number) => {
    const level = levelOf(grid, anchor);
    const chosen = rows[grid.levels.indexOf(level)]!;
    chosen.rows.push(image * level.length + anchor - level.offset);
    chosen.values.push(...value);
    chosen.weights.push(weight);
  };
  const share = (count: number) => 1 / (count * batchSize);
  const anchors = positives.map((i) => matching.positives[i]!);
  const width = 2 * grid.dim;
  const objects = Float64Array.from({ length: anchors.length * width }, (_, k) => {
    const object = matching.targets[positives[Math.floor(k / width)]!]!;
    return target.boxes[object * width + (k % width)]!;
  });
  const goals = boxCoder.encode(objects, anchorBoxes(grid, anchors));
  anchors.forEach((anchor, i) => {
    place(classRows, anchor, [matching.labels[positives[i]!]! + 1], 0.5 * share(anchors.length));
    place(boxRows, anchor, Array.from(goals.subarray(i * width, (i + 1) * width)), share(anchors.length * width));
  });
  for (const anchor of negatives) place(classRows, anchor, [0], 0.5 * share(negatives.length));
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
