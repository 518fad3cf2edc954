// npm run docs:config: writes docs/config.md from the table that checks configurations.
import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';

const at = (path) => fileURLToPath(new URL(`../${path}`, import.meta.url));
const args = [at('node_modules/tsx/dist/cli.mjs'), '--tsconfig', at('tsconfig.json'), at('checks/config-docs.ts')];
spawn(process.execPath, args, { stdio: 'inherit' }).on('close', (code) => process.exit(code ?? 1));
