import { type Dim, InputError, type PerAxis, perAxis } from '@mdt/core';

/** Sizes or positions along z, y and x. */
export type Triple = [number, number, number];

/**
 * An image of any dimension as a volume: missing axes in front have one voxel. So loops are written once, and the flat index of
 * a voxel stays the same.
 */
export function lift(values: ArrayLike<number>, missing = 1): Triple {
  const list = Array.from(values);
  while (list.length < 3) list.unshift(missing);
  return list as Triple;
}

/** Checks a size that the user gave. */
export function checkSize<D extends Dim>(who: string, dim: D, size: ArrayLike<number>): PerAxis<D> {
  const checked = perAxis(dim, size, who);
  for (const n of checked) {
    if (!(Number.isInteger(n) && n > 0)) {
      throw new InputError('invalid-option', `${who} is ${checked.join('x')}, expected whole numbers from 1 on`);
    }
  }
  return checked;
}

/** The part of `data` that starts at `origin`; voxels outside of it are `fill`. `size` and `newSize` are in array order. */
export function cutWindow<A extends Float32Array | Int32Array | Uint8Array>(
  data: A,
  size: ArrayLike<number>,
  channels: number,
  origin: ArrayLike<number>,
  newSize: ArrayLike<number>,
  fill = 0,
): A {
  const [nz, ny, nx] = lift(size);
  const [oz, oy, ox] = lift(origin, 0);
  const [mz, my, mx] = lift(newSize);
  const out = new (data.constructor as new (length: number) => A)(mz * my * mx * channels);
  if (fill !== 0) out.fill(fill);
  const fromX = Math.max(0, ox);
  const toX = Math.min(nx, ox + mx);
  if (toX <= fromX) return out;
  for (let z = Math.max(0, oz); z < Math.min(nz, oz + mz); z++) {
    for (let y = Math.max(0, oy); y < Math.min(ny, oy + my); y++) {
      const row = (z * ny + y) * nx;
      const outRow = ((z - oz) * my + (y - oy)) * mx;
      out.set(data.subarray((row + fromX) * channels, (row + toX) * channels), (outRow + fromX - ox) * channels);
    }
  }
  return out;
}

/** `data` with some axes reversed; `flags` has one entry per axis. */
export function flip<A extends Float32Array | Int32Array | Uint8Array>(
  data: A,
  size: ArrayLike<number>,
  channels: number,
  flags: readonly boolean[],
): A {
  const [nz, ny, nx] = lift(size);
  const [flipZ, flipY, flipX] = lift(flags.map(Number), 0);
  const out = new (data.constructor as new (length: number) => A)(data.length);
  for (let z = 0; z < nz; z++) {
    for (let y = 0; y < ny; y++) {
      const from = ((flipZ ? nz - 1 - z : z) * ny + (flipY ? ny - 1 - y : y)) * nx * channels;
      const to = (z * ny + y) * nx * channels;
      if (!flipX) {
        out.set(data.subarray(from, from + nx * channels), to);
        continue;
      }
      for (let x = 0; x < nx; x++) {
        const a = from + (nx - 1 - x) * channels;
        const b = to + x * channels;
        for (let c = 0; c < channels; c++) out[b + c] = data[a + c]!;
      }
    }
  }
  return out;
}

/** Boxes of an image of `size` whose flagged axes are reversed; a new array of the same kind. */
export function flipBoxes<A extends Float32Array | Float64Array>(
  boxes: A,
  size: ArrayLike<number>,
  flags: readonly boolean[],
): A {
  const dim = size.length;
  return boxes.map((value: number, i: number) => {
    const axis = i % dim;
    if (!flags[axis]) return value;
    const other = i % (2 * dim) < dim ? i + dim : i - dim; // the new minimum comes from the old maximum
    return size[axis]! - boxes[other]!;
  }) as A;
}
