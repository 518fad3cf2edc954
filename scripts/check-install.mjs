// npm run check:install: installs the packed @mdt/native-ops into a clean folder outside the checkout, three times: without a
// compiler, with one, and with nvcc too, and runs an op on each. Wants a finished set-up and, for the last part, nvcc.
// Then the packed command, without a compiler, predicts a scan with a model file, without TensorFlow.js and libtorch.
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, delimiter, dirname, join } from 'node:path';
import { findNvcc } from '../packages/native-ops/scripts/cuda-toolkit.mjs';
import { at, run, tail } from './setup/workspace.mjs';

const clean = mkdtempSync(join(tmpdir(), 'mdt-install-'));

async function expectRun(command, args, options) {
  const { code, output } = await run(command, args, options);
  if (code !== 0) throw new Error(`${command} ${args.join(' ')} ended with ${code}:\n${tail(output)}`);
  return output;
}

/** A folder with links to all commands of the path but compilers; the first of a name wins, as on the path. */
function pathWithoutCompilers() {
  const folder = join(clean, 'bin');
  mkdirSync(folder);
  const compilers = /^(.*-)?(g\+\+|gcc|c\+\+|cc|clang|clang\+\+|nvcc)(-\d+)?$/;
  for (const directory of [dirname(process.execPath), ...process.env.PATH.split(delimiter)]) {
    if (!existsSync(directory)) continue;
    for (const name of readdirSync(directory)) {
      if (compilers.test(name) || existsSync(join(folder, name))) continue;
      try {
        symlinkSync(join(directory, name), join(folder, name));
      } catch (error) {
        if (error.code !== 'EEXIST') throw error; // a link that leads nowhere
      }
    }
  }
  return folder;
}

async function pack(name) {
  await expectRun(at('.mdt/tools/node_modules/.bin/pnpm'), ['pack', '--pm-on-fail=ignore', '--pack-destination', clean], {
    cwd: at('packages', name),
  });
  return join(
    clean,
    readdirSync(clean).find((file) => new RegExp(`^mdt-${name}-\\d`).test(file)),
  );
}

// Prints what it found; `warnings` are those that reached a user who calls two ops.
const script = `
  import { nativeOps, nonMaximumSuppression } from '@mdt/native-ops';
  const warnings = [];
  process.on('warning', ({ message }) => warnings.push(message));
  const nms = () => [...nonMaximumSuppression(Float32Array.of(0, 0, 2, 2, 0, 1, 2, 3), Float32Array.of(0.5, 0.9), { dim: 2, iouThreshold: 0.3 })];
  const kept = [nms(), nms()];
  setImmediate(() => console.log(JSON.stringify({ ...nativeOps.info(), kept, warnings })));`;

/** Runs `npm` in `folder` with this environment, and then the script. */
async function installed(folder, args, env) {
  await expectRun('npm', [...args, '--no-audit', '--no-fund'], { cwd: folder, env });
  const output = await expectRun(process.execPath, ['--input-type=module', '--eval', script], { cwd: folder, env });
  const found = JSON.parse(output.trim().split('\n').at(-1));
  if (JSON.stringify(found.kept) !== '[[1],[1]]') throw new Error(`NMS kept ${JSON.stringify(found.kept)}, expected [1]`);
  return found;
}

function expect(condition, what, found) {
  if (!condition) throw new Error(`expected ${what}, got ${JSON.stringify(found)}`);
}

function folderWith(name, tarballs) {
  const folder = join(clean, name);
  mkdirSync(folder);
  const dependencies = Object.fromEntries(
    tarballs.map((path) => [`@mdt/${/^mdt-(.*)-\d/.exec(basename(path))[1]}`, `file:${path}`]),
  );
  writeFileSync(join(folder, 'package.json'), JSON.stringify({ private: true, dependencies }));
  return folder;
}

/** What `@mdt/toolkit` is made of; not @mdt/tfjs-torch, which a model file does without. */
const commandParts = [
  ...['wbc', 'eval-coco', 'formats', 'augment', 'decode', 'predictor', 'backbone', 'detectors'],
  ...['onnx', 'onnx-export', 'viewer', 'toolkit'],
];
/** Seconds that a prediction of a small scan may take from the first to the last moment of the command. */
const longestStart = 3;

/** `mdt predict model.onnx scan.nii.gz` of the packed packages, in a folder without TensorFlow.js. */
async function predictionWithModel(tarballs, bare) {
  const folder = folderWith('command', tarballs);
  await expectRun('npm', ['install', '--no-audit', '--no-fund'], {
    cwd: folder,
    env: { ...bare, ONNXRUNTIME_NODE_INSTALL: 'skip' }, // CUDA's libraries are not asked for
  });
  for (const name of ['@tensorflow', '@mdt/tfjs-torch'])
    rmSync(join(folder, 'node_modules', name), { recursive: true, force: true });
  const script = at('packages/onnx-export/test/write-model.ts');
  const made = ['model.onnx', 'scan.nii.gz'].map((name) => join(folder, name));
  await expectRun(process.execPath, ['--import', 'tsx', script, 'RetinaUNet3D', ...made], {
    cwd: at('.'),
    env: { TSX_TSCONFIG_PATH: at('tsconfig.json') },
  });
  const mdt = join(folder, 'node_modules/@mdt/toolkit/dist/cli.js');
  let least = Number.POSITIVE_INFINITY;
  for (let i = 0; i < 3; i++) {
    const began = performance.now();
    await expectRun(process.execPath, [mdt, 'predict', 'model.onnx', 'scan.nii.gz', '--json'], { cwd: folder, env: bare });
    least = Math.min(least, (performance.now() - began) / 1000);
  }
  const { cases } = JSON.parse(readFileSync(join(folder, 'predictions.json'), 'utf8'));
  expect(cases[0].detections.length > 0, 'detections', cases[0]);
  expect(least < longestStart, `a prediction within ${longestStart} s`, least);
  return least;
}

const started = performance.now();
const title = (text) => console.log(`${((performance.now() - started) / 1000).toFixed(0).padStart(3)} s  ${text}`);
try {
  const ops = [await pack('core'), await pack('native-ops')];
  const bare = { PATH: pathWithoutCompilers(), CUDACXX: '/nowhere/nvcc', CXX: '', CC: '' };
  const without = await installed(folderWith('without', ops), ['install'], bare);
  expect(!without.native && /build-native\.mjs/.test(without.reason), 'the TypeScript twin and a way out', without);
  expect(without.warnings.length === 1 && without.warnings[0] === without.reason, 'one warning', without);
  title('without a compiler: TypeScript, said once');

  const folder = folderWith('with', ops);
  const compiled = await installed(folder, ['install'], { CUDACXX: '/nowhere/nvcc' });
  expect(compiled.native && !compiled.cuda.available, 'the C++ ops alone', compiled);
  expect(/does not exist/.test(compiled.cuda.reason) && compiled.warnings.length === 0, 'no CUDA ops and no warning', compiled);
  title('with a compiler: C++');

  const tarballs = [...ops];
  for (const name of commandParts) tarballs.push(await pack(name));
  const seconds = await predictionWithModel(tarballs, bare);
  title(`mdt predict with a model file, without a compiler and TensorFlow.js: ${seconds.toFixed(2)} s from start to end`);

  if (!findNvcc()) throw new Error('there is no nvcc, so the install with CUDA cannot be seen');
  const withCuda = await installed(folder, ['rebuild'], { MDT_CUDA_ARCHS: 'compute_75' }); // PTX alone compiles fastest
  expect(withCuda.native, 'the C++ ops', withCuda);
  expect(
    /mdt_native_ops_cuda\.node/.test(withCuda.cuda.reason) && !/does not exist|cannot be loaded/.test(withCuda.cuda.reason),
    'the CUDA ops',
    withCuda,
  );
  title(`with nvcc: C++ and CUDA; ${withCuda.cuda.reason.replace(folder, '…')}`);

  // A binary put where a release puts it serves without a compiler and without a change.
  const prebuilt = folderWith('prebuilt', ops);
  await expectRun('npm', ['install', '--ignore-scripts', '--no-audit', '--no-fund'], { cwd: prebuilt });
  const prebuilds = join(prebuilt, 'node_modules/@mdt/native-ops/prebuilds', `${process.platform}-${process.arch}`);
  mkdirSync(prebuilds, { recursive: true });
  symlinkSync(
    join(folder, 'node_modules/@mdt/native-ops/build/Release/mdt_native_ops.node'),
    join(prebuilds, 'mdt_native_ops.node'),
  );
  const found = await installed(prebuilt, ['rebuild'], bare);
  expect(found.native && /prebuilds/.test(found.reason), 'the prebuilt binary', found);
  title('with a prebuilt binary: C++');
} catch (error) {
  console.error(`check:install: ${error.message}`);
  process.exitCode = 1;
} finally {
  rmSync(clean, { recursive: true, force: true });
}
