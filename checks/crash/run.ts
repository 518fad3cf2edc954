import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { rng } from '@mdt/core';
import { generateToy, listCheckpoints, readMetricsLog } from '@mdt/toolkit';

/**
 * Kills trainings and goes on with them, and compares what comes out with a training that nobody disturbed: weights, optimizer,
 * moving average, metrics and the list of the best, bit by bit. Three kinds of trouble: the process is killed at a random moment;
 * it is killed before or in the middle of its k-th file operation; its k-th file operation meets a full disk.
 */
const { values } = parseArgs({
  options: {
    kills: { type: 'string', default: '100' },
    faults: { type: 'string', default: 'all' },
    seed: { type: 'string', default: '0' },
  },
});
const kills = Number(values.kills);
const random = rng(values.seed).fork('crash');
const cli = fileURLToPath(new URL('../../packages/toolkit/dist/cli.js', import.meta.url));
const faults = new URL('./faults.mjs', import.meta.url).href;

const folder = await mkdtemp(join(tmpdir(), 'mdt-crash-'));
const data = join(folder, 'data');
const configFile = join(folder, 'config.json');
const numCases = { train: 4, validation: 2, test: 1 };
await generateToy(data, { task: 'donuts_shape', dim: 2, size: [32, 32], count: numCases, radius: 6, negatives: 0, seed: 1 });
const config = {
  data: { dir: data },
  detector: {
    kind: 'RetinaUNet2D',
    patchSize: [32, 32],
    headFilters: 4,
    backbone: { startFilters: 2, outChannels: 4, norm: 'instance' },
    anchors: { sizes: { P2: [10, 10], P3: [14, 14] }, aspectRatios: [1], octaves: 1 },
  },
  training: { epochs: 3, stepsPerEpoch: 3, batchSize: 1, learningRate: 1e-3, keep: 2, ema: 0.9, augment: { mirror: ['y', 'x'] } },
  prediction: { mirror: [], best: 1 },
};
await writeFile(configFile, JSON.stringify(config));

interface Ending {
  code: number | null;
  signal: NodeJS.Signals | null;
  err: string;
  ms: number;
}

/** Trains into a folder, or goes on there. */
function mdt(out: string, { fault, count, killAfterMs }: { fault?: string; count?: string; killAfterMs?: number } = {}) {
  return new Promise<Ending>((resolve) => {
    const env = {
      ...process.env,
      ...(fault !== undefined && { MDT_FAULT: fault }),
      ...(count !== undefined && { MDT_FAULT_COUNT: count }),
      MDT_FAULT_DIR: out,
    };
    const preload = fault === undefined ? [] : ['--import', faults];
    const args = [
      ...preload,
      cli,
      'train',
      configFile,
      '--out',
      out,
      '--resume',
      '--save-every',
      '0',
      '--threads',
      '1',
      '--json',
    ];
    const start = performance.now();
    const child = spawn(process.execPath, args, { env, stdio: ['ignore', 'ignore', 'pipe'] });
    let err = '';
    child.stderr.on('data', (chunk) => {
      err += chunk;
    });
    const timer = killAfterMs === undefined ? undefined : setTimeout(() => child.kill('SIGKILL'), killAfterMs);
    child.on('close', (code, signal) => {
      clearTimeout(timer);
      resolve({ code, signal, err, ms: performance.now() - start });
    });
  });
}

/** A hash of everything that must not depend on how often the run was disturbed. */
async function outcome(out: string): Promise<string> {
  const hash = createHash('sha256');
  const resume = join(out, 'resume');
  const newest = (await readdir(resume))
    .filter((name) => !name.startsWith('.'))
    .sort()
    .at(-1)!;
  for (const name of ['weights.safetensors', 'optimizer.safetensors', 'average.safetensors']) {
    hash.update(await readFile(join(resume, newest, name)));
  }
  const {
    seconds: _,
    validationSeconds: __,
    ...progress
  } = JSON.parse(await readFile(join(resume, newest, 'progress.json'), 'utf8'));
  hash.update(JSON.stringify(progress));
  for (const { seconds: _, time: __, ...record } of await readMetricsLog(join(out, 'metrics.jsonl')))
    hash.update(JSON.stringify(record));
  for (const { path, state } of await listCheckpoints(out)) {
    hash.update(JSON.stringify(state));
    hash.update(await readFile(join(path, 'weights.safetensors')));
  }
  return hash.digest('hex');
}

let passed = 0;
let failed = 0;
function judge(what: string, problem: string | undefined): void {
  if (problem === undefined) passed += 1;
  else {
    failed += 1;
    console.log(`FAILED ${what}: ${problem}`);
  }
}

/** Goes on until the run is done, and compares. */
async function finish(out: string): Promise<string | undefined> {
  const { code, signal, err } = await mdt(out);
  if (code !== 0) return `going on ended with ${code ?? signal}: ${err.slice(-500)}`;
  return (await outcome(out)) === expected ? undefined : 'the outcome is not that of the undisturbed run';
}

const started = Date.now();
const straight = join(folder, 'straight');
const countFile = join(folder, 'operations');
const first = await mdt(straight, { fault: 'none:0', count: countFile });
if (first.code !== 0) throw new Error(`the undisturbed run failed: ${first.err}`);
const expected = await outcome(straight);
const operations = Number(await readFile(countFile, 'utf8'));
console.log(`An undisturbed run takes ${(first.ms / 1000).toFixed(1)} s and ${operations} file operations.`);

const list = (wanted: number): number[] => {
  const all = Array.from({ length: operations }, (_, i) => i + 1);
  if (wanted >= operations) return all;
  return Array.from({ length: wanted }, (_, i) => 1 + Math.floor(((i + random.next()) * operations) / wanted));
};
const perKind = values.faults === 'all' ? operations : Number(values.faults);
for (const kind of ['kill', 'half', 'ENOSPC']) {
  for (const at of list(perKind)) {
    const out = join(folder, `${kind}-${at}`);
    const { code, signal, err } = await mdt(out, { fault: `${kind}:${at}` });
    const stopped = kind === 'ENOSPC' ? code === 6 && err.includes('no space left') : signal === 'SIGKILL';
    judge(`${kind} at operation ${at}`, stopped ? await finish(out) : `ended with ${code ?? signal}: ${err.slice(-500)}`);
    await rm(out, { recursive: true, force: true });
  }
}

let done = 0;
for (let run = 0; done < kills; run++) {
  const out = join(folder, `random-${run}`);
  let ending: Ending;
  do {
    ending = await mdt(out, done < kills ? { killAfterMs: random.next() * first.ms } : {});
    if (ending.signal === 'SIGKILL') done += 1;
  } while (ending.signal === 'SIGKILL');
  const problem =
    ending.code === 0 ? ((await outcome(out)) === expected ? undefined : 'another outcome') : ending.err.slice(-500);
  judge(`random kills, run ${run}`, problem);
  await rm(out, { recursive: true, force: true });
  if (run % 10 === 9) console.log(`${done} of ${kills} random kills, ${((Date.now() - started) / 1000).toFixed(0)} s`);
}
await rm(folder, { recursive: true });
console.log(`${done} random kills, ${3 * perKind} faults, seed ${values.seed}, ${((Date.now() - started) / 1000).toFixed(0)} s`);
console.log(`${passed} passed, ${failed} failed, 0 skipped`);
process.exit(failed === 0 ? 0 : 1);
