// npm run test:gpu: the CUDA ops on a machine with a GPU. Compiles them for it, compares them with the CPU ops on the recordings
// and on random input, runs that under compute-sanitizer where the machine has it, lets @mdt/tfjs-torch use them on its tensors
// where its libtorch has CUDA, and times them beside torch on the same GPU where python3 has torch. Exit code 2, and a line that
// says so, where there is no GPU. Wants nvcc, g++ and a finished set-up, or with --prebuilt the addons and packages as they are.
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { buildCuda } from '../packages/native-ops/scripts/build-cuda.mjs';
import { buildNative } from '../packages/native-ops/scripts/build-native.mjs';
import { at, root } from './setup/workspace.mjs';

const noGpu = 2;

function show(command, args) {
  console.log(`\n=== ${[command, ...args].map((word) => word.replace(root, '.')).join(' ')}`);
  return spawnSync(command, args, { cwd: root, stdio: 'inherit' }).status ?? 1;
}

const has = (command, args) => spawnSync(command, args, { stdio: 'ignore' }).status === 0;

const query = spawnSync('nvidia-smi', ['--query-gpu=name,compute_cap,driver_version', '--format=csv,noheader'], {
  encoding: 'utf8',
});
if (query.status !== 0) {
  console.log('test:gpu: no GPU found: nvidia-smi does not answer here. Nothing was tested.');
  process.exit(noGpu);
}
console.log(`test:gpu: ${query.stdout.trim()}`);
if (!process.argv.includes('--prebuilt')) {
  const archs = [
    ...new Set(
      query.stdout
        .trim()
        .split('\n')
        .map((line) => `sm_${line.split(',')[1].trim().replace('.', '')}`),
    ),
  ];
  console.log(`test:gpu: built ${buildNative()}`);
  console.log(`test:gpu: built ${await buildCuda({ archs })} for ${archs.join(', ')}`);
}
if (!existsSync(at('packages/native-ops/dist/index.js'))) {
  console.error('test:gpu: packages/native-ops/dist is missing: run npm run setup first.');
  process.exit(1);
}
const cases = at('checks/gpu/cases.mjs');
const failed = [];
if (show(process.execPath, [cases]) !== 0) failed.push('cases');
if (has('compute-sanitizer', ['--version'])) {
  for (const tool of ['memcheck', 'initcheck']) {
    const args = ['--tool', tool, '--error-exitcode', '1', process.execPath, cases, '--rounds', '5'];
    if (show('compute-sanitizer', args) !== 0) failed.push(tool);
  }
} else {
  console.log('test:gpu: compute-sanitizer is not on this machine.');
}
// The engine on CUDA tensors: where its libtorch has CUDA.
const engine = show(process.execPath, [at('checks/gpu/engine.mjs')]);
if (engine === noGpu) console.log('test:gpu: the engine has no CUDA here: its kernels on CUDA tensors were not tested.');
else if (engine !== 0) failed.push('engine');
if (has('python3', ['-c', 'import torch; assert torch.cuda.is_available()'])) {
  if (show('python3', [at('checks/gpu/bench.py'), process.execPath]) !== 0) failed.push('benchmark');
} else {
  console.log('test:gpu: python3 has no torch that sees the GPU: no benchmark.');
}
console.log(failed.length === 0 ? '\ntest:gpu: passed' : `\ntest:gpu: failed: ${failed.join(', ')}`);
process.exit(failed.length === 0 ? 0 : 1);
