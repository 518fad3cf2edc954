import { join } from 'node:path';
import { InputError } from '@mdt/core';
import { formatTable } from '@mdt/eval-coco';
import { type Command, Option } from 'commander';
import { type SplitName, splitNames } from '../data/dataset-json.js';
import { readJson } from '../files.js';
import { evaluateRuns, refuseMixed } from '../run/evaluate-runs.js';
import { describeFolds } from '../run/over-folds.js';
import { openParts, refuseSeen } from '../run/predict-parts.js';
import { readRunConfig } from '../run/run-folder.js';
import { type MetricsRecord, readMetricsLog } from '../train/metrics-log.js';
import { chosenPoint, chosenRuns, type RunFlags } from './chosen-runs.js';
import { type EngineFlags, engineOf, precisionOption } from './engine-flags.js';
import { exitCodes } from './exit-codes.js';
import { interruptSignal } from './interrupt.js';
import { shared } from './options.js';
import { type CommandContext, output, type Streams } from './output.js';

interface EvaluateFlags extends EngineFlags, RunFlags {
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
    .addOption(shared.run().makeOptionMandatory())
    .addOption(shared.folds())
    .option('--data <dir>', 'another data set than the one of the run, by its own parts')
    .addOption(new Option('--part <name>', 'which cases').choices([...splitNames]).default('test'))
    .option('--out <dir>', 'where metrics, predictions and plots go (default: the run folder; an ensemble needs one)')
    .addOption(shared.best())
    .addOption(shared.noMirror())
    .addOption(shared.point())
    .addOption(shared.noPoint())
    .addOption(shared.threads())
    .addOption(precisionOption())
    .option('--json', 'print the metrics as one JSON line')
    .addHelpText(
      'after',
      `
Examples:
  $ mdt evaluate --run runs/nuclei
  $ mdt evaluate --run runs/nuclei --part validation --best 1 --out validation
  $ mdt evaluate --run runs/lidc --folds all
  $ mdt evaluate --run runs/lidc --data data/held-out --out ensemble

The folds of a cross-validation each judge their own part, pooled and as a mean over folds; on the same cases, as those of
--data, they predict together as one ensemble.`,
    )
    .action(async (flags: EvaluateFlags) => exit(await evaluateCommand(flags, streams)));
}

async function evaluateCommand(flags: EvaluateFlags, streams: Streams): Promise<number> {
  const { note, result, progress } = output(flags.json ?? false, streams);
  const { run, data, best, out = run[0]!, part: name } = flags;
  if (run.length > 1 && flags.out === undefined) {
    throw new InputError('invalid-option', 'metrics of several runs belong to none of them: name a folder with --out');
  }
  const runs = await chosenRuns(flags);
  const parts = await openParts(runs, name, { ...(data !== undefined && { data }) });
  refuseMixed(parts, { ensemble: run.length > 1 });
  if (name === 'test') refuseSeen(parts);
  const { training, prediction } = await readRunConfig(runs[0]!);
  const point = await chosenPoint(flags, runs, { best: best ?? prediction.best, note });
  await engineOf(flags, training, note);
  const bar = progress();
  const interrupt = interruptSignal();
  try {
    const { metrics, files, models, folds } = await evaluateRuns(parts, {
      ...{ out, best, point, views: flags.mirror },
      training: runs.length === 1 ? await trainingOf(runs[0]!) : [],
      signal: interrupt.signal,
      onProgress: ({ id, case: index, cases: count, done, total }) => bar.update(done, total, `${id} (${index}/${count})`),
    });
    bar.stop();
    const lines = folds ? [...describeFolds(folds), ''] : [];
    result([formatTable(metrics), '', ...lines, ...files].join('\n'), {
      event: 'end',
      models,
      metrics: await readJson(join(out, 'metrics.json')),
      ...(folds && { folds }),
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
