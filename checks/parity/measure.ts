import type { Comparison } from './comparison.js';
import type { RecordedTensor } from './recording.js';

const show = (value: number) => (Number.isFinite(value) ? value.toExponential(2) : String(value));

/** A measured error that must not exceed a limit; what is not a number fails. */
export function within(name: string, error: number, limit: number, more = ''): Comparison {
  return { name, passed: error <= limit, detail: `${show(error)}, at most ${show(limit)}${more}` };
}

export const relative = (ours: number, recorded: number): number =>
  Math.abs(ours - recorded) / Math.max(Math.abs(recorded), 1e-12);

/** Root of the sum of squares. */
export function l2(values: ArrayLike<number>): number {
  let sum = 0;
  for (let i = 0; i < values.length; i++) sum += values[i]! * values[i]!;
  return Math.sqrt(sum);
}

/** Mean and l2 of our whole tensor beside the recorded ones, as a share of the recorded l2. */
export function statisticsError(ours: ArrayLike<number>, [mean, norm]: readonly [number, number], floor = 0): number {
  let sum = 0;
  for (let i = 0; i < ours.length; i++) sum += ours[i]!;
  const scale = Math.max(norm, floor, 1e-30);
  return Math.max(Math.abs(sum / ours.length - mean), Math.abs(l2(ours) - norm)) / scale;
}

/** Our values at the recorded positions. */
export function pick(ours: ArrayLike<number>, { index, values }: RecordedTensor): ArrayLike<number> {
  return index ? Float64Array.from({ length: values.length }, (_, i) => ours[index[i]!]!) : ours;
}

/** A tensor in the original's layout beside the recorded one: the largest difference as a share of the largest value. */
export function compareTensor(
  name: string,
  shape: readonly number[],
  ours: ArrayLike<number>,
  recorded: RecordedTensor,
  limit: number,
): Comparison {
  if (shape.join() !== recorded.shape.join()) {
    return { name, passed: false, detail: `shape ${shape.join('x')}, recorded ${recorded.shape.join('x')}` };
  }
  const mine = pick(ours, recorded);
  let worst = 0;
  let largest = 0;
  for (let i = 0; i < recorded.values.length; i++) {
    const difference = Math.abs(mine[i]! - recorded.values[i]!);
    if (!(difference <= worst)) worst = difference; // takes NaN
    largest = Math.max(largest, Math.abs(recorded.values[i]!));
  }
  const error = worst / Math.max(largest, 1e-30);
  const statistics = recorded.meanL2 ? statisticsError(ours, recorded.meanL2) : 0;
  return within(name, Number.isNaN(error) ? error : Math.max(error, statistics), limit);
}

/** A detection in the original's terms. */
export interface PlainDetection {
  image: number;
  /** In the original's order. */
  box: readonly number[];
  score: number;
  /** 1 … C. */
  label: number;
}

export interface SetTolerance {
  /** Difference allowed between the scores of a matched pair. */
  score: number;
  /** One coordinate of a box may differ by this much. Default 1. */
  coordinate?: number;
}

/**
 * Detections as sets: a box may differ by 1 in one coordinate, and 1 in 20 may be exchanged for another whose score lies within
 * 1e-5.
 */
export function compareDetections(
  name: string,
  ours: readonly PlainDetection[],
  recorded: readonly PlainDetection[],
  { score, coordinate = 1 }: SetTolerance,
): Comparison {
  const free = new Set(ours);
  const alone = recorded.filter((wanted) => {
    const partner = [...free].find(
      (own) =>
        own.image === wanted.image &&
        own.label === wanted.label &&
        Math.abs(own.score - wanted.score) <= score &&
        sameBox(own.box, wanted.box, coordinate),
    );
    if (partner) free.delete(partner);
    return !partner;
  });
  const exchanged = alone.filter((wanted) => {
    const other = [...free].find((own) => own.image === wanted.image && Math.abs(own.score - wanted.score) <= 1e-5);
    if (other) free.delete(other);
    return other !== undefined;
  });
  const missing = alone.length - exchanged.length;
  const allowed = Math.ceil(recorded.length / 20);
  return {
    name,
    passed: missing === 0 && free.size === 0 && exchanged.length <= allowed,
    detail: `${recorded.length} recorded, ${missing} missing, ${free.size} extra, ${exchanged.length} exchanged (at most ${allowed})`,
  };
}

function sameBox(a: readonly number[], b: readonly number[], coordinate: number): boolean {
  const off = a.map((v, i) => Math.abs(v - b[i]!));
  return off.filter((d) => d > 1e-3).length <= 1 && off.every((d) => d <= coordinate + 1e-3);
}
