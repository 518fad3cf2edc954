// Packages for Python, put below .mdt by pip: those that the benchmarks' peers import, and onnxruntime's tools.
import { existsSync, rmSync } from 'node:fs';
import { delimiter, dirname, join } from 'node:path';
import { at, hashOf, readJsonOr, remember, run, SetupError, tail, unchanged } from './workspace.mjs';

/** What torch imports, beside numpy; torch itself comes from the libtorch that we build on where that is Python's torch. */
const torchNeeds = ['typing_extensions', 'sympy', 'networkx', 'jinja2', 'fsspec', 'filelock', 'setuptools'];
const originalNeeds = ['scipy', 'pandas', 'matplotlib'];
const torchVersion = '2.13.0';

/** What single benchmarks need besides, each in a folder of its own, so that none changes the packages of the others. */
const benchmarkNeeds = {
  evaluation: ['pycocotools==2.0.10'],
  augment: ['batchgenerators==0.25.5'],
  // --no-deps: torchvision would bring another torch; it wants CUDA's runtime library to load.
  ops: ['--no-deps', 'torchvision==0.28.0', 'nvidia-cuda-runtime==13.0.96', 'monai==1.6.1', 'scipy==1.17.1'],
};

/**
 * The PYTHONPATH of the peers; installs what is missing.
 *
 * @param {{ original: boolean, benchmark?: string }} options whether the original toolkit's own needs are wanted, and which benchmark runs
 */
export async function peerPath({ original, benchmark }) {
  if (benchmark === 'onnx') {
    await provideOnnxTools();
    return onnxToolsFolder;
  }
  const own = benchmarkNeeds[benchmark];
  if (!own) return commonPath({ original });
  const folder = at(`.mdt/peers-${benchmark}`);
  if (!unchanged(`peers-${benchmark}`, own.join(' '), [folder])) await install(`peers-${benchmark}`, folder, own, own.join(' '));
  return [await commonPath({ original }), folder].join(delimiter);
}

/** Where onnxruntime's tools for Python lie, which make int8 models; tests check model files with them. */
export const onnxToolsFolder = at('.mdt/onnx-tools');

/** Puts them there; tells whether anything was done. */
export async function provideOnnxTools() {
  const list = at('packages/onnx-export/python/requirements.txt');
  const { output } = await run('python3', ['--version']);
  const hash = hashOf([list], [output.trim()]);
  if (unchanged('onnx-tools', hash, [join(onnxToolsFolder, 'onnxruntime')])) return false;
  await install('onnx-tools', onnxToolsFolder, ['-r', list], hash);
  return true;
}

async function commonPath({ original }) {
  const folder = at('.mdt/peers');
  const { path } = readJsonOr(at('.mdt/libtorch.json'), {});
  const shared = path !== undefined && existsSync(join(path, '__init__.py'));
  const wanted = ['numpy', ...(shared ? torchNeeds : [`torch==${torchVersion}`]), ...(original ? originalNeeds : [])];
  const { output } = await run('python3', ['--version']);
  const hash = [output.trim(), ...wanted].join(' ');
  if (!unchanged('peers', hash, [join(folder, 'numpy')])) {
    await install('peers', folder, wanted, hash);
    // batchgenerators asks for torch: the one that our addon runs on stays the only one.
    if (shared) rmSync(join(folder, 'torch'), { recursive: true, force: true });
  }
  return shared ? [folder, dirname(path)].join(delimiter) : folder;
}

async function install(key, folder, wanted, hash) {
  console.log(`pip installs packages for Python into .mdt/${key}: ${wanted.join(', ')}`);
  remember(key, undefined);
  rmSync(folder, { recursive: true, force: true });
  const env = { PIP_USER: '0', PIP_NO_INPUT: '1', PIP_DISABLE_PIP_VERSION_CHECK: '1' };
  const installed = await run('python3', ['-m', 'pip', 'install', '--target', folder, ...wanted], { env });
  if (installed.code !== 0)
    throw new SetupError(`pip could not install packages for Python into .mdt/${key}:\n${tail(installed.output)}`);
  remember(key, hash);
}
