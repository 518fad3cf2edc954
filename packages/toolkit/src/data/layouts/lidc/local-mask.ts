/** A binary mask that knows only the part of a volume that it covers. */
export interface LocalMask {
  /** First voxel, `[z, y, x]`. */
  from: [number, number, number];
  /** One past the last. */
  to: [number, number, number];
  /** `[z, y, x]` of that part, 0 or 1. */
  data: Uint8Array;
  voxels: number;
}

type Point = readonly [number, number, number];

/** The mask of the voxels that `inside` names within a part of a volume; undefined where there is none. */
export function localMask(
  from: Point,
  to: Point,
  paint: (set: (z: number, y: number, x: number, value: 0 | 1) => void) => void,
): LocalMask | undefined {
  const [nz, ny, nx] = [to[0] - from[0], to[1] - from[1], to[2] - from[2]];
  if (!(nz > 0 && ny > 0 && nx > 0)) return undefined;
  const data = new Uint8Array(nz * ny * nx);
  paint((z, y, x, value) => {
    if (z < from[0] || z >= to[0] || y < from[1] || y >= to[1] || x < from[2] || x >= to[2]) return;
    data[((z - from[0]) * ny + y - from[1]) * nx + x - from[2]] = value;
  });
  let voxels = 0;
  for (const value of data) voxels += value;
  return voxels > 0 ? { from: [...from], to: [...to], data, voxels } : undefined;
}

/** Calls `visit` with every voxel of a mask. */
export function eachVoxel({ from, to, data }: LocalMask, visit: (z: number, y: number, x: number) => void): void {
  let at = 0;
  for (let z = from[0]; z < to[0]; z++)
    for (let y = from[1]; y < to[1]; y++) for (let x = from[2]; x < to[2]; x++) if (data[at++]) visit(z, y, x);
}

/** 1 where the mask has the voxel. */
export function valueAt({ from, to, data }: LocalMask, z: number, y: number, x: number): number {
  if (z < from[0] || z >= to[0] || y < from[1] || y >= to[1] || x < from[2] || x >= to[2]) return 0;
  return data[((z - from[0]) * (to[1] - from[1]) + y - from[1]) * (to[2] - from[2]) + x - from[2]]!;
}

/** Voxels that two masks share. */
export function sharedVoxels(a: LocalMask, b: LocalMask): number {
  if (a.from.some((low, d) => low >= b.to[d]! || b.from[d]! >= a.to[d]!)) return 0;
  const [small, large] = a.voxels <= b.voxels ? [a, b] : [b, a];
  let shared = 0;
  eachVoxel(small, (z, y, x) => {
    shared += valueAt(large, z, y, x);
  });
  return shared;
}

/** The voxels that at least so many of the masks have. */
export function votes(masks: readonly LocalMask[], least: number): LocalMask | undefined {
  const from = [0, 1, 2].map((d) => Math.min(...masks.map((mask) => mask.from[d]!))) as [number, number, number];
  const to = [0, 1, 2].map((d) => Math.max(...masks.map((mask) => mask.to[d]!))) as [number, number, number];
  const [ny, nx] = [to[1] - from[1], to[2] - from[2]];
  const counts = new Uint8Array((to[0] - from[0]) * ny * nx);
  for (const mask of masks)
    eachVoxel(mask, (z, y, x) => {
      counts[((z - from[0]) * ny + y - from[1]) * nx + x - from[2]]!++;
    });
  return localMask(from, to, (set) => {
    let at = 0;
    for (let z = from[0]; z < to[0]; z++)
      for (let y = from[1]; y < to[1]; y++) for (let x = from[2]; x < to[2]; x++) if (counts[at++]! >= least) set(z, y, x, 1);
  });
}
