// Prints the folder of libtorch (with include/ and lib/) that the addon is built against, in the order in which it is looked
// for: MDT_LIBTORCH, the record that set-up left, the torch of python3, the copy in the checkout.
import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = resolve(dirname(fileURLToPath(import.meta.url)), '../../..');
export const testedVersions = { from: '2.11', to: '2.13' };

const whole = (path) => existsSync(join(path, 'include/ATen/ATen.h')) && existsSync(join(path, 'lib'));

/** { path, version } of libtorch, or undefined. */
export function findLibtorch() {
  const candidates = [];
  if (process.env.MDT_LIBTORCH) candidates.push(process.env.MDT_LIBTORCH);
  try {
    candidates.push(JSON.parse(readFileSync(join(root, '.mdt/libtorch.json'), 'utf8')).path);
  } catch {}
  try {
    const find = 'import importlib.util as u; s = u.find_spec("torch"); print(s.submodule_search_locations[0] if s else "")';
    candidates.push(
      execFileSync(process.platform === 'win32' ? 'python' : 'python3', ['-c', find], {
        encoding: 'utf8',
        stdio: ['ignore', 'pipe', 'ignore'],
      }).trim(),
    );
  } catch {}
  candidates.push(join(root, '.mdt/libtorch/torch'));
  for (const path of candidates.filter(Boolean)) {
    if (!whole(path)) continue;
    let version = 'unknown';
    try {
      version = /__version__ = '([^']+)'/.exec(readFileSync(join(path, 'version.py'), 'utf8'))?.[1] ?? version;
    } catch {
      try {
        version = readFileSync(join(path, 'build-version'), 'utf8').trim();
      } catch {}
    }
    return { path: resolve(path), version };
  }
  return undefined;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const found = findLibtorch();
  if (!found) {
    console.error('tfjs-torch: no libtorch found; run `npm run setup`, or set MDT_LIBTORCH to a folder with include/ and lib/.');
    process.exit(1);
  }
  process.stdout.write(found.path);
}
