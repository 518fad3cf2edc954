// Prints the sources of the addon for this platform, as binding.gyp wants them: our convolutions need GCC on x86-64.
import { readdirSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

const here = resolve(dirname(fileURLToPath(import.meta.url)), '..');
const own = /^csrc\/(avx2\/.*|convolutions|direct_conv|direct_kernels|winograd)\.cc$/;

/** Paths below the package's folder. */
export function sources({ platform = process.platform, arch = process.arch } = {}) {
  const gcc = platform === 'linux' && arch === 'x64';
  const all = ['csrc', 'csrc/avx2', 'csrc/kernels'].flatMap((folder) =>
    readdirSync(join(here, folder))
      .filter((file) => file.endsWith('.cc'))
      .map((file) => `${folder}/${file}`),
  );
  return gcc ? all : [...all.filter((file) => !own.test(file)), 'csrc/portable/no_direct_conv.cc'];
}

if (process.argv[1] === fileURLToPath(import.meta.url)) process.stdout.write(sources().join(' '));
