import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, statSync } from 'node:fs';
import { createRequire } from 'node:module';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { at, run, SetupError, tail } from './workspace.mjs';

const flags = [
  ...['-std=c++17', '-O1', '-g1', '-fPIC', '-pthread', '-ffp-contract=off', '-fno-omit-frame-pointer', '-DNAPI_VERSION=8'],
  ...['-DNODE_GYP_MODULE_NAME=mdt_native_ops', '-fsanitize=address,undefined,float-cast-overflow', '-fno-sanitize-recover=all'],
];

const changed = (path) => (existsSync(path) ? statSync(path).mtimeMs : 0);
const library = (name) => spawnSync(process.env.CXX ?? 'g++', [`-print-file-name=${name}`], { encoding: 'utf8' }).stdout.trim();

/**
 * Compiles the addon of @mdt/native-ops with AddressSanitizer and UndefinedBehaviorSanitizer into a folder of its own; what has
 * not changed since the last time is not compiled again. Linux with g++ only.
 *
 * @returns the environment in which a process uses it. Where an input would need much memory an allocation fails, as it would on
 *   a small machine. Leaks are not looked for: V8 keeps what it owns until the process is gone.
 * @throws SetupError
 */
export async function sanitizedNativeOps() {
  if (process.platform !== 'linux') throw new SetupError('the sanitizers need Linux and g++');
  const sources = at('packages/native-ops/csrc');
  const folder = at('packages/native-ops/build/sanitize');
  const addon = join(folder, 'mdt_native_ops.node');
  mkdirSync(folder, { recursive: true });
  const files = readdirSync(sources, { recursive: true });
  const since = Math.max(...files.filter((file) => file.endsWith('.h')).map((file) => changed(join(sources, file))));
  const units = readdirSync(join(sources, 'napi')).filter((file) => file.endsWith('.cc'));
  const object = (unit) => join(folder, `${unit}.o`);
  const compile = async (args) => {
    const include = `-I${createRequire(import.meta.url)('node-api-headers').include_dir}`;
    const { code, output } = await run(process.env.CXX ?? 'g++', [...flags, include, ...args]);
    if (code !== 0) throw new SetupError(`the addon of @mdt/native-ops does not compile:\n${tail(output, 40)}`);
  };
  const waiting = units.filter((unit) => changed(object(unit)) <= Math.max(since, changed(join(sources, 'napi', unit))));
  const stale = waiting.length > 0 || !existsSync(addon);
  const worker = async () => {
    for (let unit = waiting.pop(); unit; unit = waiting.pop()) {
      await compile(['-c', join(sources, 'napi', unit), '-o', object(unit)]);
    }
  };
  await Promise.all(Array.from({ length: availableParallelism() }, worker));
  if (stale) await compile(['-shared', ...units.map(object), '-o', addon]);
  return {
    MDT_NATIVE_OPS_BUILD: folder,
    LD_PRELOAD: ['libasan.so', 'libubsan.so'].map(library).join(' '),
    ASAN_OPTIONS: [
      ...['detect_leaks=0', 'abort_on_error=1', 'allow_user_segv_handler=1', 'quarantine_size_mb=64'],
      ...['allocator_may_return_null=1', 'max_allocation_size_mb=64'],
    ].join(':'),
    UBSAN_OPTIONS: 'print_stacktrace=1',
  };
}
