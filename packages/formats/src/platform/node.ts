// What the formats need of Node. browser.ts has the same exports; package.json says which of the two '#platform' is.
import { constants as bufferLimits } from 'node:buffer';
import { createRequire } from 'node:module';
import { gunzipSync, gzipSync, inflateRawSync, inflateSync, constants as zlib } from 'node:zlib';
import { type CodecFactory, type Coding, type Decoder, decoderNames, type Packing, TooLong } from './packing.js';

/** Most bytes of an array. */
export const mostBytes: number = bufferLimits.MAX_LENGTH;

const unpackers = { gzip: gunzipSync, zlib: inflateSync, deflate: inflateRawSync } as const;

/**
 * Unpacks all bytes.
 *
 * @throws TooLong where more than `limit` come out, before they are all there; another Error for damaged ones
 */
export function inflate(packed: Uint8Array, packing: Packing, limit: number): Uint8Array {
  try {
    return unpackers[packing](packed, { maxOutputLength: Math.max(limit, 1) });
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === 'ERR_BUFFER_TOO_LARGE') throw new TooLong('too long', { cause });
    throw cause;
  }
}

/** As much as the first bytes of a gzip file hold. */
export const gunzipStart = (start: Uint8Array): Uint8Array => gunzipSync(start, { finishFlush: zlib.Z_SYNC_FLUSH });

export const gzip = (bytes: Uint8Array): Uint8Array => gzipSync(bytes);

const modules: Readonly<Record<Coding, string>> = {
  jpeg: '@cornerstonejs/codec-libjpeg-turbo-8bit/decodewasmjs',
  'jpeg-ls': '@cornerstonejs/codec-charls/decodewasmjs',
  'jpeg-2000': '@cornerstonejs/codec-openjpeg/decodewasmjs',
};

const require = createRequire(import.meta.url);

/** The decoder class of a codec, in a module of its own. */
export async function loadCodec(coding: Coding): Promise<new () => Decoder> {
  const factory = require(modules[coding]) as CodecFactory;
  return (await factory({ print: () => {}, printErr: () => {} }))[decoderNames[coding]]!;
}

/** A module that stopped cannot go on, and can be loaded again only from its file. */
export function forgetCodec(coding: Coding): void {
  delete require.cache[require.resolve(modules[coding])];
}
