// npm run learn -- [--detectors A,B] [--tasks A,B] [--seeds A,B] [--out DIR]; --help says more.
import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';

const at = (path) => fileURLToPath(new URL(`../${path}`, import.meta.url));
const args = [at('node_modules/tsx/dist/cli.mjs'), '--tsconfig', at('tsconfig.json'), at('benchmarks/learn.ts')];
spawn(process.execPath, [...args, ...process.argv.slice(2)], { stdio: 'inherit' }).on('close', (code) => process.exit(code ?? 1));
