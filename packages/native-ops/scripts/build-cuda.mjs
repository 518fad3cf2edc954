// Builds build/Release/mdt_native_ops_cuda.node:  node packages/native-ops/scripts/build-cuda.mjs
// The CUDA runtime is linked in, so the addon loads where there is no CUDA, and says there that no device is to be had.
import { spawn, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readFileSync, realpathSync, statSync, writeFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { cudaArchs, findNvcc, gencode } from './cuda-toolkit.mjs';
import { nodeHeaders } from './node-headers.mjs';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const sources = [
  ...readdirSync(join(root, 'csrc/cuda')).map((name) => `cuda/${name}`),
  'napi/box_pairs.cc', // the jobs that have a CUDA op
  'napi/boxes.cc',
  'napi/roi_align.cc',
].filter((name) => /\.(cu|cc)$/.test(name));

/** --fmad=false and -ffp-contract=off: the same bits as on the CPU. */
const flags = [
  '-std=c++17',
  '-O3',
  '--fmad=false',
  '--expt-relaxed-constexpr',
  '-Xcompiler=-fPIC,-ffp-contract=off,-fvisibility=hidden,-pthread,-Wall,-Wextra,-Wno-missing-field-initializers',
  '-DNAPI_VERSION=8',
  '-DMDT_CUDA',
];

/** Time of the last change of a source below a folder. */
function newest(folder) {
  const sources = readdirSync(folder, { recursive: true }).filter((name) => /\.(cu|cc|h)$/.test(name));
  return Math.max(...sources.map((name) => statSync(join(folder, name)).mtimeMs));
}

function compile(nvcc, args) {
  return new Promise((done) => {
    const child = spawn(nvcc, args, { cwd: join(root, 'csrc'), stdio: ['ignore', 'pipe', 'pipe'] });
    let output = '';
    for (const stream of [child.stdout, child.stderr]) stream.on('data', (text) => (output += text));
    child.on('error', (error) => done({ status: 1, output: String(error) }));
    child.on('close', (status) => done({ status, output }));
  });
}

/**
 * Compiles the CUDA addon; objects that are newer than all of csrc are kept.
 *
 * @param {{ verbose?: boolean, nvcc?: string, archs?: string[] }} options
 * @returns {Promise<string>} the path of the binary
 * @throws Error with one sentence that says what is missing, or with the end of the compiler's output
 */
export async function buildCuda({ verbose = false, nvcc = findNvcc(), archs = cudaArchs() } = {}) {
  if (process.platform !== 'linux') throw new Error(`native-ops: CUDA ops are built on Linux, this is ${process.platform}`);
  if (!nvcc) throw new Error('native-ops: cannot compile the CUDA ops without nvcc, which comes with the CUDA toolkit');
  const folder = join(root, 'build', 'cuda');
  const binary = join(root, 'build', 'Release', 'mdt_native_ops_cuda.node');
  mkdirSync(folder, { recursive: true });
  mkdirSync(dirname(binary), { recursive: true });
  const include = join(nodeHeaders(join(root, 'node_modules', '.cache', 'node-headers')), 'include', 'node');
  const common = [...flags, ...gencode(archs), `-I${include}`];
  const stamp = [spawnSync(nvcc, ['--version'], { encoding: 'utf8' }).stdout, ...common].join('\n');
  const stampFile = join(folder, 'flags.txt');
  const sameFlags = existsSync(stampFile) && readFileSync(stampFile, 'utf8') === stamp;
  const changed = newest(join(root, 'csrc'));
  const jobs = sources.map((source) => ({ source, object: join(folder, `${source.replaceAll('/', '-')}.o`) }));
  const waiting = jobs.filter(({ object }) => !(sameFlags && existsSync(object) && statSync(object).mtimeMs > changed));
  if (waiting.length === 0 && existsSync(binary) && statSync(binary).mtimeMs > changed) return binary;
  writeFileSync(stampFile, '');
  const work = async () => {
    for (let job = waiting.shift(); job; job = waiting.shift()) {
      if (verbose) console.log(`nvcc ${job.source}`);
      const { status, output } = await compile(nvcc, ['-c', ...common, job.source, '-o', job.object]);
      if (verbose && output) console.log(output.trimEnd());
      if (status !== 0) throw new Error(`native-ops: nvcc cannot compile ${job.source}.\n${lastLines(output)}`);
    }
  };
  await Promise.all(Array.from({ length: availableParallelism() }, work));
  const link = ['-shared', '-cudart=static', ...gencode(archs), ...jobs.map(({ object }) => object), '-o', binary];
  const { status, output } = await compile(nvcc, link);
  if (status !== 0) throw new Error(`native-ops: linking the CUDA addon failed.\n${lastLines(output)}`);
  writeFileSync(stampFile, stamp);
  return binary;
}

const lastLines = (text) => text.trim().split('\n').slice(-40).join('\n');

if (process.argv[1] && realpathSync(process.argv[1]) === fileURLToPath(import.meta.url)) {
  try {
    console.log(`built ${await buildCuda({ verbose: process.argv.includes('--verbose') })} for ${cudaArchs().join(', ')}`);
  } catch (error) {
    console.error(error.message);
    process.exitCode = 1;
  }
}
