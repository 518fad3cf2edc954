// Builds build/Release/mdt_native_ops.node:  node packages/native-ops/scripts/build-native.mjs
import { spawnSync } from 'node:child_process';
import { existsSync, realpathSync } from 'node:fs';
import { createRequire } from 'node:module';
import { availableParallelism } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { nodeHeaders } from './node-headers.mjs';

const root = dirname(dirname(fileURLToPath(import.meta.url)));

/** The tools that node-gyp calls, as it looks them up: one of `commands` must answer. */
const tools = [
  { name: 'a C++ compiler (g++)', commands: [process.env.CXX, 'g++', 'c++', 'clang++'] },
  { name: 'make', commands: [process.env.MAKE, 'make', 'gmake'] },
  { name: 'Python 3', commands: [process.env.NODE_GYP_FORCE_PYTHON, process.env.PYTHON, 'python3', 'python'] },
];

/** Names of the tools that are missing here. */
export function missingTools() {
  if (process.platform === 'win32') return [];
  const answers = (command) => command && spawnSync(command, ['--version'], { stdio: 'ignore', shell: false }).status === 0;
  return tools.filter(({ commands }) => !commands.some(answers)).map(({ name }) => name);
}

/** node-gyp as a dependency, as the package manager brings it to install scripts, or as npm has it beside Node. */
function findNodeGyp() {
  const besideNode = join(dirname(dirname(process.execPath)), 'lib/node_modules/npm/node_modules/node-gyp/bin/node-gyp.js');
  try {
    return createRequire(import.meta.url).resolve('node-gyp/bin/node-gyp.js');
  } catch {
    return [process.env.npm_config_node_gyp, besideNode].find((path) => path && existsSync(path));
  }
}

/**
 * Compiles the addon; what is up to date is not compiled again.
 *
 * @param {{ verbose?: boolean, headersPrefix?: string }} options
 * @returns {string} the path of the binary
 * @throws Error with one sentence that says what is missing, or with the end of the compiler's output
 */
export function buildNative({ verbose = false, headersPrefix } = {}) {
  const missing = missingTools();
  if (missing.length > 0) {
    throw new Error(
      `native-ops: cannot compile the addon without ${missing.join(' and ')}; on Debian: apt-get install g++ make python3`,
    );
  }
  const nodeGyp = findNodeGyp();
  if (!nodeGyp) throw new Error('native-ops: cannot compile the addon without node-gyp; npm install node-gyp');
  const nodedir = nodeHeaders(join(root, 'node_modules', '.cache', 'node-headers'), headersPrefix);
  const args = [nodeGyp, 'configure', 'build', '--release', `--nodedir=${nodedir}`, `--jobs=${availableParallelism()}`];
  const { status, stdout, stderr } = spawnSync(process.execPath, args, {
    cwd: root,
    encoding: 'utf8',
    stdio: verbose ? 'inherit' : 'pipe',
    maxBuffer: 64 * 1024 * 1024,
  });
  const binary = join(root, 'build', 'Release', 'mdt_native_ops.node');
  if (status !== 0 || !existsSync(binary)) {
    const output = `${stdout ?? ''}${stderr ?? ''}`.trim().split('\n').slice(-40).join('\n');
    throw new Error(`native-ops: compiling the addon failed.\n${output}`.trim());
  }
  return binary;
}

if (process.argv[1] && realpathSync(process.argv[1]) === fileURLToPath(import.meta.url)) {
  try {
    console.log(`built ${buildNative({ verbose: process.argv.includes('--verbose') })}`);
  } catch (error) {
    console.error(error.message);
    process.exitCode = 1;
  }
}
