// npm run bench -- NAME [options]: sets up, then runs benchmarks/NAME.ts, which takes the options.
// npm run bench -- check: compares the PyTorch twin that the benchmarks use as a peer with the recordings of the original.
import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { peerPath } from './setup/python.mjs';
import { at, root, SetupError } from './setup/workspace.mjs';

const [name, ...rest] = process.argv.slice(2);
// A benchmark is a file of the folder that calls `benchmark(…)`; the others are its parts.
const known = readdirSync(at('benchmarks'))
  .filter((file) => file.endsWith('.ts') && /^ *await benchmark\(/m.test(readFileSync(at('benchmarks', file), 'utf8')))
  .map((file) => file.slice(0, -'.ts'.length));
if (!name || ![...known, 'check'].includes(name)) {
  console.error(`Usage: npm run bench -- NAME [options], where NAME is one of: ${known.join(', ')}, check.`);
  process.exit(2);
}
const original = process.env.MDT_ORIGINAL && resolve(process.env.MDT_ORIGINAL);
if (original && !existsSync(`${original}/models/retina_unet.py`)) {
  console.error(
    `MDT_ORIGINAL=${original} is no checkout of the Python medicaldetectiontoolkit: it has no models/retina_unet.py.`,
  );
  process.exit(2);
}
const setUp = spawnSync(process.execPath, [at('scripts/setup.mjs')], { cwd: root, stdio: 'inherit' });
if (setUp.status !== 0) process.exit(setUp.status ?? 1);
try {
  const env = {
    ...process.env,
    PYTHONPATH: await peerPath({ original: Boolean(original), benchmark: name }),
    PYTHONDONTWRITEBYTECODE: '1',
    TSX_TSCONFIG_PATH: at('tsconfig.base.json'), // without the paths of tsconfig.json: what is timed are the built packages
    ...(original ? { MDT_ORIGINAL: original } : {}),
  };
  const [command, ...args] =
    name === 'check'
      ? ['python3', at('benchmarks/peers/plain_torch.py'), '--check', at('reference')]
      : [process.execPath, '--import', 'tsx', at('benchmarks', `${name}.ts`), ...rest];
  const { status } = spawnSync(command, args, { cwd: root, stdio: 'inherit', env });
  process.exit(status ?? 1);
} catch (error) {
  if (!(error instanceof SetupError)) throw error;
  console.error(`bench: ${error.message}`);
  process.exit(1);
}
