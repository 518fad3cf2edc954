// What runs the notebooks: Jupyter's nbconvert from pip and the TypeScript kernel tslab from npm, in .mdt/notebooks.
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { at, remember, run, SetupError, tail, unchanged, writeJson } from './workspace.mjs';

const python = 'nbconvert==7.17.2';
const kernel = 'tslab@1.0.22';
const folder = at('.mdt/notebooks');

/**
 * Installs what is missing; nothing where it is there.
 *
 * @returns {Promise<{ env: Record<string, string> }>} what the environment of nbconvert needs
 */
export async function provideNotebooks() {
  const env = { PYTHONPATH: join(folder, 'python'), JUPYTER_PATH: join(folder, 'jupyter'), JUPYTER_PLATFORM_DIRS: '1' };
  const { output } = await run('python3', ['--version']);
  const hash = [output.trim(), python, kernel, process.execPath].join(' ');
  const needed = [join(folder, 'python/nbconvert'), join(folder, 'node_modules/tslab')];
  if (unchanged('notebooks', hash, needed)) return { env };
  remember('notebooks', undefined);
  mkdirSync(folder, { recursive: true });
  const pip = { PIP_USER: '0', PIP_NO_INPUT: '1', PIP_DISABLE_PIP_VERSION_CHECK: '1' };
  const args = ['-m', 'pip', 'install', '--upgrade', '--target', join(folder, 'python'), python];
  const installed = await run('python3', args, { env: pip });
  if (installed.code !== 0) throw new SetupError(`pip could not install ${python}:\n${tail(installed.output)}`);
  writeJson(join(folder, 'package.json'), { private: true });
  const npm = await run('npm', ['install', '--prefix', folder, '--no-audit', '--no-fund', '--save-exact', kernel], {
    cwd: folder,
  });
  if (npm.code !== 0) throw new SetupError(`npm could not install ${kernel}:\n${tail(npm.output)}`);
  const spec = join(folder, 'jupyter/kernels/tslab');
  mkdirSync(spec, { recursive: true });
  const argv = [process.execPath, join(folder, 'node_modules/tslab/bin/tslab'), 'kernel', '--config-path', '{connection_file}'];
  writeFileSync(join(spec, 'kernel.json'), JSON.stringify({ argv, display_name: 'TypeScript', language: 'typescript' }));
  remember('notebooks', hash);
  return { env };
}
