import { combineMasks, countsFromEdges, type Rle } from './rle.js';

/** The grid on which COCO draws outlines is this much finer than the pixels. */
const fine = 5;

/**
 * The mask of one or more outlines `[x1, y1, x2, y2, …]` in pixels, pixel for pixel as COCO's tools draw it: the outline is
 * walked on a grid five times as fine, and a column's mask changes where the outline crosses the middle of the column.
 *
 * @param size `[y, x]`
 */
export function polygonsToRle(polygons: readonly ArrayLike<number>[], size: readonly [number, number]): Rle {
  const drawn = polygons.map((points) => polygonToRle(points, size));
  return drawn.length > 0 ? combineMasks(drawn, 'union') : { size, counts: Uint32Array.of(size[0] * size[1]) };
}

function polygonToRle(points: ArrayLike<number>, [height, width]: readonly [number, number]): Rle {
  const { u, v } = walkOutline(points);
  const edges: number[] = [];
  for (let i = 1; i < u.length; i++) {
    if (u[i] === u[i - 1]) continue;
    // The step goes over a vertical line of the fine grid; only lines through the middle of a pixel column count.
    const line = u[i]! < u[i - 1]! ? u[i]! : u[i]! - 1;
    const column = (line + 0.5) / fine - 0.5;
    if (!Number.isInteger(column) || column < 0 || column > width - 1) continue;
    const upper = (Math.min(v[i]!, v[i - 1]!) + 0.5) / fine - 0.5;
    edges.push(column * height + Math.ceil(Math.min(Math.max(upper, 0), height)));
  }
  edges.sort((a, b) => a - b);
  return { size: [height, width], counts: countsFromEdges(edges, height * width) };
}

/** Points of the fine grid along the outline, each side from corner to corner, both included. */
function walkOutline(points: ArrayLike<number>): { u: number[]; v: number[] } {
  const corners = points.length / 2;
  const gridded = (i: number) => Math.trunc(fine * points[i]! + 0.5);
  const u: number[] = [];
  const v: number[] = [];
  for (let corner = 0; corner < corners; corner++) {
    const next = (corner + 1) % corners;
    let [x0, y0, x1, y1] = [gridded(2 * corner), gridded(2 * corner + 1), gridded(2 * next), gridded(2 * next + 1)];
    const wide = Math.abs(x1 - x0) >= Math.abs(y1 - y0);
    const steps = wide ? Math.abs(x1 - x0) : Math.abs(y1 - y0);
    // Computed from the smaller end on the longer axis, so that a side is the same in both directions.
    const backwards = wide ? x0 > x1 : y0 > y1;
    if (backwards) [x0, y0, x1, y1] = [x1, y1, x0, y0];
    const slope = steps === 0 ? 0 : (wide ? y1 - y0 : x1 - x0) / steps;
    for (let step = 0; step <= steps; step++) {
      const t = backwards ? steps - step : step;
      u.push(wide ? x0 + t : Math.trunc(x0 + slope * t + 0.5));
      v.push(wide ? Math.trunc(y0 + slope * t + 0.5) : y0 + t);
    }
  }
  return { u, v };
}
