import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { NativeBinding } from './binding.js';

export interface NativeInfo {
  /** Whether the C++ ops are in use; else their TypeScript twins are, which give the same results, slower. */
  native: boolean;
  /** The binary in use, or what was tried and what to do. */
  reason: string;
}

interface Loaded {
  binding: NativeBinding | undefined;
  info: NativeInfo;
}

let loaded: Loaded | undefined;

/** The native ops, or undefined where there is no binary. Looked up once per JS environment. */
export function nativeBinding(): NativeBinding | undefined {
  loaded ??= load();
  return loaded.binding;
}

/** Whether the C++ ops are in use, and why or why not. `MDT_NATIVE_OPS=off` in the environment turns them off. */
export function nativeInfo(): NativeInfo {
  loaded ??= load();
  return loaded.info;
}

function load(): Loaded {
  const without = (reason: string): Loaded => ({ binding: undefined, info: { native: false, reason } });
  if (process.env.MDT_NATIVE_OPS === 'off') return without('turned off by MDT_NATIVE_OPS=off; TypeScript is used');
  // This file is src/load.ts in development and a part of dist/index.{js,cjs} when published: one level below the root.
  const root = dirname(dirname(fileURLToPath(import.meta.url)));
  const binary = join(root, 'build', 'Release', 'mdt_native_ops.node');
  const remedy = `TypeScript is used, which is slower; to compile the C++ ops run: node ${join(root, 'scripts', 'build-native.mjs')}`;
  if (!existsSync(binary)) return without(`${binary} does not exist; ${remedy}`);
  try {
    const binding = createRequire(import.meta.url)(binary) as NativeBinding;
    return { binding, info: { native: true, reason: binary } };
  } catch (error) {
    return without(`${binary} cannot be loaded (${error instanceof Error ? error.message : String(error)}); ${remedy}`);
  }
}
