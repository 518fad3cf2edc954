import { type Dim, InputError, type PerAxis, perAxis, product, refuseUnknownKeys } from '@mdt/core';

/** What anchors need to know of a feature map. */
export interface FeatureLevel<D extends Dim = Dim> {
  readonly name: string;
  readonly stride: PerAxis<D>;
}

export interface AnchorOptions<D extends Dim = Dim> {
  /**
   * Voxels per axis of each level's smallest anchor, or a list of several. The levels named here are the ones with anchors.
   * Default: every level coarser than the image, with twice its stride, as far as that fits into the patch.
   */
  sizes?: Readonly<Record<string, PerAxis<D> | readonly PerAxis<D>[]>>;
  /** Width over height; the area in y and x stays the same, z is left alone. Default [0.5, 1, 2]. */
  aspectRatios?: readonly number[];
  /** Each size also at 2^(1/n), 2^(2/n) … times itself. Default 3. */
  octaves?: number;
  /** Puts anchors in the middle of their cell, not at its first corner as the original toolkit does. Default false. */
  centered?: boolean;
}

/** The anchors of one pyramid level: a grid of cells, the same shapes at each. */
export interface AnchorLevel<D extends Dim = Dim> {
  readonly name: string;
  /** Which of the backbone's features. */
  readonly featureIndex: number;
  readonly stride: PerAxis<D>;
  /** Cells per axis. */
  readonly cells: PerAxis<D>;
  /** Voxels per axis, one entry per anchor of a cell: aspect ratio outer, size inner. */
  readonly shapes: readonly PerAxis<D>[];
  /** Index of the level's first anchor, and how many it has. */
  readonly offset: number;
  readonly length: number;
}

/** All anchors of a patch, in the order level, z, y, x, aspect ratio, size. Boxes are computed where they are needed. */
export interface AnchorGrid<D extends Dim = Dim> {
  readonly dim: D;
  readonly levels: readonly AnchorLevel<D>[];
  readonly anchorsPerCell: number;
  readonly length: number;
  /** Where in its cell an anchor's centre lies, as a share of the stride. */
  readonly shift: number;
}

/** Lays anchors over the feature maps of a patch. */
export function anchorGrid<D extends Dim>(
  dim: D,
  features: readonly FeatureLevel<D>[],
  patchSize: PerAxis<D>,
  options: AnchorOptions<D> = {},
): AnchorGrid<D> {
  refuseUnknownKeys('anchors', options, ['sizes', 'aspectRatios', 'octaves', 'centered']);
  const { aspectRatios = [0.5, 1, 2], octaves = 3, centered = false } = options;
  const sizes = options.sizes ?? defaultSizes(features, patchSize);
  for (const name of Object.keys(sizes)) {
    if (features.some((feature) => feature.name === name)) continue;
    const known = features.map((feature) => feature.name).join(', ');
    throw new InputError('invalid-option', `anchors.sizes: the backbone has no level '${name}', it has ${known}`);
  }
  if (!(aspectRatios.length > 0 && aspectRatios.every((r) => r > 0))) {
    throw new InputError('invalid-option', `anchors.aspectRatios: expected numbers above 0, got [${aspectRatios.join(', ')}]`);
  }
  if (!(Number.isInteger(octaves) && octaves > 0)) {
    throw new InputError('invalid-option', `anchors.octaves: expected a whole number above 0, got ${octaves}`);
  }
  const levels: AnchorLevel<D>[] = [];
  let offset = 0;
  features.forEach(({ name, stride }, featureIndex) => {
    const given = sizes[name];
    if (given === undefined) return;
    const list = (typeof given[0] === 'number' ? [given] : given) as readonly PerAxis<D>[];
    const shapes = aspectRatios.flatMap((ratio) =>
      list.flatMap((size) => Array.from({ length: octaves }, (_, o) => shapeOf(dim, size, 2 ** (o / octaves), ratio, name))),
    );
    const cells = cellsOf(patchSize, stride);
    const length = product(cells) * shapes.length;
    levels.push({ name, featureIndex, stride, cells, shapes, offset, length });
    offset += length;
  });
  const anchorsPerCell = levels[0]?.shapes.length;
  if (anchorsPerCell === undefined) throw new InputError('invalid-option', 'anchors.sizes: names no level');
  const other = levels.find((level) => level.shapes.length !== anchorsPerCell);
  if (other) {
    throw new InputError(
      'invalid-option',
      `anchors.sizes: ${other.name} has ${other.shapes.length} anchors per cell and ${levels[0]!.name} ${anchorsPerCell}; ` +
        'the heads are shared, so all levels need equally many',
    );
  }
  return { dim, levels, anchorsPerCell, length: offset, shift: centered ? 0.5 : 0 };
}

/** The anchors of any patch, as plain data. */
export interface AnchorLayout {
  /** Where in its cell an anchor's centre lies, as a share of the stride. */
  readonly shift: number;
  /** The levels with anchors, finest first; voxels per axis. */
  readonly levels: readonly {
    readonly name: string;
    readonly stride: readonly number[];
    readonly shapes: readonly (readonly number[])[];
  }[];
}

/** What a grid has that does not depend on the patch. */
export const layoutOf = ({ levels, shift }: AnchorGrid): AnchorLayout => ({
  shift,
  levels: levels.map(({ name, stride, shapes }) => ({ name, stride: [...stride], shapes: shapes.map((shape) => [...shape]) })),
});

/** The anchors of a patch of this size. */
export function gridOf<D extends Dim>(dim: D, { levels, shift }: AnchorLayout, patchSize: PerAxis<D>): AnchorGrid<D> {
  let offset = 0;
  const laid = levels.map(({ name, stride, shapes }, featureIndex): AnchorLevel<D> => {
    const cells = cellsOf(patchSize, perAxis(dim, stride, `anchors.${name}: stride`));
    const length = product(cells) * shapes.length;
    offset += length;
    return {
      ...{ name, featureIndex, cells, length },
      stride: perAxis(dim, stride),
      shapes: shapes.map((shape) => perAxis(dim, shape, `anchors.${name}: shape`)),
      offset: offset - length,
    };
  });
  return { dim, levels: laid, anchorsPerCell: levels[0]?.shapes.length ?? 0, length: offset, shift };
}

const cellsOf = <D extends Dim>(patchSize: PerAxis<D>, stride: PerAxis<D>): PerAxis<D> =>
  patchSize.map((n, d) => Math.ceil(n / stride[d]!)) as unknown as PerAxis<D>;

// 2 · stride is the original toolkit's choice: 8, 16, 32, 64 in y and x and 2, 4, 8, 16 in z for P2 … P5.
function defaultSizes<D extends Dim>(features: readonly FeatureLevel<D>[], patchSize: PerAxis<D>): Record<string, PerAxis<D>> {
  const coarse = features
    .filter(({ stride }) => Math.max(...stride) > 1)
    .filter(({ stride }, i) => i === 0 || stride.every((s, d) => 2 * s <= patchSize[d]!));
  return Object.fromEntries(coarse.map(({ name, stride }) => [name, stride.map((s) => 2 * s) as unknown as PerAxis<D>]));
}

function shapeOf<D extends Dim>(dim: D, size: PerAxis<D>, scale: number, ratio: number, level: string): PerAxis<D> {
  const voxels = perAxis(dim, size, `anchors.sizes.${level}`);
  if (!voxels.every((v) => v > 0)) {
    throw new InputError('invalid-option', `anchors.sizes.${level}: expected sizes above 0, got [${voxels.join(', ')}]`);
  }
  const root = Math.sqrt(ratio);
  return voxels.map((v, d) => {
    const scaled = v * scale;
    if (d === dim - 2) return scaled / root;
    return d === dim - 1 ? scaled * root : scaled;
  }) as unknown as PerAxis<D>;
}

/** Writes the box of one anchor to `out` at `at`. */
export function writeAnchor(grid: AnchorGrid, index: number, out: Float32Array | Float64Array, at: number): void {
  const { dim, shift } = grid;
  const level = levelOf(grid, index);
  let rest = index - level.offset;
  const shape = level.shapes[rest % grid.anchorsPerCell]!;
  rest = Math.floor(rest / grid.anchorsPerCell);
  for (let d = dim - 1; d >= 0; d--) {
    const n = level.cells[d]!;
    const centre = ((rest % n) + shift) * level.stride[d]!;
    rest = Math.floor(rest / n);
    out[at + d] = centre - 0.5 * shape[d]!;
    out[at + dim + d] = centre + 0.5 * shape[d]!;
  }
}

/** The boxes of some anchors, or of all of them, in double precision. */
export function anchorBoxes(grid: AnchorGrid, indices?: ArrayLike<number>): Float64Array {
  const width = 2 * grid.dim;
  const n = indices?.length ?? grid.length;
  const boxes = new Float64Array(n * width);
  for (let i = 0; i < n; i++) writeAnchor(grid, indices ? indices[i]! : i, boxes, i * width);
  return boxes;
}

/** The level that an anchor belongs to. */
export function levelOf<D extends Dim>(grid: AnchorGrid<D>, index: number): AnchorLevel<D> {
  for (const level of grid.levels) if (index < level.offset + level.length) return level;
  throw new RangeError(`anchors: index ${index} is not below ${grid.length}`);
}

/** Place of an anchor in the original toolkit's order: level, y, x, z, aspect ratio, size. In 2D it is the index itself. */
export function legacyRank(grid: AnchorGrid, index: number): number {
  if (grid.dim === 2) return index;
  const level = levelOf(grid, index);
  const [nz, ny, nx] = level.cells as PerAxis<3>;
  const local = index - level.offset;
  const a = local % grid.anchorsPerCell;
  const cell = Math.floor(local / grid.anchorsPerCell);
  const x = cell % nx;
  const y = Math.floor(cell / nx) % ny;
  const z = Math.floor(cell / (nx * ny));
  return level.offset + ((y * nx + x) * nz + z) * grid.anchorsPerCell + a;
}
