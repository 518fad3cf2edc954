// Finds libtorch: MDT_LIBTORCH, the torch of python3, a copy of our own that pip installs into .mdt/libtorch.
import { existsSync, readdirSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { at, readJsonOr, run, SetupError, tail, writeJson } from './workspace.mjs';

/** The version that set-up installs. */
const pinned = '2.13.0';
/** Versions that the addon was compiled and tested with, both ends included. */
const tested = { from: '2.11', to: '2.13' };
const testedRange = `${tested.from} to ${tested.to}`;
/** Sizes of the pinned version, as pip loads them. */
const size = { cpu: 'about 190 MB to load, 0.8 GB on disk', other: 'up to 1 GB to load where it is the CUDA build' };

const noteFile = at('.mdt/libtorch.json');
const ownFolder = at('.mdt/libtorch');
const pipEnvironment = { PIP_USER: '0', PIP_NO_INPUT: '1', PIP_DISABLE_PIP_VERSION_CHECK: '1', PYTHONUNBUFFERED: '1' };

/**
 * The libtorch to build against, `{ path, version, cuda, source }`, written to .mdt/libtorch.json for the addon's build;
 * or `{ missing, mend }`, what is not there and what to do, when there is none and none can be installed.
 */
export async function provideLibtorch({ say }) {
  const found = await find(say);
  if ('missing' in found) {
    rmSync(noteFile, { force: true });
    return found;
  }
  const note = { path: found.path, version: found.version, cuda: found.cuda };
  if (JSON.stringify(readJsonOr(noteFile, {})) !== JSON.stringify(note)) writeJson(noteFile, note);
  return found;
}

async function find(say) {
  const asked = process.env.MDT_LIBTORCH;
  if (asked) {
    const given = inspect(resolve(asked));
    if (!given) {
      throw new SetupError(
        `MDT_LIBTORCH=${asked} holds no libtorch: expected the folders lib and include in it, or in torch below it.`,
      );
    }
    if (!inRange(given.version)) {
      throw new SetupError(`MDT_LIBTORCH=${asked} is libtorch ${given.version}: the addon is tested with ${testedRange}.`);
    }
    return { ...given, source: 'MDT_LIBTORCH' };
  }
  const ofPython = await torchOfPython();
  if (ofPython && inRange(ofPython.version)) return { ...ofPython, source: 'the torch of python3' };
  if (ofPython) say(`the torch ${ofPython.version} of python3 is passed over: the addon is tested with ${testedRange}`);
  const own = inspect(ownFolder);
  if (own && inRange(own.version)) return { ...own, source: '.mdt/libtorch' };
  const installed = await installLibtorch({ version: pinned, folder: ownFolder, say });
  return 'missing' in installed ? installed : { ...installed, source: 'pip, into .mdt/libtorch' };
}

/** A libtorch in `folder` (the torch package itself, its parent, or an unpacked libtorch archive), or undefined. */
function inspect(folder) {
  for (const path of [folder, join(folder, 'torch')]) {
    const library = ['libtorch_cpu.so', 'libtorch_cpu.dylib', 'torch_cpu.dll'].some((name) =>
      existsSync(join(path, 'lib', name)),
    );
    if (!library || !existsSync(join(path, 'include/ATen/ATen.h'))) continue;
    const python = join(path, 'version.py');
    const archive = join(path, 'build-version');
    if (existsSync(python)) {
      const text = readFileSync(python, 'utf8');
      const version = /^__version__ = ['"]([^'"]+)['"]/m.exec(text)?.[1] ?? 'unknown';
      return { path, version, cuda: /^cuda\b.*= ['"]([^'"]+)['"]/m.exec(text)?.[1] ?? null };
    }
    const version = existsSync(archive) ? readFileSync(archive, 'utf8').trim() : 'unknown';
    return { path, version, cuda: /\+cu(\d+)(\d)$/.exec(version)?.slice(1).join('.') ?? null };
  }
  return undefined;
}

function inRange(version) {
  const rank = (text) => {
    const [major = 0, minor = 0] = text.split('.').map(Number);
    return major * 1000 + minor;
  };
  return rank(version) >= rank(tested.from) && rank(version) <= rank(tested.to);
}

/** The torch that python3 would import, found without importing it. */
async function torchOfPython() {
  const script = "import importlib.util as u; s = u.find_spec('torch'); print(s.submodule_search_locations[0] if s else '')";
  const { code, output } = await run('python3', ['-c', script], { cwd: at('.mdt') });
  const path = output.trim().split('\n').at(-1);
  return code === 0 && path ? inspect(path) : undefined;
}

/** Lets pip install a version into `folder`, the CPU build where it can be had; nothing happens where it lies there already. */
export async function installLibtorch({ version, folder, say }) {
  const before = inspect(folder);
  if (before?.version.split('+')[0] === version) return before;
  const python = await run('python3', ['-m', 'pip', '--version']);
  if (python.code !== 0) {
    const mend = 'install pip (on Debian: apt-get install python3-pip), or set MDT_LIBTORCH to a libtorch';
    return { missing: 'libtorch is missing, and python3 has no pip to install it with', mend };
  }
  const partial = `${folder}.partial`;
  const pip = (...wanted) => {
    const args = ['-m', 'pip', 'install', '--upgrade', '--no-warn-script-location', '--target', partial, ...wanted];
    return run('python3', args, {
      env: pipEnvironment,
      onLine: (line) => /^\s*Downloading .*\(.*B\)/.test(line) && say(line.trim()),
    });
  };
  rmSync(partial, { recursive: true, force: true });
  say(`pip loads libtorch: torch ${version}+cpu, ${size.cpu}`);
  let outcome = await pip('--no-deps', `torch==${version}+cpu`);
  if (outcome.code !== 0) {
    say(`no CPU-only wheel to be had; pip loads torch ${version}, ${size.other}`);
    outcome = await pip('--no-deps', `torch==${version}`);
  }
  let got = outcome.code === 0 ? inspect(partial) : undefined;
  if (got?.cuda) {
    say(`it is the build for CUDA ${got.cuda}: pip loads the NVIDIA libraries that it links to, several GB`);
    outcome = await pip(...nvidiaRequirements(partial));
    if (outcome.code !== 0) got = undefined;
  }
  if (!got) {
    rmSync(partial, { recursive: true, force: true });
    say(`pip's last words:\n${tail(outcome.output, 4)}`);
    const mend = 'see to pip, or set MDT_LIBTORCH to a libtorch';
    return { missing: `libtorch is missing, and pip could not install torch ${version}`, mend };
  }
  rmSync(folder, { recursive: true, force: true });
  renameSync(partial, folder);
  return inspect(folder);
}

/** What the installed torch says it needs from NVIDIA, as pip requirements. */
function nvidiaRequirements(folder) {
  const information = readdirSync(folder).find((name) => /^torch-.*\.dist-info$/.test(name));
  if (!information) return [];
  return readFileSync(join(folder, information, 'METADATA'), 'utf8')
    .split('\n')
    .filter((line) => /^Requires-Dist: (nvidia-|cuda-toolkit)/.test(line))
    .map((line) => line.slice('Requires-Dist: '.length));
}
