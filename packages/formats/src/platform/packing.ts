/** How bytes are packed: deflate (RFC 1951) bare, or in the wrapping of zlib (RFC 1950) or gzip (RFC 1952). */
export type Packing = 'gzip' | 'zlib' | 'deflate';

/** More bytes came out of a packed part than it was allowed. */
export class TooLong extends Error {}

/** An image codec that is loaded when it is first wanted. */
export type Coding = 'jpeg' | 'jpeg-ls' | 'jpeg-2000';

/** A decoder of one of the codecs. */
export interface Decoder {
  getEncodedBuffer(length: number): Uint8Array;
  decode(): void;
  getDecodedBuffer(): Uint8Array;
  getFrameInfo(): { width: number; height: number; bitsPerSample: number; componentCount: number };
  delete(): void;
}

/** What an Emscripten module exports. */
export type CodecFactory = (options: { print(): void; printErr(): void }) => Promise<Record<string, new () => Decoder>>;

/** The names of the decoders in their modules. */
export const decoderNames: Readonly<Record<Coding, string>> = {
  jpeg: 'JPEGDecoder',
  'jpeg-ls': 'JpegLSDecoder',
  'jpeg-2000': 'J2KDecoder',
};
