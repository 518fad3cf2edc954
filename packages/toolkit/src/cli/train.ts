import { stat } from 'node:fs/promises';
import { basename, join, resolve } from 'node:path';
import { InputError } from '@mdt/core';
import { type Command, Option } from 'commander';
import { parseDatasetJson } from '../data/dataset-json.js';
import { readInput } from '../data/volume-file.js';
import { type TrainingPrecision, trainingPrecisions } from '../engine.js';
import { openExperiment } from '../experiment.js';
import { readJson } from '../files.js';
import { describeStep, duration } from '../progress.js';
import { runTraining } from '../run/run-training.js';
import { engineOf } from './engine-flags.js';
import { exitCodes } from './exit-codes.js';
import { interruptSignal } from './interrupt.js';
import { fraction, numberFromZero, positiveNumber, wholeNumber } from './numbers.js';
import { type CommandContext, output, type Streams } from './output.js';

interface TrainFlags {
  out?: string;
  overwrite?: boolean;
  resume?: boolean;
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

export function addTrain(program: Command, { exit, streams }: CommandContext): void {
  program
    .command('train')
    .description('train a detector on a data set and keep its best checkpoints')
    .argument(
      '<config|dataset|run>',
      'a JSON file; a folder with dataset.json, which is then learnt with default settings; or, to go on, a run folder',
    )
    .option('--out <dir>', 'run folder (default: runs/<name>)')
    .option('--overwrite', 'replace an earlier run in that folder')
    .option('--resume', 'go on with the run in that folder as if it had not stopped; more epochs or minutes may be given')
    .option('--epochs <n>', 'number of epochs', wholeNumber(1))
    .option('--steps <n>', 'training steps per epoch', wholeNumber(1))
    .option('--batch-size <n>', 'patches per step', wholeNumber(1))
    .option('--learning-rate <rate>', 'of Adam', positiveNumber)
    .option('--foreground <share>', 'share of patches cut around an object', fraction)
    .option('--minutes <n>', 'time budget; the schedule shrinks to fit', positiveNumber)
    .option('--seed <n>', 'seed of weights, patches and augmentation', wholeNumber(0))
    .option('--save-every <seconds>', 'work that may be lost when the process is killed (default: 600)', numberFromZero)
    .option('--threads <n>', 'CPU threads', wholeNumber(1))
    .addOption(new Option('--precision <type>', 'of convolutions and matrix products').choices(trainingPrecisions))
    .option('--deterministic', 'refuse operations whose results may differ from run to run')
    .option('--json', 'print events as JSON lines')
    .addHelpText(
      'after',
      `
Examples:
  $ mdt train data/nuclei
  $ mdt train nuclei.json --out runs/nuclei --seed 1
  $ mdt train nuclei.json --minutes 5 --json > events.jsonl
  $ mdt train runs/nuclei --resume

Ctrl-C stops after the current step and saves the state that --resume goes on from.`,
    )
    .action(async (source: string, flags: TrainFlags) => exit(await trainCommand(source, flags, streams)));
}

async function trainCommand(source: string, flags: TrainFlags, streams: Streams): Promise<number> {
  const { json = false } = flags;
  const { note, result, progress } = output(json, streams);
  const { config, out, where } = await configOf(source, flags);
  const experiment = await openExperiment(config, where);
  const engine = await engineOf(flags, experiment.config.training, note);
  const { detector, dataset } = experiment;
  note(
    `${detector.kind} on '${dataset.name}' (${dataset.ids.length} cases), engine ${engine.name} (${engine.precision}), run folder ${out}`,
  );

  const bar = progress();
  const interrupt = interruptSignal(() => bar.log('Stopping after this step …'));
  try {
    const run = await runTraining(experiment, {
      out,
      signal: interrupt.signal,
      ...(flags.overwrite && { overwrite: true }),
      ...(flags.resume && { resume: true }),
      ...(flags.saveEvery !== undefined && { saveEverySeconds: flags.saveEvery }),
      onNote: note,
      onStep: (event) => bar.update(event.step, event.steps, describeStep(event)),
      onEpoch: ({ index, losses, metrics, best, seconds, ...rest }) => {
        if (json) result('', { event: 'epoch', index, losses, metrics, best, seconds, ...rest });
        else {
          const ap = metrics.ap === undefined ? '' : `  AP ${metrics.ap.toFixed(3)}${best ? ', the best so far' : ''}`;
          bar.log(`epoch ${index}  loss ${losses.total!.toFixed(3)}${ap}  (${duration(seconds)})`);
        }
      },
    });
    bar.stop();
    const best = run.checkpoints[0];
    const score = best?.state.score;
    const text = best ? `${best.path}${score == null ? ' (not validated)' : ` (AP ${score.toFixed(3)})`}` : 'none';
    const how = run.stopReason === 'aborted' ? 'Stopped' : run.stopReason === 'time' ? 'Time is up' : 'Done';
    result(`${how}. Best checkpoint: ${text}`, {
      event: 'end',
      reason: run.stopReason,
      best: best?.path ?? null,
      score: score ?? null,
    });
    return run.stopReason === 'aborted' ? exitCodes.interrupted : exitCodes.ok;
  } finally {
    bar.stop();
    interrupt.release();
  }
}

/** The configuration that the argument and the flags describe, and the run folder; flags win. */
async function configOf(source: string, flags: TrainFlags): Promise<{ config: unknown; out: string; where: string }> {
  const info = await stat(source).catch((cause: unknown) => {
    throw new InputError('missing-file', `${source}: no such file or folder`, { cause: cause as Error });
  });
  const runConfig = flags.resume && info.isDirectory() ? join(source, 'config.json') : undefined;
  const isRun = runConfig !== undefined && (await stat(runConfig).catch(() => undefined))?.isFile();
  const where = isRun ? runConfig : source;
  const name = basename(resolve(source)).replace(/\.json$/, '');
  const out = flags.out ?? (isRun ? source : join('runs', name));
  const base = info.isDirectory() && !isRun ? await defaultConfig(source) : await readJson(where);
  if (typeof base !== 'object' || base === null || Array.isArray(base)) {
    throw new InputError('invalid-option', `${where}: expected a configuration as a JSON object`);
  }
  const { epochs, steps: stepsPerEpoch, batchSize, learningRate, minutes, seed, foreground, precision, deterministic } = flags;
  const given = Object.entries({
    epochs,
    stepsPerEpoch,
    batchSize,
    learningRate,
    minutes,
    seed,
    foreground,
    precision,
    deterministic,
  });
  const training = {
    ...(base as { training?: object }).training,
    ...Object.fromEntries(given.filter(([, v]) => v !== undefined)),
  };
  return { config: { ...base, training }, out, where };
}

/** A small Retina U-Net of the data set's dimension. */
async function defaultConfig(dir: string): Promise<object> {
  const file = join(dir, 'dataset.json');
  const { dim } = parseDatasetJson(new TextDecoder().decode(await readInput(file)), file);
  return {
    data: { dir },
    detector: {
      kind: dim === 2 ? 'RetinaUNet2D' : 'RetinaUNet3D',
      patchSize: dim === 2 ? [128, 128] : [32, 64, 64],
      backbone: { norm: 'instance', startFilters: 16 },
    },
  };
}
