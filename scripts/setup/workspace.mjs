// What the set-up steps share: the checkout's root, hashes of inputs, the state of the last run, running commands.
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

/** The root of the checkout. */
export const root = resolve(dirname(fileURLToPath(import.meta.url)), '../..');

/** A path inside the checkout. */
export const at = (...parts) => join(root, ...parts);

/** A failure that ends set-up; its message is a sentence for the user. */
export class SetupError extends Error {
  name = 'SetupError';
}

/** All files below `path` (or `path` itself), sorted; build outputs and installed packages are left out. */
export function filesBelow(path) {
  if (!existsSync(path)) return [];
  if (!statSync(path).isDirectory()) return [path];
  return readdirSync(path)
    .filter((name) => !['node_modules', 'dist', 'build', '__pycache__'].includes(name))
    .sort()
    .flatMap((name) => filesBelow(join(path, name)));
}

/** Hash of the names and contents of files (folders are walked) and of any extra strings. */
export function hashOf(paths, extra = [], { without = /\.test\.ts$/ } = {}) {
  const hash = createHash('sha256');
  for (const file of paths.flatMap(filesBelow)) {
    if (without.test(file)) continue;
    hash.update(relative(root, file)).update('\0').update(readFileSync(file)).update('\0');
  }
  for (const value of extra) hash.update(String(value)).update('\0');
  return hash.digest('hex').slice(0, 32);
}

export const readJson = (path) => JSON.parse(readFileSync(path, 'utf8'));

/** Reads JSON, or gives `otherwise` when the file is absent or damaged. */
export function readJsonOr(path, otherwise) {
  try {
    return readJson(path);
  } catch {
    return otherwise;
  }
}

/** Writes JSON so that a reader sees the old file or the new one, never a part. */
export function writeJson(path, value) {
  mkdirSync(dirname(path), { recursive: true });
  const partial = `${path}.${process.pid}.partial`;
  writeFileSync(partial, `${JSON.stringify(value, null, 2)}\n`);
  renameSync(partial, path);
}

const statePath = at('.mdt/setup.json');
const state = readJsonOr(statePath, {});

/** Whether step `key` last ended well with the same `hash` and all its outputs are still there. */
export function unchanged(key, hash, outputs) {
  return state[key] === hash && outputs.every((path) => existsSync(path));
}

/** Notes that step `key` ended well; `undefined` forgets it. */
export function remember(key, hash) {
  if (hash === undefined) delete state[key];
  else state[key] = hash;
  writeJson(statePath, state);
}

/** The environment of a shell: without what `npm run` adds, which would steer the package managers that we start. */
export function cleanEnvironment(extra = {}) {
  const env = { ...process.env, ...extra };
  for (const name of Object.keys(env)) {
    if (/^npm_(lifecycle|package|command|execpath|node_execpath)/i.test(name)) delete env[name];
    if (/^npm_config_(local_prefix|global_prefix|prefix|node_gyp|noproxy|user_agent)$/i.test(name)) delete env[name];
  }
  return env;
}

/**
 * Runs a command and waits; `{ code, output }` with stdout and stderr together. `onLine` sees each line as it comes.
 * A command that cannot be started gives code 127.
 */
export function run(command, args, { cwd = root, env = {}, onLine = () => {} } = {}) {
  return new Promise((done) => {
    const child = spawn(command, args, { cwd, env: cleanEnvironment(env), stdio: ['ignore', 'pipe', 'pipe'] });
    let output = '';
    for (const stream of [child.stdout, child.stderr]) {
      let rest = '';
      stream.setEncoding('utf8');
      stream.on('data', (text) => {
        output += text;
        const lines = (rest + text).split('\n');
        rest = lines.pop() ?? '';
        lines.forEach(onLine);
      });
    }
    child.on('error', (error) => done({ code: 127, output: String(error) }));
    child.on('close', (code, signal) => done({ code: code ?? (signal ? 128 : 1), output }));
  });
}

/** The last lines of a command's output, indented, for an error message; node-gyp's chatter is left out. */
export function tail(output, lines = 25) {
  return output
    .trimEnd()
    .split('\n')
    .filter((line) => !/^gyp (info|http|verb)/.test(line))
    .slice(-lines)
    .map((line) => `    ${line}`)
    .join('\n');
}

/** Holds the set-up of this checkout for one process at a time; returns the release function. */
export async function lock() {
  const folder = at('.mdt/setup.lock');
  mkdirSync(at('.mdt'), { recursive: true });
  for (let told = false; ; ) {
    try {
      mkdirSync(folder);
      break;
    } catch (error) {
      if (error.code !== 'EEXIST') throw error;
    }
    const holder = Number(readJsonOr(join(folder, 'pid.json'), 0));
    const age = Date.now() - (statSync(folder, { throwIfNoEntry: false })?.mtimeMs ?? Date.now());
    if (holder ? !isRunning(holder) : age > 5000) {
      rmSync(folder, { recursive: true, force: true });
      continue;
    }
    if (!told) console.log(`setup: waiting for another set-up of this checkout (process ${holder || 'unknown'})`);
    told = true;
    await new Promise((resume) => setTimeout(resume, 300));
  }
  writeFileSync(join(folder, 'pid.json'), String(process.pid));
  const release = () => rmSync(folder, { recursive: true, force: true });
  process.once('exit', release);
  for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => process.exit(130));
  return release;
}

function isRunning(pid) {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return error.code === 'EPERM';
  }
}
