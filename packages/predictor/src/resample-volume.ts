import { type Dim, InputError, perAxis, pointsToPhysical, product, type Volume } from '@mdt/core';
import { resample } from '@mdt/native-ops';

export interface ResampleVolumeOptions {
  /** Millimetres per voxel of the result, array order. */
  spacing: ArrayLike<number>;
  /** `nearest` for label maps. Default `linear`. */
  order?: 'linear' | 'nearest';
  /** Most bytes that the result may take. Default 16 GiB. */
  mostBytes?: number;
}

/**
 * A volume with another spacing: as many voxels as fit into the old extent, rounded; the outer edge of the first voxel stays where
 * it was, and values go on beyond the border. Data sets are prepared and images predicted by this one function.
 *
 * @throws InputError `limit-exceeded` where the result would be larger than allowed
 */
export function resampleVolume<D extends Dim, A extends Float32Array | Int32Array>(
  source: Volume<D, A>,
  { spacing, order = 'linear', mostBytes = 2 ** 34 }: ResampleVolumeOptions,
): Volume<D, A> {
  const { dim, channels } = source;
  const wanted = Array.from(perAxis(dim, spacing, 'resampleVolume: spacing') as readonly number[]);
  if (!wanted.every((step) => step > 0 && Number.isFinite(step))) {
    throw new RangeError(`resampleVolume: spacing is ${wanted.join(', ')}, expected ${dim} numbers above 0`);
  }
  const steps = wanted.map((step, d) => step / source.spacing[d]!);
  const outputSize = steps.map((step, d) => Math.max(1, Math.round(source.size[d]! / step)));
  const bytes = product(outputSize) * channels * source.data.BYTES_PER_ELEMENT;
  if (!(bytes <= mostBytes)) {
    throw new InputError(
      'limit-exceeded',
      `an image of ${source.size.join(' × ')} voxels with a spacing of ${source.spacing.join(' × ')} mm would have ` +
        `${outputSize.join(' × ')} voxels with one of ${wanted.join(' × ')} mm: more than the limit of ${mostBytes} bytes`,
    );
  }
  // Voxel i of the result has its centre (i + ½) new steps from the edge, which is (i + ½) · step − ½ in old voxels.
  const affine = steps.flatMap((step, d) => [...steps.map((_, other) => (other === d ? step : 0)), step / 2 - 0.5]);
  const grid = { values: source.data, size: source.size, channels };
  const data = resample(grid, { dim, outputSize, affine, order, mode: 'nearest' }) as A;
  const origin = pointsToPhysical(
    steps.map((step) => step / 2 - 0.5),
    source,
  );
  return { ...source, data, size: perAxis(dim, outputSize), spacing: perAxis(dim, wanted), origin: perAxis(dim, origin) };
}
