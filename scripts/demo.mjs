// Sets up what is missing, then runs the demo: node scripts/demo.mjs [--toy TASK] [--3d] [--ct] [--minutes N] [--seed N] [--out DIR] [--quick]
import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
const args = process.argv.slice(2);
const has = (name) => args.includes(name);
// No path mapping to sources: the demo uses the built packages, as a user would.
const env = { ...process.env, TSX_TSCONFIG_PATH: join(root, 'examples', 'tsconfig.json') };

/** Runs Node on a script and passes on what should stop it. */
function node(...argv) {
  const child = spawn(process.execPath, argv, { cwd: root, stdio: 'inherit', env });
  const pass = (signal) => child.kill(signal);
  process.on('SIGINT', pass).on('SIGTERM', pass);
  return new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('exit', (code, signal) => {
      process.off('SIGINT', pass).off('SIGTERM', pass);
      resolve(signal ? 130 : code);
    });
  });
}

const data = has('--toy') || has('--help') ? undefined : has('--ct') ? 'ct' : has('--3d') ? 'nuclei-3d' : 'nuclei-2d';
const setup = has('--help') ? 0 : await node(join(root, 'scripts', 'setup.mjs'), ...(data ? ['--data', data] : []));
process.exitCode = setup || (await node('--import', 'tsx', join(root, 'examples', 'src', 'demo.ts'), ...args));
