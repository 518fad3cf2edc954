// npm run sanitize [-- vitest's arguments]: builds the addon of @mdt/tfjs-torch with AddressSanitizer and
// UndefinedBehaviorSanitizer and runs its tests on that build. Only our own sources are instrumented, libtorch is not.
//
// Leaks are not looked for: V8 and libtorch keep what they own until the process is gone; the tests count tensors and bytes
// instead. Linux with g++ only.
import { spawnSync } from 'node:child_process';
import { findLibtorch } from '../packages/tfjs-torch/scripts/libtorch-path.mjs';
import { compileAddon } from './setup/addon.mjs';
import { at, SetupError } from './setup/workspace.mjs';

const flags = [
  '-O1',
  '-g1',
  '-fno-omit-frame-pointer',
  '-fsanitize=address,undefined,float-cast-overflow',
  '-fno-sanitize=vptr', // needs type information that libtorch hides
  '-fno-sanitize-recover=all',
];

/** Path of a runtime library of the compiler. */
const library = (name) => spawnSync(process.env.CXX ?? 'g++', [`-print-file-name=${name}`], { encoding: 'utf8' }).stdout.trim();

try {
  const libtorch = findLibtorch();
  if (!libtorch) throw new SetupError('no libtorch found; run `npm run setup` first');
  if (process.platform !== 'linux') throw new SetupError('this needs Linux and g++');
  const started = performance.now();
  const addon = await compileAddon({ folder: at('packages/tfjs-torch/build/sanitize'), libtorch: libtorch.path, flags });
  console.log(`sanitize: compiled after ${((performance.now() - started) / 1000).toFixed(0)} s`);
  const wanted = process.argv.slice(2);
  const vitest = [at('node_modules/vitest/vitest.mjs'), 'run', ...(wanted.length > 0 ? wanted : ['packages/tfjs-torch'])];
  const env = {
    ...process.env,
    MDT_TFJS_TORCH_ADDON: addon,
    LD_PRELOAD: ['libasan.so', 'libubsan.so'].map(library).join(' '),
    ASAN_OPTIONS: 'detect_leaks=0:abort_on_error=1:allocator_may_return_null=1:allow_user_segv_handler=1:quarantine_size_mb=64',
    UBSAN_OPTIONS: 'print_stacktrace=1',
  };
  process.exit(spawnSync(process.execPath, vitest, { cwd: at('.'), stdio: 'inherit', env }).status ?? 1);
} catch (error) {
  if (!(error instanceof SetupError)) throw error;
  console.error(`sanitize: ${error.message}`);
  process.exit(1);
}
