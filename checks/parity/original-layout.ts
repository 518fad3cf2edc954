import { type Dim, product, toMdtBoxes } from '@mdt/core';
import { type AnchorGrid, anchorBoxes, legacyRank } from '@mdt/detectors';

/** Sizes per axis of the original, `(y, x[, z])`, in ours, `[z, y, x]`, and back. */
export const toArrayOrder = <T>(values: readonly T[]): T[] =>
  values.length === 3 ? [values[2]!, values[0]!, values[1]!] : [...values];
export const toOriginalOrder = <T>(values: readonly T[]): T[] =>
  values.length === 3 ? [values[1]!, values[2]!, values[0]!] : [...values];

/** `[b, z, y, x, c]` as the original's `(b, c, y, x, z)`. */
export function toChannelsFirst(data: ArrayLike<number>, shape: readonly number[]): { shape: number[]; data: Float32Array } {
  const [batch, channels] = [shape[0]!, shape.at(-1)!];
  const size = shape.slice(1, -1);
  const out = new Float32Array(data.length);
  const theirs = [batch, channels, ...toOriginalOrder(size)];
  visit(size, (cell, theirCell, cells) => {
    for (let b = 0; b < batch; b++) {
      for (let c = 0; c < channels; c++) out[(b * channels + c) * cells + theirCell] = data[(b * cells + cell) * channels + c]!;
    }
  });
  return { shape: theirs, data: out };
}

/** The original's `(b, c, y, x, z)` as `[b, z, y, x, c]`. */
export function toChannelsLast(data: ArrayLike<number>, shape: readonly number[]): { shape: number[]; data: Float32Array } {
  const [batch, channels] = shape as [number, number];
  const size = toArrayOrder(shape.slice(2));
  const out = new Float32Array(data.length);
  visit(size, (cell, theirCell, cells) => {
    for (let b = 0; b < batch; b++) {
      for (let c = 0; c < channels; c++) out[(b * cells + cell) * channels + c] = data[(b * channels + c) * cells + theirCell]!;
    }
  });
  return { shape: [batch, ...size, channels], data: out };
}

/** Calls `f` with each cell's flat index here and in the original, where z runs fastest. */
function visit(size: readonly number[], f: (cell: number, theirCell: number, cells: number) => void): void {
  const cells = product(size);
  const depth = size.length === 3 ? size[0]! : 1;
  const plane = cells / depth;
  for (let cell = 0; cell < cells; cell++) f(cell, (cell % plane) * depth + Math.floor(cell / plane), cells);
}

/** For each place of the original's enumeration, our anchor. */
export function anchorsInOriginalOrder(grid: AnchorGrid): Int32Array {
  const order = new Int32Array(grid.length);
  for (let anchor = 0; anchor < grid.length; anchor++) order[legacyRank(grid, anchor)] = anchor;
  return order;
}

/** Every anchor in the original's order and format. */
export const originalAnchors = (grid: AnchorGrid): Float64Array =>
  toMdtBoxes(anchorBoxes(grid, anchorsInOriginalOrder(grid)), grid.dim);

/** For each delta of the original, `(y x z, h w d)`, its place among ours, `[z y x, d h w]`. */
export const deltaPlaces = (dim: Dim): number[] => (dim === 3 ? [1, 2, 0, 4, 5, 3] : [0, 1, 2, 3]);

/** Heads' outputs per level, `[b · anchors, width]`, as the original's `(b, anchors, width)`; `places` permutes each row. */
export function toOriginalRows(
  grid: AnchorGrid,
  levels: readonly ArrayLike<number>[],
  batch: number,
  places: readonly number[],
): Float32Array {
  const width = places.length;
  const out = new Float32Array(batch * grid.length * width);
  grid.levels.forEach(({ offset, length }, l) => {
    for (let b = 0; b < batch; b++) {
      for (let i = 0; i < length; i++) {
        const to = (b * grid.length + legacyRank(grid, offset + i)) * width;
        const from = (b * length + i) * width;
        for (let k = 0; k < width; k++) out[to + k] = levels[l]![from + places[k]!]!;
      }
    }
  });
  return out;
}

/** The reverse: recorded rows `(b, anchors, width)` as one array per level. */
export function fromOriginalRows(
  grid: AnchorGrid,
  rows: ArrayLike<number>,
  batch: number,
  places: readonly number[],
): Float64Array[] {
  const width = places.length;
  return grid.levels.map(({ offset, length }) => {
    const level = new Float64Array(batch * length * width);
    for (let b = 0; b < batch; b++) {
      for (let i = 0; i < length; i++) {
        const from = (b * grid.length + legacyRank(grid, offset + i)) * width;
        const to = (b * length + i) * width;
        for (let k = 0; k < width; k++) level[to + places[k]!] = rows[from + k]!;
      }
    }
    return level;
  });
}
