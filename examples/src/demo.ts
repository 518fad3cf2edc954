// Trains, predicts and judges a detector on real images, through the public packages only. `npm run demo` sets up first.
import { join, relative } from 'node:path';
import { parseArgs } from 'node:util';
import { InputError, nearestName } from '@mdt/core';
import { formatTable } from '@mdt/eval-coco';
import {
  createPredictor,
  describeStep,
  duration,
  type ExperimentConfig,
  exitCodeOf,
  generateToy,
  interruptSignal,
  loadDetectors,
  openExperiment,
  predictorOptions,
  progress,
  runEvaluation,
  runTraining,
  selectEngine,
  type ToyTask,
  TrainingDivergedError,
} from '@mdt/toolkit';
import { ct, nuclei, nuclei3d, type Recipe, toy2d, toy3d } from './recipes.js';

const toyTasks: readonly ToyTask[] = ['donuts_shape', 'donuts_pattern', 'circles_scale'];

const options = {
  toy: { type: 'string' },
  '3d': { type: 'boolean' },
  ct: { type: 'boolean' },
  minutes: { type: 'string' },
  seed: { type: 'string' },
  out: { type: 'string' },
  quick: { type: 'boolean' },
  help: { type: 'boolean' },
} as const;

const help = `npm run demo -- [options]

  (none)          nuclei in a 2D microscopy image
  --3d            nuclei in a 3D microscopy volume
  --ct            vertebrae and ribs in a CT (labels made by another model)
  --toy <task>    ${toyTasks.join(', ')}; with --3d as balls and shells

  --minutes <n>   time budget of the training (default 6.5)
  --seed <n>      default 0
  --out <dir>     default runs/demo-<name>
  --quick         a one-minute version that only shows that everything works`;

interface Task {
  name: string;
  recipe: Recipe;
  /** Folder of the data set. */
  dir: string;
  /** Makes the data set where set-up did not fetch it. */
  generate?: () => Promise<void>;
  iouThresholds: readonly number[];
}

function readOptions(args: string[]) {
  try {
    return parseArgs({ args, options }).values;
  } catch (error) {
    const given = args.find((arg) => arg.startsWith('--') && !Object.hasOwn(options, arg.slice(2).split('=')[0]!));
    if (!given) throw new InputError('invalid-option', (error as Error).message, { cause: error });
    const near = nearestName(given.slice(2), Object.keys(options));
    const hint = near ? `, did you mean '--${near}'?` : '';
    throw new InputError('unknown-option', `unknown option '${given}'${hint}`, { cause: error });
  }
}

function numberOption(name: string, text: string | undefined, fallback: number): number {
  if (text === undefined) return fallback;
  const value = Number(text);
  if (!(Number.isFinite(value) && value >= 0 && text.trim() !== '')) {
    throw new InputError('invalid-option', `--${name}: expected a number of at least 0, got '${text}'`);
  }
  return value;
}

function chooseTask(flags: ReturnType<typeof readOptions>, seed: number): Task {
  const data = join('.mdt', 'data');
  const dim = flags['3d'] ? 3 : 2;
  if (flags.toy !== undefined) {
    const task = flags.toy as ToyTask;
    if (!toyTasks.includes(task)) {
      const near = nearestName(flags.toy, toyTasks);
      throw new InputError('invalid-option', `--toy: unknown task '${flags.toy}'${near ? `, did you mean '${near}'?` : ''}`);
    }
    const name = `${task.replaceAll('_', '-')}${dim === 3 ? '-3d' : ''}`;
    const dir = join(data, `toy-${name}`);
    const count = { train: 60, validation: 20, test: 30 };
    const common = { task, count, seed, negatives: 0.1 };
    const generate = () =>
      dim === 2
        ? generateToy(dir, { ...common, dim, size: [128, 128] }, { overwrite: true })
        : generateToy(dir, { ...common, dim, size: [32, 64, 64], spacing: [2, 1, 1], radius: 10 }, { overwrite: true });
    return { name, recipe: dim === 2 ? toy2d : toy3d, dir, generate, iouThresholds: [0.1, 0.5] };
  }
  if (flags.ct) return { name: 'ct', recipe: ct, dir: join(data, 'ct'), iouThresholds: [0.1, 0.3, 0.5] };
  if (dim === 3) return { name: 'nuclei-3d', recipe: nuclei3d, dir: join(data, 'nuclei-3d'), iouThresholds: [0.1, 0.3, 0.5] };
  return { name: 'nuclei', recipe: nuclei, dir: join(data, 'nuclei-2d'), iouThresholds: [0.1, 0.5] };
}

/** The recipe with what the command line says. */
function configure(recipe: Recipe, dir: string, { seed, minutes, quick }: { seed: number; minutes: number; quick: boolean }) {
  const config: ExperimentConfig = recipe(dir);
  const short = quick ? { epochs: 2, stepsPerEpoch: 12, warmUp: 0, ema: 0.5 } : {};
  return {
    ...config,
    training: { ...config.training, ...short, seed, minutes },
    prediction: { ...config.prediction, ...(quick && { mirror: [], best: 2 }) },
  };
}

async function main(args: string[]): Promise<number> {
  const started = performance.now();
  const flags = readOptions(args);
  if (flags.help) {
    console.log(help);
    return 0;
  }
  const seed = numberOption('seed', flags.seed, 0);
  const quick = flags.quick ?? false;
  const minutes = numberOption('minutes', flags.minutes, quick ? 0.5 : 6.5);
  const task = chooseTask(flags, seed);
  const out = flags.out ?? join('runs', `demo-${task.name}`);
  await task.generate?.();

  const experiment = await openExperiment(configure(task.recipe, task.dir, { seed, minutes, quick }), task.name);
  const engine = await selectEngine({ onFallback: (line) => console.log(line) });
  const { detector, config } = experiment;
  console.log(`${detector.kind} on ${experiment.dataset.name}, seed ${seed}, engine ${engine.name}, results in ${out}/\n`);

  const bar = progress({ every: 10 });
  const interrupt = interruptSignal(() => bar.log('Stopping after this step …'));
  try {
    const { stopReason, checkpoints } = await runTraining(experiment, {
      out,
      overwrite: true,
      signal: interrupt.signal,
      onStep: (event) => bar.update(event.step, event.steps, describeStep(event)),
      onEpoch: ({ index, losses, metrics, best }) => {
        const ap = metrics.ap === undefined ? '' : `, validation AP ${metrics.ap.toFixed(3)}${best ? ' (best so far)' : ''}`;
        bar.log(`epoch ${index}: loss ${losses.total!.toFixed(3)}${ap}`);
      },
    });
    if (stopReason === 'aborted') {
      bar.stop();
      console.log(`Stopped. The best checkpoint so far: ${checkpoints[0]?.path ?? 'none'}`);
      return 130;
    }

    const detectors = await loadDetectors(out, { best: config.prediction.best });
    const predictor = createPredictor(detectors, predictorOptions(config.prediction));
    const epochs = checkpoints.slice(0, config.prediction.best).map(({ state }) => state.epoch);
    bar.log(`Predicting the unseen part with the epochs that validated best: ${epochs.join(', ')}`);
    const { metrics, files } = await runEvaluation(predictor, experiment.part('test'), {
      out,
      iouThresholds: task.iouThresholds,
      signal: interrupt.signal,
      onProgress: ({ id, done, total }) => bar.update(done, total, `predicting ${id}`),
    });
    bar.stop();
    console.log(`\n${formatTable(metrics)}\n`);
    for (const file of [...files, join(out, 'curves.png'), `${checkpoints[0]!.path}/weights.safetensors`]) {
      console.log(`  ${relative('.', file)}`);
    }
    console.log(`\nDone in ${duration((performance.now() - started) / 1000)}.`);
    return 0;
  } catch (error) {
    if (interrupt.signal.aborted) return 130;
    throw error;
  } finally {
    bar.stop();
    interrupt.release();
  }
}

try {
  process.exitCode = await main(process.argv.slice(2));
} catch (error) {
  const known = error instanceof InputError || error instanceof TrainingDivergedError;
  console.error(known ? `error: ${error.message}` : error);
  process.exitCode = exitCodeOf(error);
}
