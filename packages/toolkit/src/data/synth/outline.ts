import type { LidcContour } from '../layouts/lidc/lidc-xml.js';
import { type LocalMask, valueAt } from '../layouts/lidc/local-mask.js';

/** Neighbours of a pixel clockwise, `[y, x]`, from the left one. */
const around = [
  [0, -1],
  [-1, -1],
  [-1, 0],
  [-1, 1],
  [0, 1],
  [1, 1],
  [1, 0],
  [1, -1],
] as const;

/**
 * Outlines of a mask as LIDC draws them: on each slice, for each part of the mask, a closed chain of the first pixels outside. Holes are
 * not drawn.
 */
export function outlinesOf(mask: LocalMask, placeOf: (z: number) => Pick<LidcContour, 'z' | 'sliceUid'>): LidcContour[] {
  const contours: LidcContour[] = [];
  for (let z = mask.from[0]; z < mask.to[0]; z++) {
    for (const part of partsOf(mask, z)) contours.push({ ...placeOf(z), inclusion: true, points: Int32Array.from(traced(part)) });
  }
  return contours;
}

/** Parts of a slice of the mask that touch, corners included, each grown by one pixel in every direction. */
function partsOf(mask: LocalMask, z: number): Set<string>[] {
  const [, y0, x0] = mask.from;
  const [, y1, x1] = mask.to;
  const done = new Set<string>();
  const parts: Set<string>[] = [];
  for (let y = y0; y < y1; y++) {
    for (let x = x0; x < x1; x++) {
      if (!valueAt(mask, z, y, x) || done.has(`${y},${x}`)) continue;
      const grown = new Set<string>();
      const open = [[y, x] as const];
      done.add(`${y},${x}`);
      for (const [py, px] of open) {
        grown.add(`${py},${px}`);
        for (const [dy, dx] of around) {
          const [ny, nx] = [py + dy, px + dx];
          grown.add(`${ny},${nx}`);
          if (!valueAt(mask, z, ny, nx) || done.has(`${ny},${nx}`)) continue;
          done.add(`${ny},${nx}`);
          open.push([ny, nx]);
        }
      }
      parts.push(grown);
    }
  }
  return parts;
}

/** The outer pixels of a part, clockwise: Moore's neighbour tracing, until the first step would be made again. */
function traced(part: ReadonlySet<string>): number[] {
  const has = (y: number, x: number) => part.has(`${y},${x}`);
  const [first] = part;
  let [y, x] = first!.split(',').map(Number) as [number, number];
  while (has(y, x - 1) || has(y - 1, x)) {
    if (has(y, x - 1)) x--;
    else y--;
  } // to a pixel with nothing to its left and above it
  const start = [y, x] as const;
  const points = [x, y];
  let from = 0; // the neighbour that was looked at last, outside the part
  let firstStep: number | undefined;
  for (let guard = 0; guard < 8 * part.size; guard++) {
    let step = from;
    do step = (step + 1) % 8;
    while (!has(y + around[step]![0], x + around[step]![1]));
    if (y === start[0] && x === start[1]) {
      if (step === firstStep) break;
      firstStep ??= step;
    }
    y += around[step]![0];
    x += around[step]![1];
    points.push(x, y);
    from = backtrack(step);
  }
  return points;
}

/** Where to look from after a step in a direction: the last neighbour before it that was outside, seen from the new pixel. */
const backtrack = (step: number): number => (step % 2 === 0 ? (step + 6) % 8 : (step + 5) % 8);
