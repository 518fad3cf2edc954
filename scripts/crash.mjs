// npm run crash -- [--kills N] [--faults N|all] [--jobs N] [--seed S]: kills trainings, goes on with them, and compares the outcomes.
import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
const tsx = fileURLToPath(new URL('../node_modules/tsx/dist/cli.mjs', import.meta.url));
const args = [tsx, '--tsconfig', `${root}tsconfig.json`, `${root}checks/crash/run.ts`, ...process.argv.slice(2)];
const child = spawn(process.execPath, args, { stdio: 'inherit' });
child.on('close', (code) => process.exit(code ?? 1));
