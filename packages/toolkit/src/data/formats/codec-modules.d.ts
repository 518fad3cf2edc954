// Its types are not where its package.json leads.
declare module 'jpeg-lossless-decoder-js' {
  export class Decoder {
    decompress(data: ArrayBuffer): ArrayBuffer;
  }
}
