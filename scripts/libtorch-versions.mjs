// Compiles the addon of @mdt/tfjs-torch against the oldest libtorch that it supports and runs tests of it on that, CUDA's
// libtorch where no other is to be had. The newest one is what set-up installs and every other test runs on.
//
//   node scripts/libtorch-versions.mjs [vitest's arguments]
import { spawnSync } from 'node:child_process';
import { compileAddon } from './setup/addon.mjs';
import { installLibtorch } from './setup/libtorch.mjs';
import { at, SetupError } from './setup/workspace.mjs';

const oldest = '2.11.0';
const smoke = ['tensors', 'conv', 'linear', 'options', 'memory'].map((name) => `packages/tfjs-torch/test/${name}.test.ts`);

try {
  const folder = at('.mdt', `libtorch-${oldest}`);
  const found = await installLibtorch({ version: oldest, folder, say: (line) => console.log(line) });
  if ('missing' in found) throw new SetupError(`${found.missing}: ${found.mend}`);
  console.log(`libtorch ${found.version}${found.cuda ? `, built for CUDA ${found.cuda}` : ''}: compiling`);
  const addon = await compileAddon({ folder: `${folder}-addon`, libtorch: found.path, flags: ['-O2'] });
  const wanted = process.argv.slice(2);
  const vitest = [at('node_modules/vitest/vitest.mjs'), 'run', ...(wanted.length > 0 ? wanted : smoke)];
  const env = { ...process.env, MDT_TFJS_TORCH_ADDON: addon };
  process.exit(spawnSync(process.execPath, vitest, { cwd: at('.'), stdio: 'inherit', env }).status ?? 1);
} catch (error) {
  if (!(error instanceof SetupError)) throw error;
  console.error(`libtorch-versions: ${error.message}`);
  process.exit(1);
}
