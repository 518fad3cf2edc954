// npm run check:cuda: compiles the CUDA ops of @mdt/native-ops and looks into the binary with cuobjdump: every kernel has to be
// there for every target (MDT_CUDA_ARCHS, else machine code for sm_80 and sm_90 and PTX). Needs no GPU. What is missing of
// the CUDA toolkit is installed with pip, into .mdt/cuda.
import { existsSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { buildCuda } from '../packages/native-ops/scripts/build-cuda.mjs';
import { cudaArchs, findNvcc } from '../packages/native-ops/scripts/cuda-toolkit.mjs';
import { at, remember, run, SetupError, tail, unchanged } from './setup/workspace.mjs';

const folder = at('.mdt/cuda');
const command = (name) => join(folder, 'nvidia/cu13/bin', name);
const cuobjdumpPackage = 'nvidia-cuda-cuobjdump==13.4.92';
const compilerPackages = [
  'nvidia-cuda-nvcc==13.0.88',
  'nvidia-cuda-crt==13.0.88',
  'nvidia-nvvm==13.0.88',
  'nvidia-cuda-cccl==13.0.85',
  'nvidia-cuda-runtime==13.0.96',
];

async function output(program, args) {
  const { code, output: text } = await run(program, args);
  if (code !== 0) throw new SetupError(`${program} ${args.join(' ')} ended with ${code}:\n${tail(text)}`);
  return text;
}

/** nvcc and cuobjdump: those of the machine where it has them. */
async function toolkit() {
  const nvcc = findNvcc();
  const hasDump = (await run('cuobjdump', ['--version'])).code === 0;
  const wanted = [...(nvcc ? [] : compilerPackages), ...(hasDump ? [] : [cuobjdumpPackage])];
  const tools = { nvcc: nvcc ?? command('nvcc'), cuobjdump: hasDump ? 'cuobjdump' : command('cuobjdump') };
  const outputs = [tools.nvcc, tools.cuobjdump].filter((path) => path.startsWith(folder));
  if (wanted.length > 0 && !unchanged('cuda', wanted.join(' '), outputs)) {
    console.log(`check:cuda: pip installs ${wanted.join(', ')} into .mdt/cuda`);
    rmSync(folder, { recursive: true, force: true });
    const env = { PIP_USER: '0', PIP_NO_INPUT: '1', PIP_DISABLE_PIP_VERSION_CHECK: '1' };
    const { code, output: text } = await run('python3', ['-m', 'pip', 'install', '--no-deps', '--target', folder, ...wanted], {
      env,
    });
    if (code !== 0) throw new SetupError(`pip could not install them:\n${tail(text)}`);
    remember('cuda', wanted.join(' '));
  }
  return tools;
}

/** Number of kernel templates in the sources: each `__global__` function and each body of `for_each`. */
function kernelsInSources() {
  const sources = at('packages/native-ops/csrc/cuda');
  const texts = readdirSync(sources)
    .filter((name) => /\.(cu|h)$/.test(name))
    .map((name) => readFileSync(join(sources, name), 'utf8'));
  const bodies = texts.flatMap((text) => [...text.matchAll(/struct (\w+) \{(?:(?!\n\};)[\s\S])*?void operator\(\)\(int64_t/g)]);
  const functions = texts.flatMap((text) => [...text.matchAll(/__global__[^(]*(?:\(kThreads\)\s*)?\s(\w+)\(/g)]);
  return [...bodies, ...functions].map(([, name]) => name).filter((name) => name !== 'for_each_kernel');
}

/** Kernels in machine code by target, as mangled names, from cuobjdump's resource report. */
function kernelsByTarget(report) {
  const targets = new Map();
  let target;
  for (const line of report.split('\n')) {
    const arch = /^arch = (sm_\w+)/.exec(line)?.[1];
    if (arch) target = arch;
    const kernel = /^\s*Function (\S+):$/.exec(line)?.[1];
    if (kernel) targets.set(target, (targets.get(target) ?? new Set()).add(kernel));
  }
  return targets;
}

async function check() {
  const archs = cudaArchs();
  const { nvcc, cuobjdump } = await toolkit();
  const started = performance.now();
  const binary = await buildCuda({ nvcc, archs });
  console.log(`check:cuda: compiled for ${archs.join(', ')}, ${((performance.now() - started) / 1000).toFixed(1)} s`);

  const machine = kernelsByTarget(await output(cuobjdump, ['--dump-resource-usage', binary]));
  const ptx = new Map();
  let target;
  for (const line of (await output(cuobjdump, ['--dump-ptx', binary])).split('\n')) {
    target = /^\.target sm_(\w+)/.exec(line)?.[1] ?? target;
    const kernel = /\.entry (\w+)\(/.exec(line)?.[1];
    if (kernel) ptx.set(`compute_${target}`, (ptx.get(`compute_${target}`) ?? new Set()).add(kernel));
  }
  const found = new Map([...machine, ...ptx]);
  const all = new Set([...found.values()].flatMap((kernels) => [...kernels]));
  const failures = [];
  for (const arch of archs) {
    const kernels = found.get(arch) ?? new Set();
    // cub builds its kernels by its own rules, also one for the architecture that has no part in the work.
    const missing = [...all].filter((kernel) => kernel.includes('3mdt4cuda') && !kernels.has(kernel));
    if (missing.length > 0) failures.push(`${arch} lacks ${missing.join(', ')}`);
    const sorts = [...kernels].filter((kernel) => kernel.includes('DeviceRadixSort')).length;
    if (sorts === 0) failures.push(`${arch} lacks the kernels that sort`);
    console.log(`check:cuda: ${arch}: ${kernels.size} kernels, ${kernels.size - sorts} of them not cub's sort`);
  }
  for (const name of kernelsInSources()) {
    // Each is there at least in 2D and 3D, or for float and double: a template that nothing instantiates is not compiled.
    if (![...all].some((kernel) => kernel.includes(`${name.length}${name}`)))
      failures.push(`${name} of csrc/cuda is in no target`);
  }
  if (failures.length > 0) throw new SetupError(failures.join('\n'));
  console.log(`check:cuda: every kernel is there for ${archs.join(', ')}`);
}

try {
  if (!existsSync(at('.mdt'))) throw new SetupError('run npm run setup first');
  await check();
} catch (error) {
  console.error(`check:cuda: ${error.message}`);
  process.exit(1);
}
