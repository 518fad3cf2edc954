// npm run fuzz -- NAME [--n 2000] [--seed 0] [--only PART]: seeded, damaged input against code that must read it or refuse it.
// Each name is a module with `parts` (their names) and `run(part, { n, seed, onProgress })`, which throws where an input was
// neither read nor refused. Every part runs in a process of its own: what hangs, crashes or eats memory is found from outside.
import { fork } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { sanitizedNativeOps } from './setup/sanitized-native-ops.mjs';
import { at, root } from './setup/workspace.mjs';

/** `prepare` gives the environment of the processes. */
const modules = {
  formats: { module: 'packages/formats/test/fuzz.ts' },
  models: { module: 'packages/onnx-export/test/fuzz.ts' },
  viewer: { module: 'packages/viewer/test/fuzz.ts' },
  native: { module: 'packages/native-ops/test/fuzz.ts', prepare: sanitizedNativeOps },
};
/** A part that is silent for so many seconds hangs: it speaks every few hundred inputs, which take a second each at most. */
const silence = 60;

if (process.send) await child();
else await parent();

async function parent() {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: { n: { type: 'string', default: '2000' }, seed: { type: 'string', default: '0' }, only: { type: 'string' } },
  });
  const [name] = positionals;
  const n = Number(values.n);
  if (!Object.hasOwn(modules, name ?? '') || !(Number.isInteger(n) && n > 0)) {
    console.error(
      `Usage: npm run fuzz -- NAME [--n 2000] [--seed 0] [--only PART], where NAME is one of: ${Object.keys(modules).join(', ')}.`,
    );
    process.exit(2);
  }
  const environment = (await modules[name].prepare?.()) ?? {};
  const ask = (task) => askProcess(task, environment);
  console.log(`fuzz ${name}: ${n} inputs of seed ${values.seed}`);
  const { parts, error } = await ask({ name });
  if (error) throw new Error(error);
  const chosen = values.only ? parts.filter((part) => part === values.only) : parts;
  const count = { passed: 0, failed: 0, skipped: parts.length - chosen.length };
  for (const part of chosen) {
    const started = performance.now();
    const { error, summary } = await ask({ name, part, n, seed: values.seed });
    const seconds = ((performance.now() - started) / 1000).toFixed(1);
    console.log(`${name} ${part}: ${error ? `FAILED: ${error}` : summary}, ${seconds} s`);
    count[error ? 'failed' : 'passed']++;
  }
  console.log(`${count.passed} passed, ${count.failed} failed, ${count.skipped} skipped`);
  process.exit(count.failed > 0 || chosen.length === 0 ? 1 : 0);
}

/** Lets a process of its own do a task; an end without an answer, or silence, is an error too. */
function askProcess(task, environment) {
  return new Promise((resolve) => {
    const env = { ...process.env, ...environment, TSX_TSCONFIG_PATH: at('tsconfig.json') };
    const process_ = fork(fileURLToPath(import.meta.url), {
      cwd: root,
      execArgv: ['--import', 'tsx', '--max-old-space-size=512'],
      env,
    });
    let last = 'the start';
    // Seconds are counted one by one, as a machine that was suspended takes this process down with the other.
    let silent = 0;
    const timer = setInterval(() => {
      if (++silent >= silence) answer({ error: `silent for ${silence} s after ${last}` });
    }, 1000);
    const answer = (result) => {
      clearInterval(timer);
      process_.removeAllListeners();
      process_.kill('SIGKILL');
      resolve(result);
    };
    process_.on('message', (message) => {
      if (message.progress === undefined) return answer(message);
      last = `input ${message.progress}`;
      silent = 0;
    });
    process_.on('exit', (code, signal) => answer({ error: `the process ended (${signal ?? code}) after ${last}` }));
    process_.send(task);
  });
}

async function child() {
  process.once('message', async ({ name, part, n, seed }) => {
    try {
      const { parts, run } = await import(at(modules[name].module));
      if (part === undefined) return process.send({ parts });
      process.send({ summary: await run(part, { n, seed, onProgress: (progress) => process.send({ progress }) }) });
    } catch (error) {
      process.send({ error: error.stack ?? String(error) });
    }
  });
}
