import { InputError, iouAt, refuseUnknownKeys } from '@mdt/core';
import { type AnchorGrid, type AnchorLevel, writeAnchor } from '@mdt/decode';
import { anchorState, type Matcher, type Matching } from './matcher.js';

export interface AtssMatcherOptions {
  /** Nearest cells per object and level; each gives all its anchors. Default 4 (nnDetection). */
  candidates?: number;
  /** Positives must have their centre inside the object. Default false (nnDetection). */
  centerInObject?: boolean;
}

/** How far inside the object a centre has to lie, voxels. */
const margin = 0.01;

/**
 * Adaptive training sample selection (Zhang et al. 2020): of the anchors nearest to an object, those are positive whose IoU is at
 * least the mean plus the standard deviation of all of them. Every other anchor is background; none is ignored.
 */
export function atssMatcher(options: AtssMatcherOptions = {}): Matcher {
  refuseUnknownKeys('atssMatcher', options, ['candidates', 'centerInObject']);
  const { candidates = 4, centerInObject = false } = options;
  if (!(Number.isInteger(candidates) && candidates >= 1)) {
    throw new InputError('invalid-option', `atssMatcher: candidates is ${candidates}, expected a whole number of at least 1`);
  }
  return {
    match(grid, { boxes, labels }): Matching {
      const width = 2 * grid.dim;
      const best = new Map<number, { target: number; iou: number }>();
      for (let target = 0; target < labels.length; target++) {
        const box = boxes.subarray(target * width, (target + 1) * width);
        for (const { anchor, iou } of chooseFor(grid, box, candidates, centerInObject)) {
          if (iou > (best.get(anchor)?.iou ?? 0)) best.set(anchor, { target, iou });
        }
      }
      const positives = Int32Array.from(best.keys()).sort();
      const states = new Uint8Array(grid.length);
      for (const anchor of positives) states[anchor] = anchorState.positive;
      const targets = positives.map((anchor) => best.get(anchor)!.target);
      return { states, positives, targets, labels: targets.map((t) => labels[t]!), forced: new Uint8Array(positives.length) };
    },
  };
}

/** The anchors that are positive for one box, with their IoU. */
function chooseFor(
  grid: AnchorGrid,
  box: ArrayLike<number>,
  candidates: number,
  centerInObject: boolean,
): { anchor: number; iou: number }[] {
  const { dim } = grid;
  const corners = new Float64Array(2 * dim);
  const found: { anchor: number; iou: number }[] = [];
  for (const level of grid.levels) {
    for (const cell of nearestCells(grid, level, box, candidates)) {
      for (let shape = 0; shape < grid.anchorsPerCell; shape++) {
        const anchor = level.offset + cell * grid.anchorsPerCell + shape;
        writeAnchor(grid, anchor, corners, 0);
        found.push({ anchor, iou: iouAt(corners, 0, box, 0, dim) });
      }
    }
  }
  const mean = found.reduce((sum, { iou }) => sum + iou, 0) / found.length;
  const squares = found.reduce((sum, { iou }) => sum + (iou - mean) ** 2, 0);
  const threshold = mean + Math.sqrt(squares / Math.max(1, found.length - 1));
  return found.filter(({ anchor, iou }) => {
    if (!(iou >= threshold && iou > 0)) return false;
    if (!centerInObject) return true;
    writeAnchor(grid, anchor, corners, 0);
    return Array.from({ length: dim }, (_, d) => {
      const centre = 0.5 * (corners[d]! + corners[dim + d]!);
      return Math.min(centre - box[d]!, box[dim + d]! - centre) > margin;
    }).every(Boolean);
  });
}

/** The cells of a level whose centres are nearest to that of the box; of equals the first. */
function nearestCells({ dim, shift }: AnchorGrid, level: AnchorLevel, box: ArrayLike<number>, count: number): number[] {
  // Per axis, only so many cells on each side of the centre can be among the nearest.
  let cells: { cell: number; distance: number }[] = [{ cell: 0, distance: 0 }];
  for (let d = 0; d < dim; d++) {
    const stride = level.stride[d]!;
    const n = level.cells[d]!;
    const centre = 0.5 * (box[d]! + box[dim + d]!);
    const middle = Math.min(Math.max(Math.round(centre / stride - shift), 0), n - 1);
    const first = Math.max(0, middle - count);
    const last = Math.min(n - 1, middle + count);
    cells = cells.flatMap(({ cell, distance }) =>
      Array.from({ length: last - first + 1 }, (_, i) => ({
        cell: cell * n + first + i,
        distance: distance + ((first + i + shift) * stride - centre) ** 2,
      })),
    );
  }
  cells.sort((a, b) => a.distance - b.distance || a.cell - b.cell);
  return cells.slice(0, count).map(({ cell }) => cell);
}
