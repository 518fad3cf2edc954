import type { Dim } from '@mdt/core';
import * as ops from '../src/index.js';

type Numbers = Float32Array | Float64Array | Int32Array | Uint8Array;
type Arrays = Record<string, Numbers>;

/** One exported function with arrays that are right for it. */
interface Subject {
  arrays: (dim: Dim) => Arrays;
  /** Those with a value or a row for each box, which are empty together. */
  perBox: readonly string[];
  call: (arrays: never, dim: Dim, form: '' | 'Async') => unknown;
}

const boxes = (dim: Dim) =>
  Float64Array.from([1, 1.5, 2, 4, 3.5, 5, /**/ 0.5, 2, 2, 3.5, 4, 4.5, /**/ 4, 4, 4, 5, 5, 5].filter((_, i) => i % 3 < dim));
const scores = () => Float32Array.of(0.5, 0.9, 0.7);
const ints = (...values: number[]) => Int32Array.from(values);
const floats = (...values: number[]) => Float32Array.from(values);
const noise = (length: number) => Float32Array.from({ length }, (_, i) => Math.sin(7 * i + 1));
const side = 4;
const size = (dim: Dim) => new Array<number>(dim).fill(side);
const pool = (dim: Dim) => new Array<number>(dim).fill(2);
const both = <F>(sync: F, away: unknown, form: '' | 'Async'): F => (form ? (away as F) : sync);

const pairOf = (sync: typeof ops.boxIou, away: unknown): Subject => ({
  arrays: (dim) => ({ a: boxes(dim), b: boxes(dim).map((v) => v + 0.25) }),
  perBox: ['a', 'b'],
  call: ({ a, b }: { a: Float64Array; b: Float64Array }, dim, form) => both(sync, away, form)(a, b, { dim }),
});

const rois = { channels: 2, batch: 2 };
interface Rois {
  boxes: Float64Array;
  images: Int32Array;
  levels: Int32Array;
  values: Float32Array;
  dy: Float32Array;
}
const roiArrays = (dim: Dim) => ({ boxes: boxes(dim), images: ints(0, 1, 0), levels: ints(0, 1, 0) });
const values = (dim: Dim) => noise(side ** dim * rois.channels * rois.batch);
const dy = (dim: Dim) => noise(3 * 2 ** dim * rois.channels);
const coarse = (dim: Dim) => ({ values: values(dim), size: size(dim), scale: 0.5 });
const omit = <K extends string>(arrays: Arrays, ...names: K[]) =>
  Object.fromEntries(Object.entries(arrays).filter(([name]) => !names.includes(name as K)));

/** Every function of the package that computes, by name; `resample` once for each of its ways. */
export const subjects: Readonly<Record<string, Subject>> = {
  nonMaximumSuppression: {
    arrays: (dim) => ({ boxes: boxes(dim), scores: scores() }),
    perBox: ['boxes', 'scores'],
    call: (a: { boxes: Float64Array; scores: Float32Array }, dim, form) =>
      both(ops.nonMaximumSuppression, ops.nonMaximumSuppressionAsync, form)(a.boxes, a.scores, { dim, iouThreshold: 0.2 }),
  },
  batchedNms: {
    arrays: (dim) => ({ boxes: boxes(dim), scores: scores(), groups: ints(0, 0, 1) }),
    perBox: ['boxes', 'scores', 'groups'],
    call: (a: { boxes: Float64Array; scores: Float32Array; groups: Int32Array }, dim, form) =>
      both(ops.batchedNms, ops.batchedNmsAsync, form)(a.boxes, a.scores, a.groups, { dim, iouThreshold: 0.2 }),
  },
  softNms: {
    arrays: (dim) => ({ boxes: boxes(dim), scores: scores(), groups: ints(0, 0, 1) }),
    perBox: ['boxes', 'scores', 'groups'],
    call: (a: { boxes: Float64Array; scores: Float32Array; groups: Int32Array }, dim, form) =>
      both(ops.softNms, ops.softNmsAsync, form)(a.boxes, a.scores, { dim, groups: a.groups }),
  },
  greedyClusters: {
    arrays: (dim) => ({ boxes: boxes(dim), groups: ints(0, 0, 1) }),
    perBox: ['boxes', 'groups'],
    call: (a: { boxes: Float64Array; groups: Int32Array }, dim, form) =>
      both(ops.greedyClusters, ops.greedyClustersAsync, form)(a.boxes, { dim, iouThreshold: 0.2, groups: a.groups }),
  },
  weightedClusters: {
    arrays: (dim) => ({
      ...{ boxes: boxes(dim), scores: floats(0.5, 0.4, 0.3), weights: floats(1, 1, 1), overlaps: floats(1, 2, 1) },
      ...{ groups: ints(0, 0, 1), patches: ints(0, 1, 0) },
    }),
    perBox: ['boxes', 'scores', 'weights', 'overlaps', 'groups', 'patches'],
    call: (a: ops.ClusterCandidates, dim, form) =>
      both(ops.weightedClusters, ops.weightedClustersAsync, form)(a, { dim, iouThreshold: 0.2, predictionsPerTile: 2 }),
  },
  boxIou: pairOf(ops.boxIou, ops.boxIouAsync),
  boxGiou: pairOf(ops.boxGiou, ops.boxGiouAsync),
  boxDiou: pairOf(ops.boxDiou, ops.boxDiouAsync),
  roiAlign: {
    arrays: (dim) => ({ values: values(dim), ...omit(roiArrays(dim), 'levels') }),
    perBox: ['boxes', 'images'],
    call: (a: Rois, dim, form) =>
      both(ops.roiAlign, ops.roiAlignAsync, form)({ values: a.values, size: size(dim) }, a.boxes, {
        ...{ ...rois, dim, images: a.images, poolSize: pool(dim) },
      }),
  },
  roiAlignGrad: {
    arrays: (dim) => ({ dy: dy(dim), ...omit(roiArrays(dim), 'levels') }),
    perBox: ['boxes', 'images', 'dy'],
    call: (a: Rois, dim, form) =>
      both(ops.roiAlignGrad, ops.roiAlignGradAsync, form)(a.dy, { size: size(dim) }, a.boxes, {
        ...{ ...rois, dim, images: a.images, poolSize: pool(dim), samplingRatio: 2 },
      }),
  },
  pyramidRoiAlign: {
    arrays: (dim) => ({ values: values(dim), ...roiArrays(dim) }),
    perBox: ['boxes', 'images', 'levels'],
    call: (a: Rois, dim, form) =>
      both(ops.pyramidRoiAlign, ops.pyramidRoiAlignAsync, form)([{ values: a.values, size: size(dim) }, coarse(dim)], a.boxes, {
        ...{ ...rois, dim, images: a.images, levels: a.levels, poolSize: pool(dim), sampling: 'single' },
      }),
  },
  pyramidRoiAlignGrad: {
    arrays: (dim) => ({ dy: dy(dim), ...roiArrays(dim) }),
    perBox: ['boxes', 'images', 'levels', 'dy'],
    call: (a: Rois, dim, form) =>
      both(ops.pyramidRoiAlignGrad, ops.pyramidRoiAlignGradAsync, form)(a.dy, [{ size: size(dim) }, coarse(dim)], a.boxes, {
        ...{ ...rois, dim, images: a.images, levels: a.levels, poolSize: pool(dim), aligned: false },
      }),
  },
  roiLevels: {
    arrays: (dim) => ({ boxes: boxes(dim) }),
    perBox: ['boxes'],
    call: (a: { boxes: Float64Array }, dim) => ops.roiLevels(a.boxes, { dim, levels: 3, canonicalSize: 2 }),
  },
  connectedComponents: {
    arrays: (dim) => ({
      values: noise(side ** dim).map((v) => (v > 0 ? Math.ceil(2 * v) : 0)),
      scores: noise(side ** dim),
    }),
    perBox: [],
    call: (a: { values: Float32Array; scores: Float32Array }, dim, form) =>
      both(
        ops.connectedComponents,
        ops.connectedComponentsAsync,
        form,
      )({ values: a.values, size: size(dim) }, { dim, joins: 'equal', scores: a.scores }),
  },
  cropMasks: {
    arrays: (dim) => ({ values: noise(3 * side ** dim).map((v) => (v > 0 ? 1 : 0)), boxes: boxes(dim), images: ints(2, 1, 0) }),
    perBox: ['boxes', 'images'],
    call: (a: Rois, dim, form) =>
      both(ops.cropMasks, ops.cropMasksAsync, form)({ values: a.values, size: size(dim) }, a.boxes, {
        ...{ dim, images: a.images, poolSize: pool(dim) },
      }),
  },
  pasteMasks: {
    arrays: (dim) => ({ values: noise(3 * 2 ** dim), boxes: boxes(dim) }),
    perBox: ['boxes', 'values'],
    call: (a: Rois, dim, form) =>
      both(ops.pasteMasks, ops.pasteMasksAsync, form)({ values: a.values, size: pool(dim) }, a.boxes, { dim, size: size(dim) }),
  },
  ...Object.fromEntries(
    (['nearest', 'linear', 'cubic'] as const).map((order): [string, Subject] => [
      `resample ${order}`,
      {
        arrays: (dim) => ({ values: noise(side ** dim), displacement: noise(2 ** dim * dim) }),
        perBox: [],
        call: (a: { values: Float32Array; displacement: Float32Array }, dim, form) =>
          both(
            ops.resample,
            ops.resampleAsync,
            form,
          )(
            { values: a.values, size: size(dim) },
            { dim, order, outputSize: pool(dim), displacement: a.displacement, mode: 'reflect' },
          ),
      },
    ]),
  ),
};

/** A way in which a call is odd, and whether it is answered or refused. */
interface Case {
  /** Unique within the function and the dimension. */
  name: string;
  arrays: Record<string, unknown>;
  refused: boolean;
}

const oddNumbers = [Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, -0, 1e308, -1e308, 1e36, 5e-324];
const oddBoxes: Readonly<Record<string, (min: number, max: number) => readonly [number, number]>> = {
  inverted: (min, max) => [max, min],
  degenerate: (min) => [min, min],
  huge: () => [-1.7e308, 1.7e308],
  outside: (min, max) => [min + 1e6, max + 1e6],
};

const moved = (values: Numbers, buffer: ArrayBufferLike) => {
  const copy = new (values.constructor as new (buffer: ArrayBufferLike) => Numbers)(buffer);
  copy.set(values);
  return copy;
};
const detached = (values: Numbers) => {
  const copy = values.slice();
  structuredClone(copy.buffer, { transfer: [copy.buffer as ArrayBuffer] });
  return copy;
};

/** The odd calls of a function; the first one is right in every way. */
export function casesOf({ arrays, perBox }: Subject, dim: Dim): Case[] {
  const right = arrays(dim);
  const answered = (name: string, changes: Record<string, unknown>): Case => ({
    ...{ name, arrays: { ...arrays(dim), ...changes }, refused: false },
  });
  const refused = (name: string, changes: Record<string, unknown>): Case => ({ ...answered(name, changes), refused: true });
  const cases = [answered('right', {})];
  const all = (change: (values: Numbers) => unknown) =>
    Object.fromEntries(Object.entries(right).map(([name, array]) => [name, change(array)]));
  cases.push(
    answered(
      'on shared memory',
      all((array) => moved(array, new SharedArrayBuffer(array.byteLength))),
    ),
  );
  if (perBox.length > 0)
    cases.push(answered('no boxes', Object.fromEntries(perBox.map((name) => [name, right[name]!.slice(0, 0)]))));
  for (const [name, array] of Object.entries(right)) {
    const numbers = array instanceof Int32Array ? [-1, 2 ** 31 - 1, -(2 ** 31)] : oddNumbers;
    for (const at of [0, array.length - 1]) {
      for (const value of numbers) cases.push(answered(`${name}[${at}] is ${value}`, { [name]: array.with(at, value) }));
    }
    cases.push(
      refused(`${name} is one longer`, { [name]: moved(array, new ArrayBuffer(array.byteLength + array.BYTES_PER_ELEMENT)) }),
      refused(`${name} is one shorter`, { [name]: array.slice(1) }),
      refused(`${name} is a list`, { [name]: Array.from(array) }),
      refused(`${name} holds big integers`, { [name]: new BigInt64Array(array.length) }),
      refused(`${name} is a view of bytes`, { [name]: new DataView(new ArrayBuffer(8)) }),
      refused(`${name} is a number`, { [name]: 7 }),
      refused(`${name} is detached`, { [name]: detached(array) }),
    );
  }
  for (const name of Object.keys(right).filter((key) => ['boxes', 'a', 'b'].includes(key))) {
    for (const [odd, change] of Object.entries(oddBoxes)) {
      const rows = right[name]!.slice();
      for (let d = 0; d < dim; d++) [rows[d], rows[dim + d]] = change(rows[d]!, rows[dim + d]!);
      cases.push(answered(`${name}: ${odd}`, { [name]: rows }));
    }
  }
  return cases;
}

/** What came of a call: its result, or its error. */
export type Outcome = { result: unknown } | { error: string; kind: string };

/** Makes every odd call of every function in both forms; by `function, dimension, form, case`. */
export async function oddOutcomes(): Promise<Map<string, Outcome>> {
  const outcomes = new Map<string, Outcome>();
  for (const [subject, { call, ...rest }] of Object.entries(subjects)) {
    for (const dim of [2, 3] as const) {
      for (const form of ['', 'Async'] as const) {
        if (form && subject === 'roiLevels') continue;
        for (const { name, arrays } of casesOf({ call, ...rest }, dim)) {
          const outcome = await Promise.resolve()
            .then(() => call(arrays as never, dim, form))
            .then(
              (result): Outcome => ({ result }),
              (error: Error): Outcome => ({ error: error.message, kind: error.name }),
            );
          outcomes.set(`${subject}, ${dim}D, ${form || 'sync'}, ${name}`, outcome);
        }
      }
    }
  }
  return outcomes;
}
