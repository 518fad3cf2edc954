import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { getEnvironmentData, setEnvironmentData } from 'node:worker_threads';
import type { CudaBinding, CudaDevice, NativeBinding } from './binding.js';
import type { NativeInfo } from './info.js';

interface Loaded<Binding> {
  binding: Binding | undefined;
  binary: string | undefined;
  reason: string;
}

// This file is src/load.ts in development and a part of dist/index.{js,cjs} when published: one level below the root.
const root = dirname(dirname(fileURLToPath(import.meta.url)));
const platform = `${process.platform}-${process.arch}`;

let native: Loaded<NativeBinding> | undefined;
let cuda: (Loaded<CudaBinding> & { devices: CudaDevice[] }) | undefined;

/**
 * The native ops, or undefined where there is no binary. Looked up once per JS environment. Their absence is a warning, once
 * per process, unless it was asked for.
 */
export function nativeBinding(): NativeBinding | undefined {
  native ??= loadNative();
  if (!native.binding && process.env.MDT_NATIVE_OPS !== 'off') warnOnce(native.reason);
  return native.binding;
}

/** The CUDA ops with their devices, or why there are none. Looked up once per JS environment. */
export function cudaBinding(): Loaded<CudaBinding> & { devices: CudaDevice[] } {
  cuda ??= loadCuda();
  return cuda;
}

export const nativeOps = {
  /** Whether the C++ and the CUDA ops are in use, and why or why not. `MDT_NATIVE_OPS=off` in the environment turns both off. */
  info(): NativeInfo {
    native ??= loadNative();
    const { binding, binary, reason, devices } = cudaBinding();
    const available = binding !== undefined && devices.length > 0;
    return { native: native.binding !== undefined, reason: native.reason, cuda: { available, reason, binary, devices } };
  },
};

function loadNative(): Loaded<NativeBinding> {
  const remedy = `TypeScript is used, which is slower; to compile the C++ ops run: node ${join(root, 'scripts', 'build-native.mjs')}`;
  const { binding, binary, reason } = load<NativeBinding>('mdt_native_ops.node');
  return { binding, binary, reason: binding || process.env.MDT_NATIVE_OPS === 'off' ? reason : `${reason}; ${remedy}` };
}

function loadCuda(): Loaded<CudaBinding> & { devices: CudaDevice[] } {
  const { binding, binary, reason } = load<CudaBinding>('mdt_native_ops_cuda.node');
  if (!binding) return { binding, binary, reason, devices: [] };
  try {
    return { binding, binary, reason, devices: binding.cudaDevices() };
  } catch (error) {
    return { binding, binary, reason: `${reason} finds no device: ${messageOf(error)}`, devices: [] };
  }
}

/**
 * Loads the first binary of this name that can be: built here, or prebuilt inside this package, or in an optional package
 * `@mdt/native-ops-PLATFORM-ARCH`. One that does not fit (another libc, say) is passed over. `MDT_NATIVE_OPS_BUILD` in the
 * environment names another folder for what was built here: `npm run fuzz -- native` has one with sanitizers.
 */
function load<Binding>(name: string): Loaded<Binding> {
  if (process.env.MDT_NATIVE_OPS === 'off') {
    return { binding: undefined, binary: undefined, reason: 'turned off by MDT_NATIVE_OPS=off; TypeScript is used' };
  }
  const require = createRequire(import.meta.url);
  const built = join(process.env.MDT_NATIVE_OPS_BUILD ?? join(root, 'build', 'Release'), name);
  const candidates = [built, join(root, 'prebuilds', platform, name), resolved(require, `@mdt/native-ops-${platform}/${name}`)];
  const failures: string[] = [];
  for (const binary of candidates) {
    if (!binary || !existsSync(binary)) continue;
    try {
      return { binding: require(binary) as Binding, binary, reason: binary };
    } catch (error) {
      failures.push(`${binary} cannot be loaded (${messageOf(error)})`);
    }
  }
  return { binding: undefined, binary: undefined, reason: failures.length > 0 ? failures.join('; ') : `${built} does not exist` };
}

function resolved(require: NodeJS.Require, id: string): string | undefined {
  try {
    return require.resolve(id);
  } catch {
    return undefined;
  }
}

function warnOnce(reason: string): void {
  const key = '@mdt/native-ops warned';
  if (getEnvironmentData(key)) return; // worker threads inherit it
  setEnvironmentData(key, true);
  process.emitWarning(reason, { type: 'NativeOpsWarning', code: 'MDT_NATIVE_OPS' });
}

const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));
