import { InputError, type Volume } from '@mdt/core';
import { gzip as packed } from '#platform';
import { latin1Bytes, viewOf } from './bytes.js';
import { stepsFromGeometry } from './geometry.js';
import { niftiLayouts, rasSigns } from './nifti.js';
import { channelsFirst, littleEndianBytes, storedTypeOf } from './voxels.js';

const typeCodes = { uint8: 2, int16: 4, int32: 8, float32: 16, float64: 64, int8: 256, uint16: 512, uint32: 768 } as const;

export interface NiftiWriteOptions {
  /** Packs with gzip, as a `.nii.gz` wants it. Default false. */
  gzip?: boolean;
  /** Grey value = stored · slope + intercept. Default 1 and 0. */
  slope?: number;
  intercept?: number;
}

/**
 * The bytes of a NIfTI file: NIfTI-1, or NIfTI-2 where an axis is longer than 32767. Channels become the fourth axis; spacing,
 * origin and direction become the s-form; an image in 2D becomes one slice.
 *
 * @throws InputError `invalid-option` for a slope that is zero or not finite
 */
export function encodeNifti(image: Volume, { gzip = false, slope = 1, intercept = 0 }: NiftiWriteOptions = {}): Uint8Array {
  if (!(Number.isFinite(slope) && slope !== 0 && Number.isFinite(intercept))) {
    throw new InputError('invalid-option', `encodeNifti: slope ${slope}, intercept ${intercept}, expected finite, slope not 0`);
  }
  const { dim, channels } = image;
  const lengths = [...Array.from(image.size).reverse(), ...(dim === 2 ? [1] : []), ...(channels > 1 ? [channels] : [])];
  const version = lengths.some((n) => n > 32767) ? 2 : 1;
  const at = niftiLayouts[version];
  const wide = version === 2;
  const voxels = littleEndianBytes(channels > 1 ? channelsFirst(image.data, channels) : image.data);
  const file = new Uint8Array(at.size + 4 + voxels.length);
  const view = viewOf(file);
  const integers = (offset: number, values: readonly number[]) =>
    values.forEach(
      (value, i) =>
        void (wide ? view.setBigInt64(offset + 8 * i, BigInt(value), true) : view.setInt16(offset + 2 * i, value, true)),
    );
  const reals = (offset: number, values: readonly number[]) =>
    values.forEach(
      (value, i) => void (wide ? view.setFloat64(offset + 8 * i, value, true) : view.setFloat32(offset + 4 * i, value, true)),
    );
  const codes = (offset: number, values: readonly number[]) =>
    values.forEach(
      (value, i) => void (wide ? view.setInt32(offset + 4 * i, value, true) : view.setInt16(offset + 2 * i, value, true)),
    );

  view.setInt32(0, at.size, true);
  file.set(latin1Bytes(wide ? 'n+2\0\r\n\x1a\n' : 'n+1\0'), at.mark);
  integers(at.dim, [lengths.length, ...lengths, ...Array<number>(7 - lengths.length).fill(1)]);
  const type = typeCodes[storedTypeOf(image.data) as keyof typeof typeCodes];
  view.setInt16(at.type, type, true);
  view.setInt16(at.type + 2, image.data.BYTES_PER_ELEMENT * 8, true);
  const { steps, first } = placed(image);
  reals(at.pixdim, [1, ...steps.map((step) => Math.hypot(...step)), ...(channels > 1 ? [1] : [])]);
  if (wide) view.setBigInt64(at.offset, BigInt(at.size + 4), true);
  else view.setFloat32(at.offset, at.size + 4, true);
  reals(at.slope, [slope, intercept]);
  if (wide) view.setInt32(at.units, 2, true);
  else file[at.units] = 2; // millimetres
  codes(at.forms, [0, 1]); // no q-form; s-form in the scanner's space
  reals(
    at.rows,
    [0, 1, 2].flatMap((row) => [...steps.map((step) => step[row]!), first[row]!]),
  );
  file.set(voxels, at.size + 4);
  return gzip ? packed(file) : file;
}

/** Steps and first voxel in NIfTI's space, of a slice too. */
function placed({ dim, spacing, origin, direction }: Volume): { steps: number[][]; first: number[] } {
  const geometry = { spacing: [...spacing], origin: [...origin], ...(direction && { direction: [...direction] }) };
  if (dim === 3) return stepsFromGeometry(geometry, rasSigns);
  const { steps, first } = stepsFromGeometry(geometry, rasSigns);
  return { steps: [...steps.map((step) => [...step, 0]), [0, 0, 1]], first: [...first, 0] };
}
