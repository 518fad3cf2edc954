import type { Dim } from '@mdt/core';
import type { Candidates } from '../src/index.js';

export type Row = [box: number[], score: number, weight: number, overlaps: number, patch: number, label?: number];

export function candidates<D extends Dim>(dim: D, list: readonly Row[]): Candidates<D> {
  return {
    dim,
    boxes: Float64Array.from(list.flatMap(([box]) => box)),
    scores: Float64Array.from(list, ([, score]) => score),
    labels: Int32Array.from(list, ([, , , , , label]) => label ?? 0),
    patchIds: Int32Array.from(list, ([, , , , patch]) => patch),
    centerWeights: Float64Array.from(list, ([, , weight]) => weight),
    overlapCounts: Float64Array.from(list, ([, , , overlaps]) => overlaps),
  };
}
