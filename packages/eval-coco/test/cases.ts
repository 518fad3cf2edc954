import { type Dim, rng } from '@mdt/core';
import { type EvaluationCase, encodeMask, type Rle } from '../src/index.js';

export type Box = readonly number[];

/** A case of boxes: objects `[label, box]`, detections `[label, score, box]`. */
export function boxCase(
  id: string,
  objects: readonly (readonly [number, Box])[],
  found: readonly (readonly [number, number, Box])[],
  { dim = 2, patient }: { dim?: Dim; patient?: string } = {},
): EvaluationCase {
  return {
    id,
    ...(patient !== undefined && { patient }),
    detections: {
      dim,
      boxes: Float64Array.from(found.flatMap(([, , box]) => [...box])),
      scores: Float64Array.from(found, ([, score]) => score),
      labels: Int32Array.from(found, ([label]) => label),
    },
    groundTruth: {
      dim,
      boxes: Float64Array.from(objects.flatMap(([, box]) => [...box])),
      labels: Int32Array.from(objects, ([label]) => label),
    },
  };
}

/** Random cases of two classes, two cases per patient; scores repeat. */
export function randomCases(seed: number, dim: Dim, count = 8): EvaluationCase[] {
  const random = rng(seed);
  const box = (): Box => {
    const min = Array.from({ length: dim }, () => random.integer(0, 12));
    return [...min, ...min.map((value) => value + random.integer(2, 9))];
  };
  return Array.from({ length: count }, (_, i) =>
    boxCase(
      `${i}`,
      Array.from({ length: random.integer(0, 5) }, () => [random.integer(0, 2), box()] as const),
      Array.from({ length: random.integer(0, 9) }, () => [random.integer(0, 2), random.integer(1, 20) / 20, box()] as const),
      { dim, patient: `p${Math.floor(i / 2)}` },
    ),
  );
}

/** One image of masks: rows of 0 and 1, detections with falling scores 0.9, 0.8, … */
export function maskCase(
  id: string,
  size: readonly number[],
  objects: readonly (readonly number[])[],
  found: readonly (readonly number[])[],
  marks: { ignore?: Uint8Array; crowd?: Uint8Array } = {},
): EvaluationCase {
  const dim = size.length as Dim;
  const rles = (list: readonly (readonly number[])[]): Rle[] => list.map((mask) => encodeMask(mask, size));
  return {
    id,
    detections: {
      dim,
      boxes: new Float64Array(found.length * 2 * dim),
      masks: rles(found),
      scores: Float64Array.from(found, (_, i) => 0.9 - i / 10),
      labels: new Int32Array(found.length),
    },
    groundTruth: {
      dim,
      boxes: new Float64Array(objects.length * 2 * dim),
      masks: rles(objects),
      labels: new Int32Array(objects.length),
      ...marks,
    },
  };
}
