import type { Random } from '@mdt/core';
import type { Ratings } from '../layouts/lidc/lidc-xml.js';
import { type LocalMask, localMask } from '../layouts/lidc/local-mask.js';

type Point = readonly [number, number, number];

/** A surface around a centre: how far it reaches in a direction, as a share of its box's half sides. */
export type NoduleShape = (z: number, y: number, x: number) => number;

/** A wave on the surface: its axis, how many crests it has, and how high they are. */
interface Wave {
  axis: Point;
  crests: number;
  height: number;
}

/** A lumpy ellipsoid: lobulated nodules have few broad lobes, spiculated ones many narrow ones. */
export function noduleShape(random: Random, { lobulation = 1, spiculation = 1 }: Ratings): NoduleShape {
  const waves: Wave[] = [];
  const add = (count: number, crests: readonly [number, number], height: number) => {
    for (let i = 0; i < count; i++) {
      const axis = [random.normal(), random.normal(), random.normal()];
      const length = Math.hypot(...axis) || 1;
      waves.push({ axis: axis.map((v) => v / length) as unknown as Point, crests: random.uniform(...crests), height });
    }
  };
  add(3, [1, 2], 0.03 * lobulation);
  add(4, [3, 5], 0.015 * (spiculation - 1));
  const highest = 1 + waves.reduce((sum, { height }) => sum + height, 0);
  return (z, y, x) => {
    const length = Math.hypot(z, y, x);
    if (length === 0) return 1;
    let reach = 1;
    for (const { axis, crests, height } of waves) {
      reach += height * Math.cos((Math.PI * crests * (axis[0] * z + axis[1] * y + axis[2] * x)) / length);
    }
    return reach / highest;
  };
}

/** How deep a place lies within a nodule: 1 at its centre, 0 on its surface, below 0 outside. */
export function depthIn(shape: NoduleShape, centre: Point, halfSides: Point, at: Point): number {
  const [z, y, x] = at.map((v, d) => (v - centre[d]!) / halfSides[d]!) as [number, number, number];
  const reach = shape(z, y, x);
  return 1 - Math.hypot(z, y, x) / reach;
}

/**
 * The voxels whose centres lie within a nodule, at least the one nearest to its centre.
 *
 * @param centre and `halfSides` in millimetres from the centre of the first voxel
 */
export function noduleMask(
  shape: NoduleShape,
  centre: Point,
  halfSides: Point,
  size: Point,
  spacing: Point,
): LocalMask | undefined {
  const from = centre.map((c, d) => Math.max(0, Math.floor((c - halfSides[d]!) / spacing[d]!))) as [number, number, number];
  const to = centre.map((c, d) => Math.min(size[d]!, Math.ceil((c + halfSides[d]!) / spacing[d]!) + 1)) as [
    number,
    number,
    number,
  ];
  return localMask(from, to, (set) => {
    const [z, y, x] = centre.map((c, d) => Math.round(c / spacing[d]!)) as [number, number, number];
    set(z, y, x, 1);
    eachPlace(from, to, (...at) => {
      const place = at.map((i, d) => i * spacing[d]!) as unknown as Point;
      if (depthIn(shape, centre, halfSides, place) >= 0) set(...at, 1);
    });
  });
}

export function eachPlace(from: Point, to: Point, visit: (z: number, y: number, x: number) => void): void {
  for (let z = from[0]; z < to[0]; z++)
    for (let y = from[1]; y < to[1]; y++) for (let x = from[2]; x < to[2]; x++) visit(z, y, x);
}
