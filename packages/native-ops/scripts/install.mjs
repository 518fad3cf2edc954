// What `npm install` of the package runs: compiles the C++ ops where there is a compiler, the CUDA ops where there is nvcc.
// Fetches nothing and never fails: without a binary the TypeScript twins do the work, and `nativeOps.info()` says why.
// MDT_NATIVE_OPS=off compiles nothing, MDT_CUDA=off no CUDA.
import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { buildCuda } from './build-cuda.mjs';
import { buildNative } from './build-native.mjs';
import { cudaArchs, findNvcc } from './cuda-toolkit.mjs';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const say = (text) => console.log(`native-ops: ${text}`);
const reasonOf = (error) => (error instanceof Error ? error.message.replace(/^native-ops: /, '') : String(error));

/** Whether a prebuilt binary of this name serves this machine. */
function isPrebuilt(name) {
  const require = createRequire(import.meta.url);
  const platform = `${process.platform}-${process.arch}`;
  for (const binary of [join(root, 'prebuilds', platform, name), `@mdt/native-ops-${platform}/${name}`]) {
    try {
      require(binary);
      return true;
    } catch {
      // another libc, or not there: it is compiled instead
    }
  }
  return false;
}

function provideNative() {
  if (isPrebuilt('mdt_native_ops.node')) return say('the prebuilt C++ ops are used');
  try {
    say(`built ${buildNative()}`);
  } catch (error) {
    say(`${reasonOf(error)}\nnative-ops: TypeScript is used, which gives the same results, slower`);
  }
}

async function provideCuda() {
  if (process.env.MDT_CUDA === 'off' || isPrebuilt('mdt_native_ops_cuda.node')) return;
  const nvcc = findNvcc();
  if (!nvcc) return;
  try {
    say(`built ${await buildCuda({ nvcc })} for ${cudaArchs().join(', ')}`);
  } catch (error) {
    say(`there is nvcc, but no CUDA ops: ${reasonOf(error)}`);
  }
}

// In a checkout set-up sees to it.
const inCheckout = existsSync(join(root, '..', '..', 'pnpm-workspace.yaml'));
if (!inCheckout && process.env.MDT_NATIVE_OPS !== 'off') {
  provideNative();
  await provideCuda();
}
