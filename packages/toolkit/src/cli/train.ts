import { formatTable } from '@mdt/eval-coco';
import { type Command, Option } from 'commander';
import { type TrainingPrecision, trainingPrecisions } from '../engine.js';
import { openExperiment } from '../experiment.js';
import { duration } from '../progress.js';
import { describeEpoch, type RunResult, runTraining } from '../run/run-training.js';
import { testRun } from '../run/test-run.js';
import { trainingView } from '../training-view.js';
import { type PlannedRun, planRuns, type SourceFlags } from './config-source.js';
import { engineOf } from './engine-flags.js';
import { exitCodes } from './exit-codes.js';
import { interruptSignal } from './interrupt.js';
import { fraction, numberFromZero, positiveNumber, wholeNumber } from './numbers.js';
import { shared } from './options.js';
import { type CommandContext, output, type Streams } from './output.js';

interface TrainFlags extends SourceFlags {
  overwrite?: boolean;
  epochs?: number;
  steps?: number;
  batchSize?: number;
  learningRate?: number;
  minutes?: number;
  seed?: number;
  foreground?: number;
  saveEvery?: number;
  threads?: number;
  precision?: TrainingPrecision;
  deterministic?: boolean;
  json?: boolean;
}

/** Flags that are short for `--set`. */
const shortcuts = {
  epochs: 'epochs',
  steps: 'stepsPerEpoch',
  batchSize: 'batchSize',
  learningRate: 'learningRate',
  foreground: 'foreground',
  minutes: 'minutes',
  seed: 'seed',
  precision: 'precision',
  deterministic: 'deterministic',
} as const satisfies Partial<Record<keyof TrainFlags, string>>;

export function addTrain(program: Command, { exit, streams }: CommandContext): void {
  trainingCommand(program, 'train', 'train a detector on a data set and keep its best checkpoints')
    .addHelpText(
      'after',
      `
Examples:
  $ mdt train data/nuclei
  $ mdt train nuclei.config.ts --out runs/nuclei --seed 1
  $ mdt train lidc.config.ts --folds all --set training.schedule=cosine
  $ mdt train nuclei.config.ts --minutes 5 --json > events.jsonl
  $ mdt train runs/nuclei --resume

Ctrl-C stops after the current step and saves the state that --resume goes on from.`,
    )
    .action(async (source: string, flags: TrainFlags) => exit(await trainCommand(source, flags, streams)));
}

export function addTrainTest(program: Command, { exit, streams }: CommandContext): void {
  trainingCommand(program, 'train-test', 'train, then test the best checkpoints on the test part')
    .addHelpText(
      'after',
      `
Examples:
  $ mdt train-test nuclei.config.ts
  $ mdt train-test lidc.config.ts --folds all
  $ mdt train-test lidc.config.ts --dev`,
    )
    .action(async (source: string, flags: TrainFlags) => exit(await trainCommand(source, flags, streams, { test: true })));
}

function trainingCommand(program: Command, name: string, description: string): Command {
  return program
    .command(name)
    .description(description)
    .argument(
      '<config|dataset|run>',
      'a TypeScript or JSON file; a folder with dataset.json, which is then learnt with default settings; or, to go on, a run folder',
    )
    .addOption(shared.out('run folder (default: runs/<name>)'))
    .option('--overwrite', 'replace an earlier run in that folder')
    .option('--resume', 'go on with the run in that folder as if it had not stopped; more epochs or minutes may be given')
    .addOption(shared.folds())
    .addOption(shared.dev())
    .addOption(shared.set())
    .option('--epochs <n>', 'number of epochs', wholeNumber(1))
    .option('--steps <n>', 'training steps per epoch', wholeNumber(1))
    .option('--batch-size <n>', 'patches per step', wholeNumber(1))
    .option('--learning-rate <rate>', 'of the optimizer', positiveNumber)
    .option('--foreground <share>', 'share of patches cut around an object', fraction)
    .option('--minutes <n>', 'time budget; the schedule shrinks to fit', positiveNumber)
    .option('--seed <n>', 'seed of weights, patches and augmentation', wholeNumber(0))
    .option('--save-every <seconds>', 'work that may be lost when the process is killed (default: 600)', numberFromZero)
    .addOption(shared.threads())
    .addOption(new Option('--precision <type>', 'of convolutions and matrix products').choices(trainingPrecisions))
    .option('--deterministic', 'refuse operations whose results may differ from run to run')
    .addOption(shared.json());
}

async function trainCommand(source: string, flags: TrainFlags, streams: Streams, { test = false } = {}): Promise<number> {
  const { result, progress, json } = output(flags.json ?? false, streams);
  const short = Object.entries(shortcuts).flatMap(([flag, key]) => {
    const value = flags[flag as keyof typeof shortcuts];
    return value === undefined ? [] : [`training.${key}=${JSON.stringify(value)}`];
  });
  const plan = await planRuns(source, { ...flags, set: [...flags.set, ...short] });
  for (const run of plan.runs) {
    const { stopReason } = await trainOne(run, { ...flags, overwrite: flags.overwrite ?? flags.dev ?? false }, streams);
    if (stopReason === 'aborted') return exitCodes.interrupted;
  }
  if (!test) return exitCodes.ok;
  const bar = progress();
  const interrupt = interruptSignal();
  try {
    const folds = typeof flags.folds === 'object' ? { folds: flags.folds } : {};
    const tested = await testRun(plan.out, {
      ...folds,
      signal: interrupt.signal,
      onProgress: ({ id, case: index, cases, done, total }) => bar.update(done, total, `testing ${id} (${index}/${cases})`),
    });
    bar.stop();
    const { ap } = tested.metrics;
    result(json ? '' : `${formatTable(tested.metrics)}\n\n${tested.files.at(-1)}`, { event: 'test', ap, files: tested.files });
    return exitCodes.ok;
  } catch (error) {
    if (interrupt.signal.aborted) return exitCodes.interrupted;
    throw error;
  } finally {
    bar.stop();
    interrupt.release();
  }
}

async function trainOne({ config, out, where }: PlannedRun, flags: TrainFlags, streams: Streams): Promise<RunResult> {
  const { note, result, json } = output(flags.json ?? false, streams);
  const experiment = await openExperiment(config, where);
  const engine = await engineOf(flags, experiment.config.training, note);
  const { detector, dataset } = experiment;
  const what = `${detector.kind} on '${dataset.name}' (${dataset.ids.length} cases)`;
  note(`${what}, engine ${engine.name} (${engine.precision}), run folder ${out}`);
  if (json) result('', { event: 'start', run: out, kind: detector.kind, data: dataset.name, engine: engine.name });
  const view = json
    ? { step() {}, log() {}, stop() {} }
    : trainingView({ stream: streams.stderr, epochs: config.training.epochs });
  const interrupt = interruptSignal(() => view.log('Stopping after this step …'));
  try {
    const run = await runTraining(experiment, {
      out,
      engine,
      signal: interrupt.signal,
      ...(flags.overwrite && !flags.resume && { overwrite: true }),
      ...(flags.resume && { resume: true }),
      ...(flags.saveEvery !== undefined && { saveEverySeconds: flags.saveEvery }),
      onNote: note,
      onStep: (event) => {
        if (json) result('', { event: 'step', ...event });
        else view.step(event);
      },
      onEpoch: (epoch) => {
        if (json) result('', { event: 'epoch', ...epoch });
        else view.log(describeEpoch(epoch), epoch);
      },
    });
    view.stop();
    const best = run.checkpoints[0];
    const score = best?.state.score;
    const text = best ? `${best.path}${score == null ? ' (not validated)' : ` (score ${score.toFixed(3)})`}` : 'none';
    const how = endings[run.stopReason as keyof typeof endings] ?? 'Done';
    const seconds = run.epochs.reduce((sum, epoch) => sum + epoch.seconds, 0);
    result(`${how} after ${duration(seconds)}. Best checkpoint: ${text}`, {
      event: 'end',
      reason: run.stopReason,
      best: best?.path ?? null,
      score: score ?? null,
    });
    return run;
  } finally {
    detector.dispose();
    view.stop();
    interrupt.release();
  }
}

const endings = { aborted: 'Stopped', time: 'Time is up', stalled: 'No better any more' };
