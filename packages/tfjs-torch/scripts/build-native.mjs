// Builds build/Release/mdt_tfjs_torch.node with node-gyp.
import { spawnSync } from 'node:child_process';
import { existsSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { availableParallelism } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { findLibtorch, testedVersions } from './libtorch-path.mjs';
import { precompileHeader } from './precompiled-header.mjs';

const here = resolve(dirname(fileURLToPath(import.meta.url)), '..');

function fail(sentence) {
  console.error(`tfjs-torch: ${sentence}`);
  process.exit(1);
}

const has = (program) => spawnSync(program, ['--version'], { stdio: 'ignore' }).status === 0;

/** Where node_api.h is: beside the running Node, else the node-api-headers package. */
function nodeHeaders() {
  const prefix = resolve(dirname(process.execPath), '..');
  if (existsSync(join(prefix, 'include/node/node_api.h'))) return { nodedir: prefix };
  const require = createRequire(import.meta.url);
  return { include: require('node-api-headers').include_dir };
}

const libtorch = findLibtorch();
if (!libtorch) fail('no libtorch found; run `npm run setup`, or set MDT_LIBTORCH to a folder with include/ and lib/.');
const minor = /^2\.(\d+)\./.exec(libtorch.version)?.[1];
if (minor === undefined || Number(minor) < 11 || Number(minor) > 13) {
  fail(
    `libtorch ${libtorch.version} at ${libtorch.path} is outside the tested range ${testedVersions.from} to ${testedVersions.to}.`,
  );
}
if (process.platform === 'linux') {
  if (!has('g++')) fail('g++ is missing; on Debian: apt-get install g++ make');
  if (!has('make')) fail('make is missing; on Debian: apt-get install g++ make');
  if (!has('python3')) fail('python3 is missing; on Debian: apt-get install python3');
}

const require = createRequire(import.meta.url);
const gyp = join(dirname(require.resolve('node-gyp/package.json')), 'bin/node-gyp.js');
const headers = nodeHeaders();
const args = ['--release'];
const env = { ...process.env };
if (process.platform === 'win32') {
  // An addon links to node.lib there, which node-gyp fetches with the headers.
} else if (headers.nodedir) {
  args.push(`--nodedir=${headers.nodedir}`);
} else {
  // node-gyp must not fetch headers: the Node-API's alone are enough.
  args.push(`--nodedir=${headers.include}`);
  env.CPLUS_INCLUDE_PATH = [headers.include, env.CPLUS_INCLUDE_PATH].filter(Boolean).join(':');
}
console.log(`tfjs-torch: compiling against libtorch ${libtorch.version}`);
function nodeGyp(...command) {
  const result = spawnSync(process.execPath, [gyp, ...command, ...args], {
    cwd: here,
    env,
    encoding: 'utf8',
    maxBuffer: 2 ** 28,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  if (result.status === 0) return;
  console.error(result.stdout.slice(-4000) + result.stderr.slice(-8000));
  fail('the addon did not compile; the compiler’s messages stand above.');
}
nodeGyp('configure');
if (process.platform === 'linux') precompileHeader(here);
nodeGyp('build', '-j', String(availableParallelism()));
// Windows finds libraries by PATH alone: binding.ts reads where they are.
writeFileSync(join(here, 'build/Release/libtorch.json'), JSON.stringify({ path: libtorch.path }));
console.log('tfjs-torch: build/Release/mdt_tfjs_torch.node is ready');
