import { decodeCodestream } from './codecs.js';
import { describeCodestream } from './codestream.js';
import { type DecodedImage, type ImageHeader, type Refusals, refusals } from './image-header.js';

export function describeJpeg(start: Uint8Array, where: string): ImageHeader {
  const refuse = refusals(where);
  return headerOf(start, refuse);
}

function headerOf(file: Uint8Array, refuse: Refusals): ImageHeader {
  const { height, width, samples, coding } = describeCodestream(file, refuse);
  if (coding !== 'jpeg') return refuse.unsupported(`a ${coding} image, expected JPEG`);
  return { size: [height, width], channels: samples, type: 'uint8', slope: 1, intercept: 0 };
}

/**
 * Reads a JPEG file, baseline or progressive, of 8 bits: grey, or colours as RGB.
 *
 * @throws InputError `unreadable-file`, `unsupported-format`
 */
export async function decodeJpeg(file: Uint8Array, where = 'decodeJpeg'): Promise<DecodedImage> {
  const refuse = refusals(where);
  const header = headerOf(file, refuse);
  const { bytes } = await decodeCodestream(file, undefined, refuse);
  return { header, data: bytes };
}
