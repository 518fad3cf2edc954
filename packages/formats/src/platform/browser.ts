// What the formats need of a browser. node.ts has the same exports; package.json says which of the two '#platform' is.
import { Inflate, gzip as pakoGzip } from 'pako';
import { type CodecFactory, type Coding, type Decoder, decoderNames, type Packing, TooLong } from './packing.js';

/** Most bytes of an array: what Chromium, the strictest of the browsers, gives. */
export const mostBytes: number = 2 ** 32;

/** zlib's Z_SYNC_FLUSH: gives out what is there. */
const syncFlush = 2;

/**
 * Unpacks all bytes.
 *
 * @throws TooLong where more than `limit` come out, before they are all there; another Error for damaged ones
 */
export function inflate(packed: Uint8Array, packing: Packing, limit: number): Uint8Array {
  const inflater = new Inflate({ raw: packing === 'deflate', windowBits: packing === 'gzip' ? 31 : 15 });
  const parts = collect(inflater, limit);
  inflater.push(packed, true);
  if (inflater.err !== 0) throw new Error(`zlib error ${inflater.err}: ${inflater.msg}`);
  return parts.joined();
}

/** As much as the first bytes of a gzip file hold. */
export function gunzipStart(start: Uint8Array): Uint8Array {
  const inflater = new Inflate({ windowBits: 31 });
  const parts = collect(inflater, Number.POSITIVE_INFINITY);
  inflater.push(start, syncFlush);
  const cutShort = inflater.err === -5; // Z_BUF_ERROR
  if (inflater.err !== 0 && !cutShort) throw new Error(`zlib error ${inflater.err}: ${inflater.msg}`);
  return parts.joined();
}

/** The bytes that come out, as long as they are not too many. */
function collect(inflater: Inflate, limit: number): { joined(): Uint8Array } {
  const parts: Uint8Array[] = [];
  let length = 0;
  inflater.onData = (part) => {
    length += part.length;
    if (length > limit) throw new TooLong(`more than ${limit} bytes`);
    parts.push(part);
  };
  return {
    joined() {
      const all = new Uint8Array(length);
      let at = 0;
      for (const part of parts) {
        all.set(part, at);
        at += part.length;
      }
      return all;
    },
  };
}

export const gzip = (bytes: Uint8Array): Uint8Array => pakoGzip(bytes);

/** The codecs as JavaScript alone, so that no file has to be found beside the page. */
const modules: Readonly<Record<Coding, () => Promise<{ default: unknown }>>> = {
  jpeg: () => import('@cornerstonejs/codec-libjpeg-turbo-8bit/decode'),
  'jpeg-ls': () => import('@cornerstonejs/codec-charls/decode'),
  'jpeg-2000': () => import('@cornerstonejs/codec-openjpeg/decode'),
};

/** The decoder class of a codec, in a module of its own. */
export async function loadCodec(coding: Coding): Promise<new () => Decoder> {
  const factory = (await modules[coding]()).default as CodecFactory;
  return (await factory({ print: () => {}, printErr: () => {} }))[decoderNames[coding]]!;
}

/** The factory makes a new module each time that it is called. */
export function forgetCodec(_coding: Coding): void {}
