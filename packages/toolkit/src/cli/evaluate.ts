import { formatTable } from '@mdt/eval-coco';
import { type Command, Option } from 'commander';
import { predictorOptions } from '../config/parts.js';
import { type SplitName, splitNames } from '../data/dataset-json.js';
import { selectEngine } from '../engine.js';
import { metricsJson, runEvaluation } from '../evaluate.js';
import { openExperiment, readRunConfig } from '../experiment.js';
import { createPredictor } from '../predict/predictor.js';
import { loadDetectors } from '../train/load-detectors.js';
import { exitCodes } from './exit-codes.js';
import { interruptSignal } from './interrupt.js';
import { wholeNumber } from './numbers.js';
import { type CommandContext, output, type Streams } from './output.js';

interface EvaluateFlags {
  run: string;
  data?: string;
  part: SplitName;
  out?: string;
  best?: number;
  mirror: boolean;
  threads?: number;
  json?: boolean;
}

export function addEvaluate(program: Command, { exit, streams }: CommandContext): void {
  program
    .command('evaluate')
    .description('judge a trained detector on the part of the data that it has not seen')
    .requiredOption('--run <dir>', 'run folder that `mdt train` wrote')
    .option('--data <dir>', 'another data set than the one of the run')
    .addOption(new Option('--part <name>', 'which cases').choices([...splitNames]).default('test'))
    .option('--out <dir>', 'where metrics, predictions and plots go (default: the run folder)')
    .option('--best <n>', 'checkpoints in the ensemble (default: as configured)', wholeNumber(1))
    .option('--no-mirror', 'without test-time mirroring')
    .option('--threads <n>', 'CPU threads', wholeNumber(1))
    .option('--json', 'print the metrics as one JSON line')
    .addHelpText(
      'after',
      `
Examples:
  $ mdt evaluate --run runs/nuclei
  $ mdt evaluate --run runs/nuclei --part validation --best 1 --out validation`,
    )
    .action(async (flags: EvaluateFlags) => exit(await evaluateCommand(flags, streams)));
}

async function evaluateCommand(flags: EvaluateFlags, streams: Streams): Promise<number> {
  const { note, result, progress } = output(flags.json ?? false, streams);
  const stored = await readRunConfig(flags.run);
  const config = flags.data === undefined ? stored : { ...stored, data: { ...stored.data, dir: flags.data } };
  const experiment = await openExperiment(config, flags.run);
  const part = experiment.part(flags.part);
  await selectEngine({ onFallback: note, ...(flags.threads && { threads: flags.threads }) });
  const detectors = await loadDetectors(flags.run, { best: flags.best ?? config.prediction.best });
  const predictor = createPredictor(detectors, predictorOptions(config.prediction, { views: flags.mirror }));
  const bar = progress();
  const interrupt = interruptSignal();
  try {
    const { cases, metrics, files } = await runEvaluation(predictor, part, {
      out: flags.out ?? flags.run,
      iouThresholds: [0.1, 0.5],
      signal: interrupt.signal,
      onProgress: ({ id, case: index, cases: count, done, total }) => bar.update(done, total, `${id} (${index}/${count})`),
    });
    bar.stop();
    result(`${formatTable(metrics)}\n\n${files.join('\n')}`, { event: 'end', metrics: metricsJson(cases, metrics), files });
    return exitCodes.ok;
  } catch (error) {
    if (interrupt.signal.aborted) return exitCodes.interrupted;
    throw error;
  } finally {
    bar.stop();
    interrupt.release();
  }
}
