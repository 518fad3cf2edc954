import { createHash } from 'node:crypto';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { type Random, rng } from '@mdt/core';
import { generateToy, listCheckpoints, openExperiment, readMetricsLog, runTraining, selectEngine } from '@mdt/toolkit';
// @ts-expect-error plain JavaScript, which a command can load too
import * as faulty from './faults.mjs';
import { type Ending, type Step, type Trouble, trainInProcess } from './process.js';

/**
 * Kills trainings and goes on with them, and compares what comes out with a training that nobody disturbed, bit by bit: weights, optimizer,
 * moving average, metrics, the list of the best, and the losses of every step, those that were done twice too, which tell the order of the
 * data and the random streams.
 *
 * - Random kills: SIGKILL for a process at a random moment, before a random file operation or in the middle of one, time and again until the
 *   run is through.
 * - Faults: for every file operation of a run, one run in which nothing from there on reaches the disk, one in which half of that write does,
 *   and one in which the disk is full just then. These follow each other in one process, so that all of them take minutes.
 */
const { values } = parseArgs({
  options: {
    kills: { type: 'string', default: '100' },
    faults: { type: 'string', default: 'all' },
    jobs: { type: 'string', default: '2' },
    seed: { type: 'string', default: '0' },
  },
});
const kills = Number(values.kills);
const random = rng(values.seed).fork('crash');

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
  training: {
    ...{ epochs: 2, stepsPerEpoch: 2, batchSize: 1, learningRate: 3e-2, seed: 9 },
    ...{ keep: 1, ema: 0.5, workers: 0, augment: { mirror: ['y', 'x'] }, iouThresholds: [0.01] },
  },
  prediction: { mirror: [], best: 1 },
};

const train = (out: string, trouble?: Trouble): Promise<Ending> => trainInProcess(configFile, out, trouble);

/** A hash of everything on disk that must not depend on how often the run was disturbed. */
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

const started = Date.now();

/** Trains in this process, with or without a fault. */
async function trainHere(out: string, fault: string): Promise<{ steps: Step[]; error?: Error; operations: string }> {
  const experiment = await openExperiment(config);
  const steps: Step[] = [];
  faulty.arm(fault, out);
  try {
    const onStep = ({ step, losses, learningRate }: Step) => void steps.push({ step, losses, learningRate });
    await runTraining(experiment, { out, resume: true, saveEverySeconds: 0, onStep });
    return { steps, operations: faulty.counted() };
  } catch (error) {
    return { steps, error: error as Error, operations: faulty.counted() };
  } finally {
    faulty.arm('none:0', '');
    experiment.detector.dispose();
  }
}

await selectEngine({ threads: 1 });
const here = join(folder, 'here');
let operations = '';
// Where the first epoch is the best, no checkpoint is ever taken away, and nothing is killed in doing so: the first seed that gets better.
for (; ; config.training.seed++) {
  const { error, operations: made } = await trainHere(here, 'none:0');
  if (error) throw error;
  operations = made;
  if ((await listCheckpoints(here))[0]!.state.epoch > 1) break;
  if (config.training.seed > 100) throw new Error('no training gets better: change its configuration');
  await rm(here, { recursive: true });
}
await writeFile(configFile, JSON.stringify(config));
const straight = join(folder, 'straight');
const first = await train(straight);
if (first.code !== 0) throw new Error(`the undisturbed run failed: ${first.err}`);
const expected = {
  outcome: await outcome(straight),
  steps: new Map(first.steps.map((step) => [step.step, JSON.stringify(step)])),
};
if ((await outcome(here)) !== expected.outcome) throw new Error('this process computes something else than a process of its own');
const [startSeconds, allSeconds] = [first.startMs, first.ms].map((ms) => (ms / 1000).toFixed(1));
console.log(
  `An undisturbed run takes ${allSeconds} s, ${startSeconds} s of them to start (seed of the training: ${config.training.seed}).`,
);

const wrongStep = (steps: readonly Step[]): Step | undefined =>
  steps.find((step) => JSON.stringify(step) !== expected.steps.get(step.step));

/** What is wrong with a run that ended well, after all its endings. */
async function differences(out: string, endings: readonly Ending[]): Promise<string | undefined> {
  const last = endings.at(-1)!;
  if (last.code !== 0) return `going on ended with ${last.code ?? last.signal}: ${last.err.slice(-500)}`;
  const wrong = endings.flatMap(({ steps }) => wrongStep(steps) ?? []);
  if (wrong.length > 0) return `step ${wrong[0]!.step} is not that of the undisturbed run`;
  return (await outcome(out)) === expected.outcome ? undefined : 'the outcome is not that of the undisturbed run';
}

/** A fault at one file operation, then a run that goes on undisturbed. */
async function faultAt(kind: 'die' | 'diehalf' | 'ENOSPC', at: number): Promise<void> {
  const out = join(folder, `${kind}-${at}`);
  const stopped = await trainHere(out, `${kind}:${at}`);
  // A picture that cannot be written stops nothing; what does stop a run is the fault, not a consequence of it.
  const message = kind === 'ENOSPC' ? 'no space left' : 'the process is dead';
  let problem = stopped.error && !stopped.error.message.includes(message) ? `ended with ${stopped.error.stack}` : undefined;
  const steps = [...stopped.steps];
  if (stopped.error && !problem) {
    const through = await trainHere(out, 'none:0');
    if (through.error) problem = `going on ended with ${through.error.stack}`;
    steps.push(...through.steps);
  }
  const wrong = wrongStep(steps);
  if (!problem && wrong) problem = `step ${wrong.step} is not that of the undisturbed run`;
  if (!problem && (await outcome(out)) !== expected.outcome) problem = 'the outcome is not that of the undisturbed run';
  judge(`${kind} at operation ${at}`, problem);
  await rm(out, { recursive: true, force: true });
}

let done = 0;
/** A run that is killed at random moments until it is through. */
async function killAtRandom(run: number, stream: Random): Promise<void> {
  const out = join(folder, `random-${run}`);
  const endings: Ending[] = [];
  do {
    const moment = stream.next();
    const inTraining = { ms: stream.next() * (first.ms - first.startMs), from: 'training' } as const;
    const inStart = { ms: stream.next() * first.startMs, from: 'process' } as const;
    const fault = `${stream.next() < 0.5 ? 'kill' : 'half'}:${1 + stream.integer(0, operations.length)}`;
    const kill = moment < 0.6 ? { killAfter: inTraining } : moment < 0.7 ? { killAfter: inStart } : { fault };
    // States every step, or never within the run; patches from this thread or another.
    const how = { saveEverySeconds: stream.next() < 0.7 ? 0 : 1e6, workers: stream.next() < 0.2 ? 1 : 0 };
    endings.push(await train(out, done < kills ? { ...kill, ...how } : how));
    if (endings.at(-1)!.signal === 'SIGKILL') done += 1;
  } while (endings.at(-1)!.signal === 'SIGKILL');
  judge(`random kills, run ${run}`, await differences(out, endings));
  await rm(out, { recursive: true, force: true });
}

/** Evenly spread over all, a random one of each part. */
function sample(all: readonly number[], wanted: number): number[] {
  if (wanted >= all.length) return [...all];
  return Array.from({ length: wanted }, (_, i) => all[Math.floor(((i + random.next()) * all.length) / wanted)]!);
}
const every = Array.from({ length: operations.length }, (_, i) => i + 1);
const writes = every.filter((at) => operations[at - 1] === 'w');
const perKind = values.faults === 'all' ? Number.POSITIVE_INFINITY : Number(values.faults);
const faults = (['die', 'diehalf', 'ENOSPC'] as const).flatMap((kind) =>
  sample(kind === 'diehalf' ? writes : every, perKind).map((at) => ({ kind, at })),
);

const report = (what: string) => console.log(`${what}, ${failed} failed, ${((Date.now() - started) / 1000).toFixed(0)} s`);
for (const [i, { kind, at }] of faults.entries()) {
  await faultAt(kind, at);
  if (i % 100 === 99) report(`${i + 1} of ${faults.length} faults`);
}
let runs = 0;
async function worker(): Promise<void> {
  while (done < kills) {
    const run = ++runs;
    await killAtRandom(run, random.fork(run));
    if (run % 10 === 0) report(`${done} of ${kills} random kills`);
  }
}
await Promise.all(Array.from({ length: Number(values.jobs) }, worker));
await rm(folder, { recursive: true });
report(`${done} random kills in ${runs} runs, ${faults.length} faults at ${operations.length} operations, seed ${values.seed}`);
console.log(`${passed} passed, ${failed} failed, 0 skipped`);
process.exit(failed === 0 ? 0 : 1);
