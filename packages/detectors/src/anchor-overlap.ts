import type { AnchorGrid, AnchorLevel } from '@mdt/decode';

/** Anchors of one shape on one level. */
export interface AnchorFamily {
  level: AnchorLevel;
  /** Index into the level's shapes. */
  shape: number;
}

export function anchorFamilies(grid: AnchorGrid): AnchorFamily[] {
  return grid.levels.flatMap((level) => level.shapes.map((_, shape) => ({ level, shape })));
}

/** The highest IoU that a box of this size can have with the family: their IoU with a corner in common. */
export function overlapBound({ level, shape }: AnchorFamily, box: ArrayLike<number>, offset: number): number {
  const sides = level.shapes[shape]!;
  let shared = 1;
  let boxSize = 1;
  let anchorSize = 1;
  for (let d = 0; d < sides.length; d++) {
    const side = box[offset + sides.length + d]! - box[offset + d]!;
    shared *= Math.min(side, sides[d]!);
    boxSize *= side;
    anchorSize *= sides[d]!;
  }
  return shared / (boxSize + anchorSize - shared);
}

interface AxisOverlap {
  first: number;
  /** Voxels shared with the box, and the anchor's own side, per cell from `first` on. */
  shared: Float64Array;
  side: Float64Array;
}

const noAxis: AxisOverlap = { first: 0, shared: Float64Array.of(1), side: Float64Array.of(1) };

/**
 * Calls `visit` with the index and IoU (double precision, half-open) of every anchor of a family that overlaps the box at
 * `offset`. Anchors stand on a grid, so only cells near the box are looked at, and overlaps are products of one number per axis.
 */
export function visitOverlaps(
  { dim, anchorsPerCell, shift }: AnchorGrid,
  { level, shape }: AnchorFamily,
  box: ArrayLike<number>,
  offset: number,
  visit: (anchor: number, iou: number) => void,
): void {
  const axes: AxisOverlap[] = [];
  let boxSize = 1;
  for (let d = dim - 1; d >= 0; d--) {
    const min = box[offset + d]!;
    const max = box[offset + dim + d]!;
    boxSize *= max - min;
    axes.unshift(alongAxis(min, max, level.shapes[shape]![d]!, level.stride[d]!, level.cells[d]!, shift));
  }
  if (dim === 2) axes.unshift(noAxis);
  const [az, ay, ax] = axes as [AxisOverlap, AxisOverlap, AxisOverlap];
  const ny = level.cells[dim - 2]!;
  const nx = level.cells[dim - 1]!;
  for (let z = 0; z < az.shared.length; z++) {
    for (let y = 0; y < ay.shared.length; y++) {
      const row = ((az.first + z) * ny + ay.first + y) * nx + ax.first;
      for (let x = 0; x < ax.shared.length; x++) {
        // The order of the factors is that of the recordings, whose ties between anchors depend on the last bit.
        const shared = ax.shared[x]! * ay.shared[y]! * az.shared[z]!;
        if (!(shared > 0)) continue;
        const size = ax.side[x]! * ay.side[y]! * az.side[z]!;
        visit(level.offset + (row + x) * anchorsPerCell + shape, shared / (boxSize + size - shared));
      }
    }
  }
}

function alongAxis(min: number, max: number, extent: number, stride: number, cells: number, shift: number): AxisOverlap {
  const half = 0.5 * extent;
  const first = Math.min(cells, Math.max(0, Math.floor((min - half) / stride - shift)));
  const last = Math.max(first - 1, Math.min(cells - 1, Math.ceil((max + half) / stride - shift)));
  const shared = new Float64Array(last - first + 1);
  const side = new Float64Array(last - first + 1);
  for (let i = 0; i < shared.length; i++) {
    const centre = (first + i + shift) * stride;
    const low = centre - half;
    const high = centre + half;
    shared[i] = Math.max(0, Math.min(max, high) - Math.max(min, low));
    side[i] = high - low;
  }
  return { first, shared, side };
}
