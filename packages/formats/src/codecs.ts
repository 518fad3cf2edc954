import { forgetCodec, loadCodec } from '#platform';
import { type CodestreamInfo, describeCodestream } from './codestream.js';
import type { Refusals } from './image-header.js';
import type { Coding, Decoder } from './platform/packing.js';

const loaded = new Map<Coding, Promise<new () => Decoder>>();

/** The decoder class of a codec, in a module that is loaded when it is first wanted. */
function load(coding: Coding): Promise<new () => Decoder> {
  let found = loaded.get(coding);
  if (!found) {
    found = loadCodec(coding);
    loaded.set(coding, found);
  }
  return found;
}

function forget(coding: Coding): void {
  loaded.delete(coding);
  forgetCodec(coding);
}

/** What a codestream has to be, by the header around it. */
export type Expected = Pick<CodestreamInfo, 'width' | 'height' | 'samples'>;

/** Decoded samples: the colours of a pixel side by side, two bytes each (little-endian) where there are more than eight bits. */
export interface DecodedCodestream extends CodestreamInfo {
  bytes: Uint8Array;
}

/**
 * Decodes one image that JPEG, JPEG-LS, lossless JPEG or JPEG 2000 packed. Its own header is read first and compared with what is
 * expected, so that no codec allocates on the word of a codestream.
 *
 * @param expected width, height and samples per pixel; where absent, those of the codestream, at most `mostPixels`
 * @throws InputError `unreadable-file`, `unsupported-format`
 */
export async function decodeCodestream(
  stream: Uint8Array,
  expected: Expected | undefined,
  refuse: Refusals,
): Promise<DecodedCodestream> {
  const info = describeCodestream(stream, refuse);
  const { width, height, samples, bits, coding } = info;
  const text = (of: Expected) => `${of.height}x${of.width} pixels of ${of.samples} samples`;
  if (expected && (expected.width !== width || expected.height !== height || expected.samples !== samples)) {
    refuse.damaged(`the packed image has ${text(info)}, expected ${text(expected)}`);
  }
  if (width * height * samples > mostPixels || width * height > Math.max(plainPixels, stream.length * mostPerByte)) {
    refuse.damaged(`${text(info)} are declared by ${stream.length} packed bytes`);
  }
  if (coding === 'jpeg-lossless') return { ...info, bytes: await decodeLossless(stream, info, refuse) };
  if (coding === 'jpeg' && bits !== 8) return refuse.unsupported(`a JPEG image of ${bits} bits, expected 8`);
  const expectedBytes = width * height * samples * (bits > 8 ? 2 : 1);
  try {
    const decoder = new (await load(coding))();
    try {
      decoder.getEncodedBuffer(stream.length).set(stream);
      decoder.decode();
      const bytes = new Uint8Array(decoder.getDecodedBuffer());
      if (bytes.length === expectedBytes) return { ...info, bytes };
    } finally {
      decoder.delete();
    }
  } catch (cause) {
    if (typeof cause !== 'number') forget(coding); // a number is a C++ exception, thrown and unwound in order
    return refuse.damaged(`the ${coding} image cannot be decoded`, cause);
  }
  return refuse.damaged(`the ${coding} image is damaged or cut short`);
}

/** As many pixels of one colour may come out of a few bytes; beyond them, a byte is believed to hold so many. */
const plainPixels = 2 ** 22;
const mostPerByte = 1024;

/** Samples of one packed image: more are refused. 2^28 are a slide scan of 16384 x 16384. */
const mostPixels = 2 ** 28;

/** Process 14 of ITU T.81, which most of the world calls lossless JPEG. */
async function decodeLossless(
  stream: Uint8Array,
  { width, height, samples, bits }: CodestreamInfo,
  refuse: Refusals,
): Promise<Uint8Array> {
  const { Decoder: Lossless } = await import('jpeg-lossless-decoder-js');
  const expected = width * height * samples * (bits > 8 ? 2 : 1);
  try {
    const copy = new Uint8Array(stream); // the decoder reads from the start of a buffer
    const bytes = new Uint8Array(new Lossless().decompress(copy.buffer));
    if (bytes.length === expected) return bytes;
  } catch (cause) {
    return refuse.damaged('the lossless JPEG image cannot be decoded', cause);
  }
  return refuse.damaged('the lossless JPEG image is damaged or cut short');
}
