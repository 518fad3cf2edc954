// Loaded before the command: makes one file operation go wrong. MDT_FAULT says which, counted from 1, and how: "kill:17" ends the
// process without a word before its 17th operation, "half:17" after half of it if it writes, "ENOSPC:17" fails it as a full disk
// does. The number of operations so far stands in the file MDT_FAULT_COUNT.
import fs from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';

const [kind, at] = (process.env.MDT_FAULT ?? 'none:0').split(':');
const counter = process.env.MDT_FAULT_COUNT;
const runDir = process.env.MDT_FAULT_DIR ?? '';
let operations = 0;

/** Counts one operation, and lets it go wrong when its turn has come; `half` does the first half of it. */
async function step(half) {
  operations += 1;
  if (counter) fs.writeFileSync(counter, String(operations));
  if (operations !== Number(at)) return;
  if (kind === 'half' && half) await half();
  if (kind === 'half' || kind === 'kill') process.kill(process.pid, 'SIGKILL');
  if (kind === 'ENOSPC') throw Object.assign(new Error('ENOSPC: no space left on device, write'), { code: 'ENOSPC', errno: -28 });
}

const inRun = (path) => String(path).startsWith(runDir);

for (const name of ['rename', 'rm', 'mkdir']) {
  const original = fs.promises[name];
  fs.promises[name] = async (path, ...rest) => {
    if (inRun(path)) await step();
    return original(path, ...rest);
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
