// Compiles the addon of @mdt/tfjs-torch beside the one that set-up builds: for another libtorch, or with other flags.
import { existsSync, mkdirSync, readdirSync, statSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { sources } from '../../packages/tfjs-torch/scripts/sources.mjs';
import { at, run, SetupError, tail } from './workspace.mjs';

const csrc = at('packages/tfjs-torch/csrc');
/** What more than one source is made of; csrc/avx2 compiles three of the sources once more. */
const headers = () =>
  [csrc, join(csrc, 'avx2')].flatMap((folder) =>
    readdirSync(folder)
      .filter((file) => /\.(h|inc)$|^(direct_conv|direct_kernels|winograd)\.cc$/.test(file))
      .map((file) => join(folder, file)),
  );
const changed = (path) => (existsSync(path) ? statSync(path).mtimeMs : 0);

/**
 * The path of the compiled addon; what has not changed since the last time is not compiled again.
 *
 * @param {{ folder: string, libtorch: string, flags: string[] }} options `folder` takes what is made; `libtorch` has include/
 *   and lib/
 */
export async function compileAddon({ folder, libtorch, flags }) {
  const addon = join(folder, 'mdt_tfjs_torch.node');
  const compiler = process.env.CXX ?? 'g++';
  const all = [
    ...['-std=c++20', '-fPIC', '-fopenmp', '-DNAPI_VERSION=8', '-DNODE_GYP_MODULE_NAME=mdt_tfjs_torch', ...flags],
    `-I${createRequire(import.meta.url)('node-api-headers').include_dir}`,
    `-isystem${libtorch}/include`,
    `-isystem${libtorch}/include/torch/csrc/api/include`,
  ];
  const compile = async (args, what) => {
    const { code, output } = await run(compiler, [...all, ...args]);
    if (code !== 0) throw new SetupError(`${what} does not compile:\n${tail(output, 40)}`);
  };
  mkdirSync(folder, { recursive: true });
  // libtorch's headers take most of the time: they are compiled once.
  const prefix = join(folder, 'prefix.h');
  if (!existsSync(`${prefix}.gch`)) {
    writeFileSync(prefix, '#include <ATen/ATen.h>\n');
    await compile(['-x', 'c++-header', prefix, '-o', `${prefix}.gch`], 'ATen/ATen.h');
  }
  const since = Math.max(changed(`${prefix}.gch`), ...headers().map(changed));
  const units = sources().map((file) => ({
    source: at('packages/tfjs-torch', file),
    object: join(folder, `${file.replaceAll('/', '-')}.o`),
  }));
  const waiting = units.filter(({ source, object }) => changed(object) <= Math.max(since, changed(source)));
  const stale = waiting.length > 0 || !existsSync(addon);
  const worker = async () => {
    for (let unit = waiting.pop(); unit; unit = waiting.pop()) {
      await compile(['-include', prefix, '-c', unit.source, '-o', unit.object], unit.source);
    }
  };
  await Promise.all(Array.from({ length: availableParallelism() }, worker));
  if (stale) {
    const libraries = [
      '-Wl,--no-as-needed',
      '-ltorch_cpu',
      '-lc10',
      '-ltorch',
      `-L${libtorch}/lib`,
      `-Wl,-rpath,${libtorch}/lib`,
    ];
    await compile(['-shared', ...units.map(({ object }) => object), '-o', addon, ...libraries], 'the addon');
  }
  return addon;
}
