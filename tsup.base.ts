import type { Options } from 'tsup';

/** The build every package shares: ESM and CommonJS, types for both, source maps. */
export function library(overrides: Options = {}): Options {
  return {
    entry: ['src/index.ts'],
    format: ['esm', 'cjs'],
    target: 'node20',
    platform: 'node',
    dts: true,
    sourcemap: true,
    clean: true,
    splitting: false,
    shims: true,
    ...overrides,
  };
}
