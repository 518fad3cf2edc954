import type { Dim } from '@mdt/core';

/** Cells of one size, at least the longest side of the boxes in it: each box lies in at most 2^dim cells. */
interface Layer {
  cellSize: number;
  /** Boxes by the hash of their cell; different cells may share a hash, which only brings boxes that are too far. */
  cells: Map<number, number[]>;
  size: number;
}

/** Layers are a factor of 4 apart: few layers to ask, few cells to ask for in each. */
const magnitudeOf = (longest: number): number => Math.ceil(Math.log2(longest) / 2);

/** Finds boxes that may share a part with a given one while boxes are added and move: a hierarchy of grids, one for each magnitude. */
export class MovingIndex {
  readonly #layers = new Map<number, Layer>();
  /** Per box: its layer, and the first and last cell on each axis. */
  readonly #places: { magnitude: number; range: Int32Array }[] = [];
  readonly #dim: Dim;

  constructor(dim: Dim) {
    this.#dim = dim;
  }

  /** Puts box `id` (0, 1, 2, … as they come) where it is now; `box` is one row. */
  place(id: number, box: ArrayLike<number>): void {
    const dim = this.#dim;
    let longest = Number.MIN_VALUE;
    for (let d = 0; d < dim; d++) longest = Math.max(longest, box[dim + d]! - box[d]!);
    const magnitude = magnitudeOf(longest);
    const range = rangeOf(box, dim, 4 ** magnitude);
    const before = this.#places[id];
    if (before && before.magnitude === magnitude && before.range.every((cell, k) => cell === range[k])) return;
    if (before) {
      const layer = this.#layers.get(before.magnitude)!;
      layer.size--;
      eachCell(before.range, dim, (key) => {
        const cell = layer.cells.get(key)!;
        cell.splice(cell.indexOf(id), 1);
      });
    }
    let layer = this.#layers.get(magnitude);
    if (!layer) {
      layer = { cellSize: 4 ** magnitude, cells: new Map(), size: 0 };
      this.#layers.set(magnitude, layer);
    }
    layer.size++;
    const { cells } = layer;
    eachCell(range, dim, (key) => {
      const cell = cells.get(key);
      if (cell) cell.push(id);
      else cells.set(key, [id]);
    });
    this.#places[id] = { magnitude, range };
  }

  /** Visits the ids of all boxes that share a part with `box`, and of some that do not; an id may come several times. */
  near(box: ArrayLike<number>, visit: (id: number) => void): void {
    const dim = this.#dim;
    for (const { cellSize, cells, size } of this.#layers.values()) {
      if (size === 0) continue;
      let count = 1;
      for (let d = 0; d < dim; d++) count *= Math.floor(box[dim + d]! / cellSize) - Math.floor(box[d]! / cellSize) + 1;
      if (count > cells.size) for (const cell of cells.values()) cell.forEach(visit);
      else eachCell(rangeOf(box, dim, cellSize), dim, (key) => cells.get(key)?.forEach(visit));
    }
  }
}

function rangeOf(box: ArrayLike<number>, dim: Dim, cellSize: number): Int32Array {
  const range = new Int32Array(2 * dim);
  for (let k = 0; k < 2 * dim; k++) range[k] = Math.floor(box[k]! / cellSize);
  return range;
}

/** Visits the hash of every cell of a range, first and last included; a hash may come several times. */
function eachCell(range: Int32Array, dim: Dim, visit: (key: number) => void): void {
  const from = dim === 3 ? range[0]! : 0;
  const to = dim === 3 ? range[3]! : 0;
  const y = dim - 2;
  for (let i = from; i <= to; i++) {
    for (let j = range[y]!; j <= range[dim + y]!; j++) {
      for (let k = range[y + 1]!; k <= range[dim + y + 1]!; k++) {
        visit(Math.imul(i, 73856093) ^ Math.imul(j, 19349663) ^ Math.imul(k, 83492791));
      }
    }
  }
}
