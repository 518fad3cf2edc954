import { type Dim, type GroundTruth, InputError, numBoxes, type Random } from '@mdt/core';
import { type AnchorGrid, anchorBoxes, foregroundShare, legacyRank, levelOf } from '@mdt/decode';
import * as tf from '@tensorflow/tfjs-core';
import type { AnchorStage } from './anchor-stage.js';
import { gatherRows } from './gather-rows.js';
import type { Reading } from './reading.js';

export interface AnchorLossOptions<D extends Dim = Dim> extends AnchorStage<D> {
  classes: readonly string[];
  /** Tells objects from background only, whatever their class. */
  objectness?: boolean;
  /** Given where logits and deltas are off the gradient tape: the rows of some cells of a level, on it. */
  rowsAt?: (level: number, cells: Int32Array) => { logits: tf.Tensor2D; deltas: tf.Tensor2D };
  legacy: boolean;
}

export interface AnchorLosses {
  class: tf.Scalar;
  box: tf.Scalar;
  /** Whether rows of every level and of both heads take part, so that every variable has a gradient. */
  reachesAll: boolean;
}

/** The anchors of one level that enter the loss; rows are counted over the whole batch. */
interface ChosenRows {
  rows: number[];
  labels: number[];
  weights: number[];
}

interface ChosenBoxes {
  rows: number[];
  boxes: number[];
  references: number[];
  weights: number[];
}

/**
 * Class and box loss of anchors. Only the sampled anchors' rows are fetched from the heads' outputs; matching and sampling happen
 * on plain arrays, and a level without such rows costs no backward pass.
 *
 * @param logits per level `[b · anchors, outputs]`
 * @param deltas per level `[b · anchors, 2 · dim]`
 */
export function* anchorLosses<D extends Dim>(
  logits: readonly tf.Tensor2D[],
  deltas: readonly tf.Tensor2D[],
  targets: readonly GroundTruth<D>[],
  options: AnchorLossOptions<D>,
  random: Random,
): Reading<AnchorLosses> {
  const { grid, classes, classLoss, boxLoss, boxCoder, objectness = false, legacy } = options;
  for (const [image, target] of targets.entries()) checkTarget(target, image, grid.dim, classes);
  const wanted = objectness ? targets.map((target) => ({ ...target, labels: new Int32Array(target.labels.length) })) : targets;
  const matchings = wanted.map((target) => options.matcher.match(grid, target)); // while the engine is still at the forward pass
  const values = yield logits;
  const rank = legacy ? (anchor: number) => legacyRank(grid, anchor) : undefined;
  const inputs = matchings.map((matching, image) => ({ matching, hardness: hardnessOf(options, logits, values, image) }));
  const samples = options.sampler.sample(inputs, random, rank);

  const classRows = grid.levels.map((): ChosenRows => ({ rows: [], labels: [], weights: [] }));
  const boxRows = grid.levels.map((): ChosenBoxes => ({ rows: [], boxes: [], references: [], weights: [] }));
  const width = 2 * grid.dim;
  samples.forEach(({ positives, negatives, weights }, image) => {
    const matching = matchings[image]!;
    const place = (anchor: number) => {
      const level = levelOf(grid, anchor);
      return { l: grid.levels.indexOf(level), row: image * level.length + anchor - level.offset };
    };
    for (const i of positives) {
      const anchor = matching.positives[i]!;
      const { l, row } = place(anchor);
      pushClass(classRows[l]!, row, matching.labels[i]! + 1, weights.positive);
      const object = matching.targets[i]! * width;
      const chosen = boxRows[l]!;
      chosen.rows.push(row);
      chosen.boxes.push(...targets[image]!.boxes.subarray(object, object + width));
      chosen.references.push(...anchorBoxes(grid, [anchor]));
      chosen.weights.push(weights.box);
    }
    for (const anchor of negatives) {
      const { l, row } = place(anchor);
      pushClass(classRows[l]!, row, 0, weights.negative);
    }
  });

  const isEmpty = ({ rows }: { rows: number[] }) => rows.length === 0;
  const hasRows = !classRows.every(isEmpty);
  const hasPositives = !boxRows.every(isEmpty);
  const boxTargets = {
    boxes: Float64Array.from(boxRows.flatMap(({ boxes }) => boxes)),
    references: Float64Array.from(boxRows.flatMap(({ references }) => references)),
    coder: boxCoder,
  };
  const flat = (chosen: readonly ChosenRows[], key: 'labels' | 'weights') => chosen.flatMap((level) => level[key]);
  const boxWeights = boxRows.flatMap(({ weights }) => weights);
  const learnt = options.rowsAt ? rowsOnTape(logits, deltas, { classRows, boxRows }, grid, options.rowsAt) : { logits, deltas };
  return {
    class: hasRows
      ? classLoss.loss(pickRows(learnt.logits, classRows), flat(classRows, 'labels'), flat(classRows, 'weights'))
      : tf.scalar(0),
    box: hasPositives ? boxLoss.loss(pickRows(learnt.deltas, boxRows), boxTargets, boxWeights) : tf.scalar(0),
    reachesAll: hasPositives && !classRows.some(isEmpty),
  };
}

/** Outputs of the chosen anchors' cells, level by level; `rows` of what was chosen are counted among them from then on. */
function rowsOnTape(
  logits: readonly tf.Tensor2D[],
  deltas: readonly tf.Tensor2D[],
  { classRows, boxRows }: { classRows: readonly ChosenRows[]; boxRows: readonly ChosenBoxes[] },
  { anchorsPerCell }: AnchorGrid,
  rowsAt: NonNullable<AnchorLossOptions['rowsAt']>,
): { logits: tf.Tensor2D[]; deltas: tf.Tensor2D[] } {
  const cellOf = (row: number) => Math.floor(row / anchorsPerCell);
  const levels = classRows.map((chosen, level) => {
    if (chosen.rows.length === 0) return { logits: logits[level]!, deltas: deltas[level]! };
    const cells = [...new Set(chosen.rows.map(cellOf))].sort((a, b) => a - b); // positives are among them
    const place = new Map(cells.map((cell, i) => [cell, i]));
    for (const own of [chosen, boxRows[level]!]) {
      own.rows = own.rows.map((row) => place.get(cellOf(row))! * anchorsPerCell + (row % anchorsPerCell));
    }
    return rowsAt(level, Int32Array.from(cells));
  });
  return { logits: levels.map((level) => level.logits), deltas: levels.map((level) => level.deltas) };
}

function pushClass(chosen: ChosenRows, row: number, label: number, weight: number): void {
  chosen.rows.push(row);
  chosen.labels.push(label);
  chosen.weights.push(weight);
}

/** The chosen rows of every level, one after the other. */
function pickRows(maps: readonly tf.Tensor2D[], chosen: readonly { rows: number[] }[]): tf.Tensor2D {
  const parts = maps.flatMap((map, l) => (chosen[l]!.rows.length ? [gatherRows(map, Int32Array.from(chosen[l]!.rows))] : []));
  return parts.length === 1 ? parts[0]! : tf.concat2d(parts, 0);
}

/** Per anchor of an image: the highest probability of a foreground class. */
function hardnessOf(
  { grid, classLoss }: { grid: AnchorGrid; classLoss: AnchorStage<Dim>['classLoss'] },
  logits: readonly tf.Tensor2D[],
  values: readonly Float32Array[],
  image: number,
): Float64Array {
  const hardness = new Float64Array(grid.length);
  grid.levels.forEach(({ offset, length }, l) => {
    hardness.set(foregroundShare(classLoss.activation, values[l]!, image * length, length, logits[l]!.shape[1]), offset);
  });
  return hardness;
}

/** @throws InputError `unknown-class`, `invalid-data` for labels out of range and boxes without size */
export function checkTarget<D extends Dim>(target: GroundTruth<D>, image: number, dim: D, classes: readonly string[]): void {
  const { boxes, labels } = target;
  const n = numBoxes(boxes, dim, `targets[${image}]`);
  if (labels.length !== n) throw new RangeError(`targets[${image}]: labels has ${labels.length} values, expected ${n}`);
  for (const label of labels) {
    if (label >= 0 && label < classes.length) continue;
    throw new InputError(
      'unknown-class',
      `targets[${image}]: label ${label}, expected 0 to ${classes.length - 1} (${classes.join(', ')})`,
    );
  }
  for (let i = 0; i < boxes.length; i += 2 * dim) {
    for (let d = 0; d < dim; d++) {
      if (boxes[i + dim + d]! > boxes[i + d]! && Number.isFinite(boxes[i + dim + d]! - boxes[i + d]!)) continue;
      const box = Array.from(boxes.subarray(i, i + 2 * dim)).join(', ');
      throw new InputError('invalid-data', `targets[${image}]: box [${box}] has no size; rows are minima, then maxima`);
    }
  }
}
