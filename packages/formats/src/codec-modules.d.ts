// Its types are not where its package.json leads.
declare module 'jpeg-lossless-decoder-js' {
  export class Decoder {
    decompress(data: ArrayBuffer): ArrayBuffer;
  }
}

// Emscripten modules, without types.
declare module '@cornerstonejs/codec-libjpeg-turbo-8bit/decode' {
  const factory: unknown;
  export default factory;
}
declare module '@cornerstonejs/codec-charls/decode' {
  const factory: unknown;
  export default factory;
}
declare module '@cornerstonejs/codec-openjpeg/decode' {
  const factory: unknown;
  export default factory;
}
