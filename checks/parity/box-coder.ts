import { readFileSync } from 'node:fs';
import { type Dim, fromMdtBoxes, toMdtBoxes } from '@mdt/core';
import { boxCoder as coderOf } from '@mdt/detectors';
import type { Comparison, Parity } from './comparison.js';
import { within } from './measure.js';
import { deltaPlaces } from './original-layout.js';

interface BoxRecording {
  a: number[][];
  b: number[][];
  /** Of each box of `a` to the box of `b` in the same row, without standard deviations. */
  refinement: number[][];
  /** Applied to the boxes of `a`. */
  deltas: number[][];
  applied: number[][];
}

/** Encoding and decoding of boxes. */
export const boxCoder: Parity = {
  kind: 'box-coder',
  handles: (fileName) => /^boxes_[23]d.*\.json$/.test(fileName),
  *compare(path): Iterable<Comparison> {
    const recorded = JSON.parse(readFileSync(path, 'utf8')) as BoxRecording;
    const dim = (recorded.a[0]!.length / 2) as Dim;
    const coder = coderOf({ dim, std: new Array<number>(2 * dim).fill(1), maxLogSize: Number.POSITIVE_INFINITY });
    const boxes = (rows: number[][], count = rows.length) => fromMdtBoxes(rows.slice(0, count).flat(), dim);
    const n = recorded.refinement.length;
    const encoded = permute(coder.encode(boxes(recorded.b, n), boxes(recorded.a, n)), deltaPlaces(dim));
    yield within('box refinement', difference(encoded, recorded.refinement.flat()), 1e-4);
    const deltas = unpermute(recorded.deltas.flat(), deltaPlaces(dim));
    const applied = toMdtBoxes(coder.decode(deltas, boxes(recorded.a, recorded.deltas.length)), dim);
    yield within('applied deltas', difference(applied, recorded.applied.flat()), 1e-4);
  },
};

const permute = (rows: ArrayLike<number>, places: readonly number[]) =>
  Float64Array.from(rows, (_, i) => rows[i - (i % places.length) + places[i % places.length]!]!);

function unpermute(rows: ArrayLike<number>, places: readonly number[]): Float64Array {
  const out = new Float64Array(rows.length);
  for (let i = 0; i < rows.length; i++) out[i - (i % places.length) + places[i % places.length]!] = rows[i]!;
  return out;
}

/** Largest difference as a share of the largest recorded value. */
function difference(ours: ArrayLike<number>, recorded: readonly number[]): number {
  if (ours.length !== recorded.length) return Number.NaN;
  const worst = recorded.reduce((max, v, i) => Math.max(max, Math.abs(ours[i]! - v)), 0);
  return worst / recorded.reduce((max, v) => Math.max(max, Math.abs(v)), 1e-30);
}
