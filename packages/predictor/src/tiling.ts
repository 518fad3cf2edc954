import {
  clipBoxes,
  copyWindow,
  type Detections,
  type Dim,
  type PerAxis,
  perAxis,
  planTiles,
  product,
  selectDetections,
  type Tile,
  type TileOptions,
  translateBoxes,
} from '@mdt/core';

/**
 * Where the patches of one volume lie. An axis shorter than the patch is padded: half of what lacks before it (rounded down),
 * the rest behind. Tiles are in voxels of the padded volume.
 */
export interface TilePlan<D extends Dim> {
  readonly tiles: readonly Tile<D>[];
  /** Voxels per axis after padding. */
  readonly size: PerAxis<D>;
  /** Voxels that were added before each axis. */
  readonly before: PerAxis<D>;
}

/** Plans tiles that cover a volume, all of the patch's size. */
export function planPatches<D extends Dim>(dim: D, volumeSize: PerAxis<D>, options: TileOptions<D>): TilePlan<D> {
  const lengths = Array.from(volumeSize as PerAxis, (n, d) => Math.max(n, options.patchSize[d]!));
  const size = perAxis(dim, lengths);
  const before = perAxis(
    dim,
    lengths.map((n, d) => Math.floor((n - volumeSize[d]!) / 2)),
  );
  return { tiles: planTiles<D>(size, options), size, before };
}

/** First voxel of a tile in voxels of the volume: negative where it starts in the padding. */
export const startOf = <D extends Dim>(tile: Tile<D>, { before }: TilePlan<D>): number[] =>
  Array.from(tile.origin as PerAxis, (start, d) => start - before[d]!);

/** Detections of the padded volume in voxels of the volume; what lies in the padding is cut off. */
export function withoutPadding<D extends Dim>(
  detections: Detections<D>,
  plan: Pick<TilePlan<D>, 'before'>,
  size: PerAxis<D>,
): Detections<D> {
  const { dim } = detections;
  const back = Array.from(plan.before as PerAxis, (n) => -n);
  const boxes = clipBoxes(translateBoxes(detections.boxes, back, dim), size, dim);
  const whole = { ...detections, boxes };
  const inside = Array.from(detections.labels.keys()).filter((i) => {
    for (let d = 0; d < dim; d++) if (!(boxes[(2 * i + 1) * dim + d]! > boxes[2 * i * dim + d]!)) return false;
    return true;
  });
  return selectDetections(whole, inside);
}

/** Adds a patch of values, `[...size, channels]`, to a map with any number of axes; what lies outside is dropped. */
export function addPatch(
  map: { data: Float32Array; size: readonly number[]; channels: number },
  patch: Float32Array,
  { start, size }: { start: readonly number[]; size: readonly number[] },
): void {
  const { channels } = map;
  const dim = start.length;
  const from = start.map((s) => Math.max(0, s));
  const to = start.map((s, d) => Math.min(map.size[d]!, s + size[d]!));
  const extent = from.map((low, d) => to[d]! - low);
  if (extent.some((n) => n <= 0)) return;
  const part = copyWindow({ data: patch, size, channels }, { start: from.map((low, d) => low - start[d]!), size: extent });
  const run = extent[dim - 1]! * channels;
  const rows = product(extent.slice(0, -1));
  for (let row = 0; row < rows; row++) {
    let at = 0;
    let rest = row;
    const place = [...from];
    for (let d = dim - 2; d >= 0; d--) {
      place[d]! += rest % extent[d]!;
      rest = Math.floor(rest / extent[d]!);
    }
    for (let d = 0; d < dim; d++) at = at * map.size[d]! + place[d]!;
    for (let i = 0; i < run; i++) map.data[at * channels + i]! += part[row * run + i]!;
  }
}
