import { type Volume, volume } from '@mdt/core';
import { gzip as packed } from '#platform';
import { concatBytes, latin1Bytes } from './bytes.js';
import { stepsFromGeometry } from './geometry.js';
import { littleEndianBytes, storedTypeOf } from './voxels.js';

export interface NrrdWriteOptions {
  /** Default true. */
  gzip?: boolean;
}

/**
 * The bytes of an attached NRRD file, version 5, with spacing, origin and direction in the patient's space. Channels become the
 * first axis, of kind `vector`.
 */
export function encodeNrrd(image: Volume, { gzip = true }: NrrdWriteOptions = {}): Uint8Array {
  const { dim, channels, data, spacing, origin, direction } = volume(image);
  const { steps, first } = stepsFromGeometry({
    spacing: [...spacing],
    origin: [...origin],
    ...(direction && { direction: [...direction] }),
  });
  const vector = (values: readonly number[]) => `(${values.join(',')})`;
  const several = channels > 1;
  const sizes = [...(several ? [channels] : []), ...Array.from(image.size).reverse()];
  const type = storedTypeOf(data);
  const header = [
    'NRRD0005',
    `type: ${type === 'float32' ? 'float' : type === 'float64' ? 'double' : type}`,
    `dimension: ${sizes.length}`,
    dim === 3 ? 'space: left-posterior-superior' : 'space dimension: 2',
    `sizes: ${sizes.join(' ')}`,
    `space directions: ${[...(several ? ['none'] : []), ...steps.map(vector)].join(' ')}`,
    `kinds: ${[...(several ? ['vector'] : []), ...steps.map(() => 'domain')].join(' ')}`,
    ...(data.BYTES_PER_ELEMENT > 1 ? ['endian: little'] : []),
    `encoding: ${gzip ? 'gzip' : 'raw'}`,
    `space origin: ${vector(first)}`,
  ];
  const bytes = littleEndianBytes(data);
  return concatBytes([latin1Bytes(`${header.join('\n')}\n\n`), gzip ? packed(bytes) : bytes]);
}
