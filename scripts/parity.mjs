// npm run parity -- [DIR] [--verbose]: compares what the packages compute with recordings of the original toolkit.
import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
const tsx = fileURLToPath(new URL('../node_modules/tsx/dist/cli.mjs', import.meta.url));
const child = spawn(
  process.execPath,
  [tsx, '--tsconfig', `${root}tsconfig.json`, `${root}checks/parity/run.ts`, ...process.argv.slice(2)],
  {
    stdio: 'inherit',
  },
);
child.on('close', (code) => process.exit(code ?? 1));
