import { join } from 'node:path';
import { formatTable } from '@mdt/eval-coco';
import { clusterBoxes } from '@mdt/predictor';
import type { Command } from 'commander';
import { readJson } from '../files.js';
import { type Analysis, analyseRun, testDir } from '../run/analyse.js';
import { describeFolds } from '../run/over-folds.js';
import { readRunConfig, runsIn } from '../run/run-folder.js';
import { testRun } from '../run/test-run.js';
import { type EngineFlags, engineOf, precisionOption } from './engine-flags.js';
import { exitCodes } from './exit-codes.js';
import { interruptSignal } from './interrupt.js';
import { collected, fraction } from './numbers.js';
import { shared } from './options.js';
import { type CommandContext, type Output, output, type Streams } from './output.js';

interface TestFlags extends EngineFlags {
  folds?: 'all' | number[];
  best?: number;
  mirror: boolean;
  json?: boolean;
}

interface AnalyseFlags {
  out?: string;
  iouThreshold?: number;
  minScore?: number;
  iou?: string[];
  json?: boolean;
}

export function addTest(program: Command, { exit, streams }: CommandContext): void {
  program
    .command('test')
    .description('predict the test part with the best checkpoints, mirrored views and folds, and judge it')
    .argument('<run>', 'a run folder, or the folder of a cross-validation')
    .addOption(shared.folds())
    .addOption(shared.best())
    .addOption(shared.noMirror())
    .addOption(shared.threads())
    .addOption(precisionOption())
    .addOption(shared.json())
    .addHelpText(
      'after',
      `
Raw and final predictions, metrics, plots and a report go to <run>/test. Each fold predicts its own test part; where
data.testDir names a hold-out data set, all folds predict it together.

Examples:
  $ mdt test runs/nuclei
  $ mdt test runs/lidc --best 3 --no-mirror`,
    )
    .action(async (run: string, flags: TestFlags) => exit(await testCommand(run, flags, streams)));
}

export function addAnalyse(program: Command, { exit, streams }: CommandContext): void {
  program
    .command('analyse')
    .description('make detections and metrics of stored raw predictions anew, without a network')
    .argument('<run>', 'what `mdt test` tested')
    .addOption(shared.out('where the files go (default: <run>/test)'))
    .option('--iou-threshold <iou>', 'of weighted box clustering (default: as configured)', fraction)
    .option('--min-score <score>', 'leave out detections below this score (default: as configured)', fraction)
    .option('--iou <iou...>', 'judge at these IoU thresholds (default: as configured)', collected)
    .addOption(shared.json())
    .addHelpText(
      'after',
      `
Examples:
  $ mdt analyse runs/nuclei
  $ mdt analyse runs/nuclei --iou-threshold 0.3 --iou 0.1 0.3 0.5 --out other-threshold`,
    )
    .action(async (run: string, { iou, iouThreshold, minScore, out, json }: AnalyseFlags) => {
      const analysis = await analyseRun(run, {
        ...(out !== undefined && { out }),
        ...(minScore !== undefined && { minScore }),
        ...(iouThreshold !== undefined && { consolidate: clusterBoxes({ iouThreshold }) }),
        ...(iou && { iouThresholds: iou.map(fraction) }),
      });
      await print(analysis, out ?? testDir(run), output(json ?? false, streams));
      exit(exitCodes.ok);
    });
}

async function testCommand(run: string, flags: TestFlags, streams: Streams): Promise<number> {
  const { note, progress, ...rest } = output(flags.json ?? false, streams);
  const folds = typeof flags.folds === 'object' ? flags.folds : undefined;
  const [first] = await runsIn(run, folds);
  await engineOf(flags, (await readRunConfig(first!)).training, note);
  const bar = progress();
  const interrupt = interruptSignal();
  try {
    const tested = await testRun(run, {
      ...(folds && { folds }),
      ...(flags.best !== undefined && { best: flags.best }),
      views: flags.mirror,
      signal: interrupt.signal,
      onProgress: ({ id, case: index, cases, done, total }) => bar.update(done, total, `${id} (${index}/${cases})`),
    });
    bar.stop();
    await print(tested, testDir(run), { note, progress, ...rest }, { models: tested.models });
    return exitCodes.ok;
  } catch (error) {
    if (interrupt.signal.aborted) return exitCodes.interrupted;
    throw error;
  } finally {
    bar.stop();
    interrupt.release();
  }
}

async function print({ metrics, folds, files }: Analysis, out: string, { result }: Output, more: object = {}): Promise<void> {
  const lines = folds ? [...describeFolds(folds), ''] : [];
  result([formatTable(metrics), '', ...lines, ...files].join('\n'), {
    event: 'end',
    ...more,
    metrics: await readJson(join(out, 'metrics.json')),
    folds: folds ?? null,
    files,
  });
}
