import { type Dim, InputError, type Placement, perAxis, pointsToPhysical, type Volume, type VoxelArray } from '@mdt/core';

/** Per axis of the patient's space, last axis last: where it goes, and where it comes from (DICOM's letters; space is LPS). */
const letters = ['SI', 'PA', 'LR'] as const;

/** One axis of an array: the axis of space that it is nearest to, and whether it runs the other way. */
interface ArrayAxis {
  space: number;
  isReversed: boolean;
}

/**
 * Where the axes of an array point in the patient, by the axis of space that each is nearest to: `SPL` for z to the head, y to the
 * back, x to the left. Images have two letters.
 */
export const orientationOf = (placement: Placement): string =>
  arrayAxes(placement)
    .map(({ space, isReversed }) => letters[space + 3 - placement.dim]![isReversed ? 1 : 0]!)
    .join('');

/** Whether a text is an orientation: for each axis one of S and I, P and A, L and R; images have no S and I of their own. */
export function isOrientation(text: string, dim: Dim): boolean {
  const spaces = [...text].map((letter) => letters.findIndex((pair) => pair.includes(letter)));
  return spaces.length === dim && !spaces.includes(-1) && new Set(spaces).size === dim;
}

/** Each axis of the array takes the axis of space with its greatest cosine that no clearer one has taken. */
function arrayAxes({ dim, direction }: Placement): ArrayAxis[] {
  const cosine = (row: number, column: number) => direction?.[row * dim + column] ?? (row === column ? 1 : 0);
  const all = Array.from({ length: dim * dim }, (_, i) => ({ space: Math.floor(i / dim), axis: i % dim }));
  all.sort((a, b) => Math.abs(cosine(b.space, b.axis)) - Math.abs(cosine(a.space, a.axis)));
  const found: ArrayAxis[] = new Array(dim);
  const taken = new Set<number>();
  for (const { space, axis } of all) {
    if (found[axis] || taken.has(space)) continue;
    taken.add(space);
    found[axis] = { space, isReversed: cosine(space, axis) < 0 };
  }
  return found;
}

/**
 * The same image with its array axes in another order and direction, so that they point where an orientation says; nothing is
 * interpolated, and every voxel keeps its place in millimetres. An image that is there already is given back as it is.
 *
 * @param orientation as of `orientationOf`; two letters for a volume say its last two axes
 * @throws InputError `shape-mismatch` for an orientation that the image cannot have
 */
export function reoriented<D extends Dim, A extends VoxelArray>(image: Volume<D, A>, orientation: string): Volume<D, A> {
  const { dim, size, channels, data } = image;
  const own = arrayAxes(image);
  const target = [...(dim === 3 && orientation.length === 2 ? `${restOf(orientation)}${orientation}` : orientation)];
  const refuse = () =>
    new InputError('shape-mismatch', `an image of ${dim} axes (${orientationOf(image)}) cannot be turned to '${orientation}'`);
  if (target.length !== dim) throw refuse();
  const from = target.map((letter) => {
    const pair = letters.findIndex((both) => both.includes(letter));
    const axis = own.findIndex(({ space }) => space + 3 - dim === pair);
    if (pair < 0 || axis < 0) throw refuse();
    return { axis, isFlipped: own[axis]!.isReversed !== (letters[pair]![1] === letter) };
  });
  if (new Set(from.map(({ axis }) => axis)).size < dim) throw refuse();
  if (from.every(({ axis, isFlipped }, i) => axis === i && !isFlipped)) return image;

  const strides = Array.from({ length: dim }, (_, d) =>
    Array.from(size as readonly number[])
      .slice(d + 1)
      .reduce((all, n) => all * n, channels),
  );
  const newSize = from.map(({ axis }) => size[axis]!);
  const steps = from.map(({ axis, isFlipped }) => (isFlipped ? -1 : 1) * strides[axis]!);
  const first = from.map(({ axis, isFlipped }) => (isFlipped ? size[axis]! - 1 : 0));
  let at = from.reduce((sum, { axis }, i) => sum + first[i]! * strides[axis]!, 0);
  const out = new (data.constructor as new (n: number) => A)(data.length);
  const index = new Array<number>(dim).fill(0);
  for (let to = 0; to < out.length; to += channels) {
    for (let c = 0; c < channels; c++) out[to + c] = data[at + c]!;
    for (let d = dim - 1; d >= 0; d--) {
      at += steps[d]!;
      if (++index[d]! < newSize[d]!) break;
      at -= steps[d]! * newSize[d]!;
      index[d] = 0;
    }
  }
  const corner = new Array<number>(dim).fill(0);
  for (const [i, { axis }] of from.entries()) corner[axis] = first[i]!;
  const cosine = (row: number, { axis, isFlipped }: (typeof from)[number]) =>
    (isFlipped ? -1 : 1) * (image.direction?.[row * dim + axis] ?? (row === axis ? 1 : 0));
  return {
    ...image,
    data: out,
    size: perAxis(dim, newSize),
    spacing: perAxis(
      dim,
      from.map(({ axis }) => image.spacing[axis]!),
    ),
    origin: perAxis(dim, pointsToPhysical(corner, image)),
    direction: Array.from({ length: dim * dim }, (_, i) => cosine(Math.floor(i / dim), from[i % dim]!)),
  };
}

/** The letter of the axis that two others leave, in the direction of space. */
function restOf(orientation: string): string {
  return letters.find((pair) => ![...orientation].some((letter) => pair.includes(letter)))?.[0] ?? '';
}
