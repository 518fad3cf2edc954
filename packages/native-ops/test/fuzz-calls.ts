import { product, type Random } from '@mdt/core';
import type { NativeOps } from '../src/binding.js';

export type Op = keyof NativeOps;

/** Small valid calls of every op, without `stop`. */
const calls: { readonly [O in Op]: (random: Random) => unknown[] } = {
  nms: (random) => {
    const { dim, n, boxes, scores, groups } = scoredBoxes(random);
    return [boxes, scores, groups, dim, random.next(), random.next() < 0.5, random.integer(0, n + 2), threads(random)];
  },
  boxIou: (random) => [...pairOfBoxes(random), random.next() < 0.5, threads(random)],
  boxPairs: (random) => [...pairOfBoxes(random), random.next() < 0.5, random.integer(0, 2), threads(random)],
  softNms: (random) => {
    const { dim, n, boxes, scores, groups } = scoredBoxes(random);
    const rule = [random.next() < 0.5, random.next(), random.uniform(0.1, 1), 0.01, random.next() < 0.5];
    return [boxes, scores, groups, dim, ...rule, random.integer(0, n + 2), threads(random)];
  },
  greedyClusters: (random) => {
    const { dim, boxes, groups, n } = scoredBoxes(random);
    const linked = random.next() < 0.5;
    const links = Int32Array.from({ length: 10 }, () => random.integer(-1, 5));
    const layers = groups && !linked ? groups : Int32Array.from({ length: n }, () => random.integer(0, 5));
    return [boxes, layers, linked ? links : null, dim, random.next(), random.next() < 0.5, threads(random)];
  },
  weightedClusters: (random) => {
    const { dim, boxes, scores, n } = scoredBoxes(random);
    const reals = () => Float64Array.from({ length: n }, () => random.uniform(0, 3));
    const ids = () => Int32Array.from({ length: n }, () => random.integer(-2, 4));
    const rule = [random.next(), random.uniform(0, 9), random.next(), random.next() < 0.5, random.next() < 0.5];
    return [boxes, scores, reals(), reals(), ids(), ids(), dim, ...rule, random.next() < 0.5, threads(random)];
  },
  roiAlign: (random) => {
    const { maps, rest } = rois(random);
    return [maps, ...rest];
  },
  roiAlignGrad: (random) => {
    const { dy, rest } = rois(random);
    return [dy, ...rest];
  },
  resample: (random) => {
    const dim = random.integer(2, 4);
    const [size, outputSize, channels] = [sizes(random, dim, 6), sizes(random, dim, 6), random.integer(1, 4)];
    const values = voxels(random, product(size) * channels);
    const affine = Float64Array.from({ length: dim * (dim + 1) }, () => random.normal());
    const step = random.next() < 0.5 ? 1 : random.integer(1, 5);
    const vectors = outputSize.map((n: number) => Math.ceil((n - 1) / step) + 1);
    const field = (cells: ArrayLike<number>) => (random.next() < 0.3 ? floats(random, product(cells) * dim, 8) : null);
    const how = [random.integer(0, 3), random.integer(0, 6), random.normal()];
    return [values, size, channels, outputSize, affine, field(vectors), step, field(outputSize), dim, ...how, threads(random)];
  },
  components: (random) => {
    const dim = random.integer(2, 4);
    const size = sizes(random, dim, 12);
    const scores = random.next() < 0.5 ? floats(random, product(size), 1) : null;
    const values = voxels(random, product(size)).map((v: number) => (random.next() < 0.5 ? 0 : v));
    return [values, size, dim, random.integer(1, dim + 1), random.next() < 0.5, scores, threads(random)];
  },
  pasteMasks: (random) => {
    const dim = random.integer(2, 4);
    const n = random.integer(0, 4);
    const [maskSize, size] = [sizes(random, dim, 5), sizes(random, dim, 9)];
    const threshold = random.next() < 0.5 ? null : random.next();
    return [floats(random, n * product(maskSize), 1), maskSize, boxRows(random, n, dim), size, dim, threshold, threads(random)];
  },
};

export const ops = Object.keys(calls) as Op[];

/** A call of an op in which nothing to a few things are wrong. */
export function damagedCall(op: Op, random: Random): unknown[] {
  const args = calls[op](random);
  for (let wounds = random.integer(0, 4); wounds > 0; wounds--) {
    const place = random.integer(0, args.length);
    const what = random.next();
    if (what < 0.45) args[place] = damaged(args[place], random);
    else if (what < 0.6) args[place] = pick(random, oddities)(random);
    else if (what < 0.65) args[place] = args[random.integer(0, args.length)];
    else if (what < 0.7) args.length = place;
    else spoil(args[place], random);
    if (args.length === 0) break;
  }
  return args;
}

const oddNumbers = [
  ...[0, -0, 1, -1, 0.5, 2, 3, 4, 2 ** 31 - 1, 2 ** 31, -(2 ** 31), 2 ** 32, 2 ** 53, 1e30, 1e308, -1e308, 1e-320],
  ...[Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY],
];

const oddities: readonly ((random: Random) => unknown)[] = [
  () => undefined,
  () => null,
  (random) => pick(random, oddNumbers),
  () => true,
  () => 'text',
  () => 10n ** 30n,
  () => Symbol('odd'),
  () => ({ length: 3 }),
  () => [],
  () => [1, null, 'x'],
  () => () => 1,
  () => new DataView(new ArrayBuffer(16)),
  () => new BigInt64Array(2),
  () => new Uint8ClampedArray(5),
  () => new ArrayBuffer(8),
  () => new Proxy(new Float32Array(4), {}),
  (random) => floats(random, random.integer(0, 30), 10),
  (random) => Int32Array.from({ length: random.integer(0, 5) }, () => pick(random, oddNumbers)),
  () => [new Float32Array(4), new Float64Array(4)],
];

type Numbers = Float32Array | Float64Array | Int32Array | Uint8Array;

const isNumbers = (value: unknown): value is Numbers =>
  ArrayBuffer.isView(value) && 'length' in value && !(value instanceof BigInt64Array) && !isDetached(value);

/** True for an array on an empty buffer, too: there is nothing to damage. */
const isDetached = (view: ArrayBufferView): boolean => view.byteLength === 0 && view.buffer.byteLength === 0;

/** The same kind of thing with another length, in another place, of another type, or taken away. */
function damaged(value: unknown, random: Random): unknown {
  if (Array.isArray(value)) return value.map((part) => (random.next() < 0.5 ? damaged(part, random) : part));
  if (!isNumbers(value)) return typeof value === 'number' ? pick(random, oddNumbers) : value;
  const Kind = value.constructor as new (from: number | ArrayBufferLike, offset?: number, length?: number) => Numbers;
  switch (random.integer(0, 6)) {
    case 0:
      return value.subarray(random.integer(0, value.length + 1));
    case 1: {
      const longer = new Kind(value.length + random.integer(1, 9));
      longer.set(value as Float32Array);
      return longer;
    }
    case 2: {
      const shared = new Kind(new SharedArrayBuffer(value.byteLength + 8), 8, value.length);
      shared.set(value as Float32Array);
      return shared;
    }
    case 3: {
      const copy = value.slice();
      structuredClone(copy.buffer, { transfer: [copy.buffer as ArrayBuffer] });
      return copy;
    }
    case 4:
      return Float64Array.from(value);
    default: {
      const Resizable = ArrayBuffer as new (bytes: number, options: { maxByteLength: number }) => ArrayBuffer;
      const growing = new Resizable(value.byteLength, { maxByteLength: 2 * value.byteLength });
      const view = new Kind(growing);
      view.set(value as Float32Array);
      return view;
    }
  }
}

/** Writes odd numbers into an array. */
function spoil(value: unknown, random: Random): void {
  if (Array.isArray(value)) for (const part of value) spoil(part, random);
  if (!isNumbers(value)) return;
  for (let k = random.integer(1, 4); k > 0 && value.length > 0; k--) {
    value[random.integer(0, value.length)] = pick(random, oddNumbers);
  }
}

const pick = <T>(random: Random, list: readonly T[]): T => list[random.integer(0, list.length)]!;
const threads = (random: Random): number => random.integer(0, 4);
const sizes = (random: Random, dim: number, largest: number): Int32Array =>
  Int32Array.from({ length: dim }, () => random.integer(1, largest + 1));
const floats = (random: Random, length: number, span: number): Float32Array =>
  Float32Array.from({ length }, () => random.uniform(-span, span));

function voxels(random: Random, length: number): Float32Array {
  const kinds = [Int8Array, Uint8Array, Int16Array, Uint16Array, Int32Array, Uint32Array, Float32Array, Float64Array];
  const values = new (pick(random, kinds))(length);
  for (let i = 0; i < length; i++) values[i] = random.integer(0, 4);
  return values as Float32Array;
}

function boxRows(random: Random, n: number, dim: number): Float32Array {
  const rows = floats(random, n * 2 * dim, 6);
  for (let i = 0; i < rows.length; i++) if (i % (2 * dim) >= dim) rows[i]! += 6;
  return rows;
}

function scoredBoxes(random: Random) {
  const dim = random.integer(2, 4);
  const n = random.next() < 0.02 ? 5000 : random.integer(0, 40);
  const groups = random.next() < 0.5 ? null : Int32Array.from({ length: n }, () => random.integer(0, 3));
  return { dim, n, boxes: boxRows(random, n, dim), scores: floats(random, n, 1), groups };
}

function pairOfBoxes(random: Random): unknown[] {
  const dim = random.integer(2, 4);
  return [boxRows(random, random.integer(0, 20), dim), boxRows(random, random.integer(0, 20), dim), dim];
}

function rois(random: Random) {
  const dim = random.integer(2, 4);
  const count = random.integer(1, 4);
  const [channels, batch, n] = [random.integer(1, 40), random.integer(0, 3), random.integer(0, 5)];
  const size = Array.from({ length: count }, () => sizes(random, dim, 5));
  const maps = size.map((s) => floats(random, product(s) * channels * batch, 1));
  const scales = Float64Array.from({ length: count * dim }, () => random.uniform(0.2, 2));
  const pool = sizes(random, dim, 4);
  const index = (end: number) => (random.next() < 0.5 ? null : Int32Array.from({ length: n }, () => random.integer(-1, end + 1)));
  const where = [boxRows(random, n, dim), index(batch), index(count), dim, pool];
  const how = [random.next() < 0.4, random.integer(0, 4), random.next() < 0.5, threads(random)];
  const rest = [Int32Array.from(size.flatMap((s) => [...s])), scales, batch, channels, ...where, ...how];
  return { maps, dy: floats(random, n * product(pool) * channels, 1), rest };
}
