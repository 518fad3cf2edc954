import { join } from 'node:path';
import { InputError } from '@mdt/core';
import { formatTable } from '@mdt/eval-coco';
import { createPredictor } from '@mdt/predictor';
import { type Command, Option } from 'commander';
import { predictorOptions } from '../config/parts.js';
import { type SplitName, splitNames } from '../data/dataset-json.js';
import { openEnsemble } from '../ensemble.js';
import { runEvaluation } from '../evaluate.js';
import { openExperiment } from '../experiment.js';
import { readJson } from '../files.js';
import { type MetricsRecord, readMetricsLog } from '../train/metrics-log.js';
import { type EngineFlags, engineOf, precisionOption } from './engine-flags.js';
import { exitCodes } from './exit-codes.js';
import { interruptSignal } from './interrupt.js';
import { collected, wholeNumber } from './numbers.js';
import { type CommandContext, output, type Streams } from './output.js';

interface EvaluateFlags extends EngineFlags {
  run: string[];
  data?: string;
  part: SplitName;
  out?: string;
  best?: number;
  mirror: boolean;
  json?: boolean;
}

export function addEvaluate(program: Command, { exit, streams }: CommandContext): void {
  program
    .command('evaluate')
    .description('judge a trained detector on the part of the data that it has not seen')
    .requiredOption('--run <dir>', 'run folder that `mdt train` wrote; several times for an ensemble, as of folds', collected)
    .option('--data <dir>', 'another data set than the one of the run, by its own parts')
    .addOption(new Option('--part <name>', 'which cases').choices([...splitNames]).default('test'))
    .option('--out <dir>', 'where metrics, predictions and plots go (default: the run folder; an ensemble needs one)')
    .option('--best <n>', 'checkpoints of each run (default: as configured)', wholeNumber(1))
    .option('--no-mirror', 'without test-time mirroring')
    .option('--threads <n>', 'CPU threads', wholeNumber(1))
    .addOption(precisionOption())
    .option('--json', 'print the metrics as one JSON line')
    .addHelpText(
      'after',
      `
Examples:
  $ mdt evaluate --run runs/nuclei
  $ mdt evaluate --run runs/nuclei --part validation --best 1 --out validation
  $ mdt evaluate --run runs/fold0 --run runs/fold1 --data data/held-out --out ensemble`,
    )
    .action(async (flags: EvaluateFlags) => exit(await evaluateCommand(flags, streams)));
}

async function evaluateCommand(flags: EvaluateFlags, streams: Streams): Promise<number> {
  const { note, result, progress } = output(flags.json ?? false, streams);
  const { run, data, best, out = run[0]! } = flags;
  if (run.length > 1 && flags.out === undefined) {
    throw new InputError('invalid-option', 'metrics of several runs belong to none of them: name a folder with --out');
  }
  const ensemble = await openEnsemble(run);
  const { config } = ensemble;
  const parts = [];
  for (const [i, { folds, ...place }] of ensemble.configs.map((each) => each.data).entries()) {
    const where = data === undefined ? { ...place, ...(folds && { folds }) } : { ...place, dir: data };
    const experiment = await openExperiment({ ...ensemble.configs[i]!, data: where }, run[i]);
    experiment.detector.dispose();
    parts.push(experiment.part(flags.part));
  }
  const part = parts[0]!;
  const other = parts.findIndex(({ ids }) => ids.join('\0') !== part.ids.join('\0'));
  if (other >= 0) {
    throw new InputError(
      'invalid-option',
      `the part '${flags.part}' of '${run[other]}' has other cases than that of '${run[0]}', so some run was trained on what would judge it: name a data set that none has seen with --data`,
    );
  }
  await engineOf(flags, config.training, note);
  const detectors = await ensemble.load(best === undefined ? {} : { best });
  const predictor = createPredictor(detectors, predictorOptions(config.prediction, { views: flags.mirror }));
  const bar = progress();
  const interrupt = interruptSignal();
  try {
    const training = run.length === 1 ? await trainingOf(run[0]!) : [];
    const { metrics, files } = await runEvaluation(predictor, part, {
      out,
      training,
      iouThresholds: [0.1, 0.5],
      signal: interrupt.signal,
      onProgress: ({ id, case: index, cases: count, done, total }) => bar.update(done, total, `${id} (${index}/${count})`),
    });
    bar.stop();
    result(`${formatTable(metrics)}\n\n${files.join('\n')}`, {
      event: 'end',
      models: detectors.length,
      metrics: await readJson(join(out, 'metrics.json')),
      files,
    });
    return exitCodes.ok;
  } catch (error) {
    if (interrupt.signal.aborted) return exitCodes.interrupted;
    throw error;
  } finally {
    bar.stop();
    interrupt.release();
  }
}

/** The epochs of a run; none where its log was taken away. */
async function trainingOf(run: string): Promise<MetricsRecord[]> {
  try {
    return await readMetricsLog(join(run, 'metrics.jsonl'));
  } catch (error) {
    if (error instanceof InputError && error.code === 'missing-file') return [];
    throw error;
  }
}
