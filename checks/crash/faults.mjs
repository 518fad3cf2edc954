// Makes one operation on the files of a run folder go wrong. Loaded before a command (`--import`), it takes its orders from the environment:
// MDT_FAULT says which operation, counted from 1, and how, as in "kill:17", MDT_FAULT_DIR says which folder. Within a process: `arm`.
//
// kill    the process ends without a word before that operation
// half    the same after half of it, if it writes
// die     from that operation on nothing reaches the disk any more: what is there is what a kill would have left
// diehalf the same after half of it
// ENOSPC  it fails as a full disk does
import fs from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';

let [kind, at, runDir] = ['none', 0, ''];
let operations = '';
let isDead = false;

/** From now on the `at`th operation in the folder `dir` goes wrong. */
export function arm(fault, dir) {
  const [name, number] = fault.split(':');
  [kind, at, runDir] = [name, Number(number), dir];
  operations = '';
  isDead = false;
}

/** A character for each operation so far: `w` for a write, which has halves, else `.`. */
export const counted = () => operations;

if (process.env.MDT_FAULT) arm(process.env.MDT_FAULT, process.env.MDT_FAULT_DIR ?? '');

const dead = () => new Error('the process is dead');

/** Counts one operation, and says whether its turn to go wrong has come. */
function isDue(hasHalves) {
  if (isDead) throw dead();
  operations += hasHalves ? 'w' : '.';
  return operations.length === at;
}

const doesHalf = () => kind === 'half' || kind === 'diehalf';

function fail() {
  if (kind === 'half' || kind === 'kill') process.kill(process.pid, 'SIGKILL');
  if (kind === 'ENOSPC') throw Object.assign(new Error('ENOSPC: no space left on device, write'), { code: 'ENOSPC', errno: -28 });
  isDead = kind === 'die' || kind === 'diehalf';
  if (isDead) throw dead();
}

/** One operation; `half` does the first half of it. */
async function step(half) {
  if (!isDue(half !== undefined)) return;
  if (doesHalf() && half) await half();
  fail();
}

const inRun = (path) => runDir !== '' && String(path).startsWith(runDir);

for (const name of ['rename', 'rm', 'mkdir']) {
  const original = fs.promises[name];
  fs.promises[name] = async (path, ...rest) => {
    if (inRun(path)) await step();
    return original(path, ...rest);
  };
}

// What is only for the eye, and the log, is written synchronously.
for (const name of ['writeFileSync', 'appendFileSync', 'renameSync', 'mkdirSync']) {
  const original = fs[name];
  fs[name] = (path, data, ...rest) => {
    const hasHalves = name === 'writeFileSync' || name === 'appendFileSync';
    if (inRun(path) && isDue(hasHalves)) {
      if (doesHalf() && hasHalves) original(path, data.slice(0, data.length >> 1), ...rest);
      fail();
    }
    return original(path, data, ...rest);
  };
}

const open = fs.promises.open;
fs.promises.open = async (path, flags, ...rest) => {
  const writes = typeof flags === 'string' && /[wa+]/.test(flags);
  if (inRun(path) && writes) await step();
  const handle = await open(path, flags, ...rest);
  if (!inRun(path)) return handle;
  for (const name of ['writeFile', 'appendFile', 'sync']) {
    const original = handle[name].bind(handle);
    handle[name] = async (data, ...options) => {
      await step(data?.length > 1 ? () => original(data.slice(0, data.length >> 1), ...options) : undefined);
      return original(data, ...options);
    };
  }
  return handle;
};

syncBuiltinESMExports();
