import { InputError, product } from '@mdt/core';

/**
 * A binary mask as lengths of runs. The order is COCO's: down the columns (y fastest, then x); volumes slice after slice.
 */
export interface Rle {
  /** Voxels per axis, array order: `[y, x]` or `[z, y, x]`. */
  readonly size: readonly number[];
  /** Lengths of the runs of 0 and of 1 in turn, 0 first; their sum is the number of voxels. */
  readonly counts: Uint32Array;
}

/**
 * Runs of the values that `inside` accepts (default: not 0). `mask` is row-major, `[...size]`.
 *
 * @throws RangeError when the mask does not fill the size
 */
export function encodeMask(
  mask: ArrayLike<number>,
  size: readonly number[],
  inside: (value: number) => boolean = (value) => value !== 0,
): Rle {
  checkFilled('encodeMask', mask.length, size);
  const counts: number[] = [];
  let run = 0;
  let one = false;
  walkColumns(size, (at) => {
    if (inside(mask[at]!) !== one) {
      counts.push(run);
      run = 0;
      one = !one;
    }
    run++;
  });
  counts.push(run);
  return { size: [...size], counts: Uint32Array.from(counts) };
}

/** One mask for each label of a label map other than 0 (background), by ascending label. */
export function masksFromLabels(labels: ArrayLike<number>, size: readonly number[]): Map<number, Rle> {
  checkFilled('masksFromLabels', labels.length, size);
  // Per label the ends of its runs: start and past-end positions in turn.
  const edges = new Map<number, number[]>();
  let position = 0;
  let current = 0;
  const edge = (label: number) => {
    if (label === 0) return;
    const list = edges.get(label);
    if (list) list.push(position);
    else edges.set(label, [position]);
  };
  walkColumns(size, (at) => {
    const label = labels[at]!;
    if (label !== current) {
      edge(current);
      edge(label);
      current = label;
    }
    position++;
  });
  edge(current);
  const total = product(size);
  return new Map(
    [...edges]
      .sort(([a], [b]) => a - b)
      .map(([label, list]) => [label, { size: [...size], counts: countsFromEdges(list, total) }]),
  );
}

/** The mask as 0 and 1, row-major, `[...size]`. */
export function decodeMask(rle: Rle): Uint8Array {
  checkRle('decodeMask', rle);
  const mask = new Uint8Array(product(rle.size));
  let run = 0;
  let left = rle.counts[0]!;
  walkColumns(rle.size, (at) => {
    while (left === 0) left = rle.counts[++run]!;
    left--;
    mask[at] = run & 1;
  });
  return mask;
}

/** Number of voxels inside. */
export function maskArea({ counts }: Rle): number {
  let area = 0;
  for (let i = 1; i < counts.length; i += 2) area += counts[i]!;
  return area;
}

/** The smallest half-open box around a mask, `[min…, max…]` in array order; zeros for an empty mask. */
export function maskBox({ size, counts }: Rle): number[] {
  const dim = size.length;
  const height = size[dim - 2]!;
  const slice = height * size[dim - 1]!;
  const low = [Infinity, Infinity, Infinity]; // z y x
  const high = [-1, -1, -1];
  let position = 0;
  for (let i = 0; i < counts.length; i++) {
    const start = position;
    position += counts[i]!;
    if (i % 2 === 0 || counts[i] === 0) continue;
    const last = position - 1;
    const z = [Math.floor(start / slice), Math.floor(last / slice)] as const;
    const column = [Math.floor(start / height), Math.floor(last / height)] as const; // over all slices
    const grow = (axis: number, from: number, to: number) => {
      low[axis] = Math.min(low[axis]!, from);
      high[axis] = Math.max(high[axis]!, to);
    };
    grow(0, z[0], z[1]);
    if (z[0] < z[1]) grow(2, 0, size[dim - 1]! - 1);
    else grow(2, column[0] - z[0] * size[dim - 1]!, column[1] - z[1] * size[dim - 1]!);
    if (column[0] < column[1]) grow(1, 0, height - 1);
    else grow(1, start - column[0] * height, last - column[1] * height);
  }
  if (high[1]! < 0) return new Array(2 * dim).fill(0);
  return [...low.slice(3 - dim), ...high.slice(3 - dim).map((v) => v + 1)];
}

/** Number of voxels that two masks of one size share. */
export function maskIntersection(a: Rle, b: Rle): number {
  let shared = 0;
  let i = 0;
  let j = 0;
  let endA = a.counts[0]!;
  let endB = b.counts[0]!;
  let position = 0;
  while (i < a.counts.length && j < b.counts.length) {
    const next = Math.min(endA, endB);
    if (i & j & 1) shared += next - position;
    position = next;
    while (endA === next && ++i < a.counts.length) endA += a.counts[i]!;
    while (endB === next && ++j < b.counts.length) endB += b.counts[j]!;
  }
  return shared;
}

/**
 * Share of the union that two masks have in common; with `crowd` the share of `a` that lies in `b` (COCO's rule for regions of
 * many objects). Two empty masks give 0.
 */
export function maskIou(a: Rle, b: Rle, { crowd = false }: { crowd?: boolean } = {}): number {
  if (String(a.size) !== String(b.size)) {
    throw new RangeError(`maskIou: masks of sizes ${a.size.join('x')} and ${b.size.join('x')}`);
  }
  const shared = maskIntersection(a, b);
  return shared === 0 ? 0 : shared / (crowd ? maskArea(a) : maskArea(a) + maskArea(b) - shared);
}

/** What a voxel of the result is, from whether each of the two masks has it. */
export type MaskOperation = 'union' | 'intersection' | 'difference';

/** Combines masks of one size from the first on; `difference` takes all others away from the first. */
export function combineMasks(masks: readonly Rle[], operation: MaskOperation): Rle {
  const first = masks[0];
  if (!first) throw new RangeError('combineMasks: no masks');
  return masks.slice(1).reduce((a, b) => combineTwo(a, b, operation), first);
}

function combineTwo(a: Rle, b: Rle, operation: MaskOperation): Rle {
  if (String(a.size) !== String(b.size)) {
    throw new RangeError(`combineMasks: masks of sizes ${a.size.join('x')} and ${b.size.join('x')}`);
  }
  const rules = { union: (x: number, y: number) => x | y, intersection: (x: number, y: number) => x & y };
  const rule = operation === 'difference' ? (x: number, y: number) => x & ~y : rules[operation];
  const edges: number[] = [];
  let i = 0;
  let j = 0;
  let endA = a.counts[0]!;
  let endB = b.counts[0]!;
  let position = 0;
  let one = 0;
  while (i < a.counts.length && j < b.counts.length) {
    const next = Math.min(endA, endB);
    const value = rule(i & 1, j & 1) & 1;
    if (next > position && value !== one) {
      edges.push(position);
      one = value;
    }
    position = next;
    while (endA === next && ++i < a.counts.length) endA += a.counts[i]!;
    while (endB === next && ++j < b.counts.length) endB += b.counts[j]!;
  }
  if (one) edges.push(position);
  return { size: a.size, counts: countsFromEdges(edges, product(a.size)) };
}

/** Run lengths from the positions at which the value changes, 0 at first; an edge that occurs twice is none. */
export function countsFromEdges(edges: readonly number[], total: number): Uint32Array {
  const counts: number[] = [];
  let from = 0;
  for (let i = 0; i < edges.length; i++) {
    if (edges[i] === edges[i + 1]) i++;
    else {
      counts.push(edges[i]! - from);
      from = edges[i]!;
    }
  }
  if (from < total || counts.length === 0) counts.push(total - from);
  return Uint32Array.from(counts);
}

/**
 * COCO's text form of run lengths: from the third run on the difference to the run two before, in groups of 5 bits with the
 * lowest first, each group as a character from '0' on, 32 added where more follow.
 */
export function countsToString(counts: Uint32Array): string {
  let text = '';
  for (let i = 0; i < counts.length; i++) {
    let value = counts[i]! - (i > 2 ? counts[i - 2]! : 0);
    for (;;) {
      const bits = ((value % 32) + 32) % 32;
      value = Math.floor(value / 32);
      // The rest is all sign: bit 5 of the last group is the sign bit.
      const more = bits & 16 ? value !== -1 : value !== 0;
      text += String.fromCharCode(bits + (more ? 32 : 0) + 48);
      if (!more) break;
    }
  }
  return text;
}

/** Undoes `countsToString`; throws `invalid-data` for a text that it cannot have made. */
export function countsFromString(text: string, who = 'countsFromString'): Uint32Array {
  const counts: number[] = [];
  for (let at = 0; at < text.length; ) {
    let value = 0;
    let scale = 1;
    for (;;) {
      const code = text.charCodeAt(at++) - 48;
      if (!(code >= 0 && code < 64) || scale > 2 ** 35) {
        throw new InputError('invalid-data', `${who}: not run lengths in COCO's text form, at character ${at - 1}`);
      }
      value += (code & 31) * scale;
      scale *= 32;
      if (code & 32) continue;
      if (code & 16) value -= scale;
      break;
    }
    counts.push(value + (counts.length > 2 ? counts[counts.length - 2]! : 0));
    if (!(counts.at(-1)! >= 0)) {
      throw new InputError('invalid-data', `${who}: a run of negative length ${counts.at(-1)}`);
    }
  }
  return Uint32Array.from(counts);
}

/** Throws unless the runs fill the size. */
export function checkRle(who: string, { size, counts }: Rle): void {
  if (size.length !== 2 && size.length !== 3) {
    throw new InputError('shape-mismatch', `${who}: mask has ${size.length} axes, expected 2 or 3`);
  }
  let sum = 0;
  for (const count of counts) sum += count;
  const expected = product(size);
  if (sum !== expected || counts.length === 0) {
    throw new InputError('invalid-data', `${who}: mask's runs sum to ${sum}, expected ${expected} (size ${size.join('x')})`);
  }
}

function checkFilled(who: string, length: number, size: readonly number[]): void {
  const expected = product(size);
  if ((size.length !== 2 && size.length !== 3) || length !== expected) {
    throw new RangeError(`${who}: ${length} values for size ${size.join('x')}, expected ${expected} in 2 or 3 axes`);
  }
}

/** Visits the row-major index of every voxel in the order of the runs. */
function walkColumns(size: readonly number[], visit: (at: number) => void): void {
  const width = size.at(-1)!;
  const slice = size.at(-2)! * width;
  const total = product(size);
  for (let z = 0; z < total; z += slice) {
    for (let x = 0; x < width; x++) {
      for (let at = z + x; at < z + slice; at += width) visit(at);
    }
  }
}
