// npm run engine:tensorflow: builds @tensorflow/tfjs-node against TensorFlow's wheel in .mdt/tensorflow, which git ignores, and
// compares a forward pass and a training step of every detector with backend torch. Loads about 250 MB; a second run builds
// nothing. Node 20 or 22: tfjs-node itself does not run on later ones.
import { spawnSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
const home = join(root, '.mdt/tensorflow');
const tfjsVersion = '4.22.0';
const tensorflowVersion = '2.21.0';
const major = Number(process.versions.node.split('.')[0]);

function run(program, args, options = {}) {
  const { status, error } = spawnSync(program, args, { stdio: 'inherit', cwd: home, ...options });
  if (status !== 0) {
    console.error(`engine:tensorflow: ${program} ${args[0]} failed${error ? ` (${error.message})` : ''}`);
    process.exit(1);
  }
}

const addon = join(home, 'node_modules/@tensorflow/tfjs-node');

/** Where node.h is: beside the running Node. */
function nodeHeaders() {
  const prefix = resolve(dirname(process.execPath), '..');
  if (existsSync(join(prefix, 'include/node/node_api.h'))) return prefix;
  console.error(`engine:tensorflow: there are no Node headers in ${prefix}/include/node; install them or another Node`);
  process.exit(1);
}

function build() {
  const headers = nodeHeaders();
  mkdirSync(home, { recursive: true });
  // Its install script would fetch libtensorflow 2.9.1, so none are run.
  writeFileSync(join(home, 'package.json'), '{ "private": true }\n');
  writeFileSync(join(home, '.npmrc'), 'ignore-scripts=true\n');
  run('npm', ['install', '--ignore-scripts', '--no-audit', '--no-fund', `@tensorflow/tfjs-node@${tfjsVersion}`]);
  const wheels = join(home, 'wheel');
  const wheel = () => (existsSync(wheels) ? readdirSync(wheels).find((name) => name.endsWith('.whl')) : undefined);
  if (!wheel()) {
    const platform = ['--python-version', '3.11', '--implementation', 'cp', '--platform', 'manylinux_2_27_x86_64'];
    const wanted = `tensorflow-cpu==${tensorflowVersion}`;
    run('python3', ['-m', 'pip', 'download', '--no-deps', '--only-binary=:all:', ...platform, '-d', wheels, wanted]);
  }
  for (const part of ['deps', 'build', 'lib', '.unpack'])
    rmSync(join(part === '.unpack' ? home : addon, part), { recursive: true, force: true });
  const unpack = join(home, '.unpack');
  // python3's own zipfile: unzip is not installed everywhere.
  const parts = [
    'tensorflow/libtensorflow_',
    'tensorflow/include/tensorflow/c/',
    'tensorflow/include/tensorflow/core/platform/ctstring',
  ];
  const more = ['tensorflow/include/tsl/platform/ctstring', 'tensorflow/include/xla/tsl/c/'];
  const script =
    'import sys, zipfile\nz = zipfile.ZipFile(sys.argv[1])\n' +
    'z.extractall(sys.argv[2], [n for n in z.namelist() if n.startswith(tuple(sys.argv[3:]))])';
  run('python3', ['-c', script, join(wheels, wheel()), unpack, ...parts, ...more]);
  const lib = join(addon, 'deps/lib');
  mkdirSync(lib, { recursive: true });
  for (const name of ['libtensorflow_cc.so.2', 'libtensorflow_framework.so.2'])
    cpSync(join(unpack, 'tensorflow', name), join(lib, name));
  cpSync(join(unpack, 'tensorflow/include'), join(addon, 'deps/include'), { recursive: true });
  symlinkSync('libtensorflow_cc.so.2', join(lib, 'libtensorflow.so'));
  symlinkSync('libtensorflow_framework.so.2', join(lib, 'libtensorflow_framework.so'));
  rmSync(unpack, { recursive: true });
  const gyp = join(dirname(createRequire(import.meta.url).resolve('node-gyp/package.json')), 'bin/node-gyp.js');
  const to = [`--module_name=tfjs_binding`, `--module_path=${join(addon, 'lib/napi-v8')}`, '--napi_build_version=8'];
  run(process.execPath, [gyp, 'rebuild', `--nodedir=${headers}`, ...to], { cwd: addon });
}

if (major > 22) {
  console.error(`engine:tensorflow: tfjs-node does not run on Node ${major}; use 20 or 22`);
  process.exit(1);
}
if (!existsSync(join(addon, 'lib/napi-v8/tfjs_binding.node'))) build();
const tsx = join(root, 'node_modules/tsx/dist/cli.mjs');
run(process.execPath, [tsx, '--tsconfig', join(root, 'tsconfig.json'), join(root, 'checks/engine-tensorflow.ts')], { cwd: root });
