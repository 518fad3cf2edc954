// Sets up a checkout: the pinned pnpm, the dependencies, libtorch, the native addons, the packages, data sets if asked.
// Everything lands inside the checkout. A step whose inputs are as they were is passed over.
//
//   node scripts/setup.mjs [--data NAME,NAME…] [--no-libtorch] [--onnx-tools]
import { existsSync, readdirSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { cudaArchs, findNvcc } from '../packages/native-ops/scripts/cuda-toolkit.mjs';
import { provideLibtorch } from './setup/libtorch.mjs';
import { buildPackages } from './setup/packages.mjs';
import {
  at,
  hashOf,
  lock,
  readJson,
  readJsonOr,
  remember,
  run,
  SetupError,
  tail,
  unchanged,
  writeJson,
} from './setup/workspace.mjs';

const minimumNode = 20;
const slowerBackend = "networks run on tfjs's cpu backend, which is far slower";
/** Pieces that are not there: `{ what, instead, mend }`, three parts of a sentence. */
const missing = [];

/** Runs one step and prints what it does and how long it took; `work` gives a short result, 'unchanged' if it did nothing. */
async function step(title, work) {
  const started = performance.now();
  process.stdout.write(`setup: ${title} … `);
  let inLine = true;
  const say = (text) => {
    process.stdout.write(`${inLine ? '\n' : ''}  ${text}\n`);
    inLine = false;
  };
  const result = await work(say);
  const seconds = ((performance.now() - started) / 1000).toFixed(1);
  process.stdout.write(`${inLine ? '' : '  '}${result === 'unchanged' ? result : `${result}, ${seconds} s`}\n`);
}

function checkNode() {
  const version = process.versions.node;
  if (Number(version.split('.')[0]) >= minimumNode) return;
  throw new SetupError(`Node ${version} is too old: install Node ${minimumNode} or newer and run this again.`);
}

/** The package manager that package.json names, as `pnpm@1.2.3`; installed below .mdt/tools. */
async function installPnpm(wanted) {
  const installed = () => readJsonOr(at('.mdt/tools/node_modules/pnpm/package.json'), {}).version;
  if (`pnpm@${installed()}` === wanted) return 'unchanged';
  writeJson(at('.mdt/tools/package.json'), { private: true });
  const args = ['install', '--prefix', at('.mdt/tools'), '--no-audit', '--no-fund', '--save-exact', wanted];
  const { code, output } = await run('npm', args, { cwd: at('.mdt/tools') });
  if (code !== 0 || `pnpm@${installed()}` !== wanted) {
    throw new SetupError(`npm could not install ${wanted}: is the npm registry reachable? Its last words:\n${tail(output)}`);
  }
  return 'installed';
}

async function installDependencies() {
  const members = ['packages', 'examples', 'benchmarks'].flatMap((folder) =>
    existsSync(at(folder, 'package.json')) ? [at(folder)] : readdirSync(at(folder)).map((name) => at(folder, name)),
  );
  const manifests = members.map((folder) => join(folder, 'package.json'));
  const inputs = [at('package.json'), at('pnpm-lock.yaml'), at('pnpm-workspace.yaml'), ...manifests];
  const hash = hashOf(inputs, [process.platform, process.arch]);
  if (unchanged('dependencies', hash, [at('node_modules/.modules.yaml'), at('node_modules/tsup/package.json')]))
    return 'unchanged';
  remember('dependencies', undefined);
  const data = process.env.XDG_DATA_HOME ?? join(homedir(), '.local/share');
  const store = process.env.npm_config_store_dir ?? join(data, 'pnpm/store'); // else a checkout on another disk gets a store at its root
  const pnpm = at('.mdt/tools/node_modules/.bin/pnpm');
  const args = ['install', '--frozen-lockfile', '--pm-on-fail=ignore', '--store-dir', store]; // the step before saw to pnpm's version
  const { code, output } = await run(pnpm, args, { env: { CI: 'true' } });
  if (code !== 0) throw new SetupError(`pnpm could not install the dependencies; its last words:\n${tail(output)}`);
  remember('dependencies', hash);
  return 'installed';
}

async function findLibtorch(say) {
  const before = readJsonOr(at('.mdt/libtorch.json'), {});
  const found = await provideLibtorch({ say });
  if ('missing' in found) {
    missing.push({ what: found.missing, instead: slowerBackend, mend: found.mend });
    return 'missing';
  }
  if (before.path === found.path && before.version === found.version) return 'unchanged';
  return `${found.version} (${found.source}${found.cuda ? `, CUDA ${found.cuda}` : ''})`;
}

/** The build tools that are not on the path, as Debian's package names. */
async function absentTools() {
  const compiler = process.env.CXX ?? 'g++';
  const tools = [
    [compiler, 'g++'],
    ['make', 'make'],
    ['python3', 'python3'],
  ];
  const codes = await Promise.all(tools.map(([command]) => run(command, ['--version'])));
  return tools.filter((_, i) => codes[i].code !== 0).map(([, debian]) => debian);
}

/** Builds the addon of one package with its own script. */
async function buildAddon(name, { sources, extra = [], instead }, say) {
  const script = at('packages', name, 'scripts/build-native.mjs');
  const own = ['csrc', 'binding.gyp', 'scripts'].map((part) => at('packages', name, part));
  const hash = hashOf([...own, ...sources], [process.platform, process.arch, process.env.CXX, ...extra]);
  const release = at('packages', name, 'build/Release');
  const addonIsThere = existsSync(release) && readdirSync(release).some((file) => file.endsWith('.node'));
  if (addonIsThere && unchanged(`addon ${name}`, hash, [])) return 'unchanged';
  const absent = await absentTools();
  if (absent.length > 0) {
    const mend = `install ${absent.join(' and ')} (on Debian: apt-get install ${absent.join(' ')})`;
    missing.push({ what: `the addon of @mdt/${name} was not built, for want of ${absent.join(' and ')}`, instead, mend });
    return 'not built';
  }
  remember(`addon ${name}`, undefined);
  say('compiles, which can take minutes the first time');
  const { code, output } = await run(process.execPath, [script], { cwd: at('packages', name) });
  if (code !== 0)
    throw new SetupError(`The addon of @mdt/${name} does not build; the last words of its build:\n${tail(output, 40)}`);
  remember(`addon ${name}`, hash);
  return 'built';
}

/** Whether this machine has a GPU of NVIDIA's that it may use. */
const hasGpu = async () => existsSync('/dev/nvidia0') || (await run('nvidia-smi', ['--list-gpus'])).code === 0;

/** Builds the CUDA ops of @mdt/native-ops where they can be compiled and can run; elsewhere nothing asks for them. */
async function buildCudaOps(nvcc, say) {
  const own = ['csrc', 'scripts'].map((part) => at('packages/native-ops', part));
  const archs = cudaArchs().join(', ');
  const hash = hashOf(own, [process.platform, process.arch, nvcc, archs]);
  const binary = at('packages/native-ops/build/Release/mdt_native_ops_cuda.node');
  if (unchanged('cuda ops', hash, [binary])) return 'unchanged';
  remember('cuda ops', undefined);
  say('compiles, which can take minutes the first time');
  const { code, output } = await run(process.execPath, [at('packages/native-ops/scripts/build-cuda.mjs')]);
  if (code !== 0) {
    missing.push({
      what: 'the CUDA ops of @mdt/native-ops were not built',
      instead: 'RoIAlign on CUDA tensors is composed of TensorFlow.js ops, which is slower',
      mend: 'see why: node packages/native-ops/scripts/build-cuda.mjs --verbose',
    });
    say(tail(output, 10));
    return 'not built';
  }
  remember('cuda ops', hash);
  return `built for ${archs}`;
}

async function provideData(names, say) {
  const { fetchData } = await import('./data.mjs');
  const changed = await fetchData(names, { log: say }).catch((error) => {
    throw new SetupError(`The data sets ${names.join(', ')} are not there: ${error.message}.`);
  });
  return changed ? 'ready' : 'unchanged';
}

async function provideTools() {
  const { provideOnnxTools } = await import('./setup/python.mjs');
  return (await provideOnnxTools()) ? 'installed' : 'unchanged';
}

async function setUp({ data, withLibtorch, withOnnxTools }) {
  await step(`node ${process.versions.node}`, () => {
    checkNode();
    return 'fine';
  });
  const { packageManager } = readJson(at('package.json'));
  await step(`package manager ${packageManager}, into .mdt/tools`, () => installPnpm(packageManager));
  await step('dependencies, with pnpm', installDependencies);
  if (withLibtorch) await step('libtorch', findLibtorch);
  const fallback = { sources: [], instead: 'its TypeScript twins are used, which are slower' };
  await step('native addon of @mdt/native-ops', (say) => buildAddon('native-ops', fallback, say));
  const nvcc = findNvcc();
  if (nvcc && (await hasGpu()))
    await step('CUDA ops of @mdt/native-ops, as here are nvcc and a GPU', (say) => buildCudaOps(nvcc, say));
  const torch = readJsonOr(at('.mdt/libtorch.json'), undefined);
  if (withLibtorch && torch) {
    const extra = [torch.path, torch.version, torch.cuda];
    const options = { sources: [at('packages/native-ops/csrc')], extra, instead: slowerBackend };
    await step(`native addon of @mdt/tfjs-torch, on libtorch ${torch.version}`, (say) => buildAddon('tfjs-torch', options, say));
  }
  await step('packages, with tsup', async () => {
    const { built, count } = await buildPackages();
    return built.length === 0 ? 'unchanged' : `built ${built.length} of ${count} (${built.join(', ')})`;
  });
  if (withOnnxTools) await step("onnxruntime's tools for Python, into .mdt/onnx-tools", provideTools);
  if (data.length > 0) await step(`data sets ${data.join(', ')}`, (say) => provideData(data, say));
}

function options() {
  try {
    const { values } = parseArgs({
      options: {
        data: { type: 'string', default: '' },
        'no-libtorch': { type: 'boolean' },
        'onnx-tools': { type: 'boolean', default: false },
      },
    });
    const data = values.data.split(',').filter(Boolean);
    return { data, withLibtorch: !values['no-libtorch'], withOnnxTools: values['onnx-tools'] };
  } catch (error) {
    throw new SetupError(`${error.message}. Known options: --data NAME,NAME…, --no-libtorch and --onnx-tools.`);
  }
}

const started = performance.now();
try {
  checkNode();
  const wanted = options();
  const release = await lock();
  await setUp(wanted);
  release();
  const seconds = ((performance.now() - started) / 1000).toFixed(1);
  const without = wanted.withLibtorch ? '' : `, without libtorch, as asked: ${slowerBackend}`;
  console.log(`setup: ready after ${seconds} s${missing.length > 0 ? ', but not whole:' : `${without}.`}`);
  for (const { what, instead, mend } of missing) {
    console.log(`setup: ${what}: ${instead}. To change that, ${mend}, and run npm run setup.`);
  }
} catch (error) {
  if (!(error instanceof SetupError)) throw error;
  console.error(`\nsetup: not ready. ${error.message}`);
  process.exit(1);
}
