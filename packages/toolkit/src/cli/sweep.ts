import type { OperatingPoint } from '@mdt/predictor';
import { type Command, Option } from 'commander';
import { readRunConfig, runsIn } from '../run/run-folder.js';
import { type SweepPlanName, sweepPlans, sweepRun } from '../run/sweep-run.js';
import { type EngineFlags, engineOf, precisionOption } from './engine-flags.js';
import { exitCodes } from './exit-codes.js';
import { interruptSignal } from './interrupt.js';
import { collected, fraction } from './numbers.js';
import { shared } from './options.js';
import { type CommandContext, output, type Streams } from './output.js';

interface SweepFlags extends EngineFlags {
  folds?: 'all' | number[];
  best?: number;
  mirror: boolean;
  plan: 'both' | SweepPlanName;
  iou?: string[];
  again?: boolean;
  json?: boolean;
}

export function addSweep(program: Command, { exit, streams }: CommandContext): void {
  program
    .command('sweep')
    .description('choose how boxes are consolidated, and from which score on they count, on the validation part')
    .argument('<run>', 'a run folder, or the folder of a cross-validation')
    .addOption(shared.folds())
    .addOption(new Option('--plan <name>', 'what is tried').choices(['both', ...Object.keys(sweepPlans)]).default('both'))
    .option('--iou <iou...>', 'mean AP at these IoU thresholds decides (default: 0.1, 0.15, …, 0.5)', collected)
    .option('--again', 'on the raw predictions of the last sweep, without a network')
    .addOption(shared.best())
    .addOption(shared.noMirror())
    .addOption(shared.threads())
    .addOption(precisionOption())
    .addOption(shared.json())
    .addHelpText(
      'after',
      `
The point goes to <run>/operating-point.json; mdt predict, evaluate, test, analyse and export use it from then on.

Examples:
  $ mdt sweep runs/nuclei
  $ mdt sweep runs/lidc --folds all --plan nndetection
  $ mdt sweep runs/lidc --again --iou 0.1 0.3`,
    )
    .action(async (run: string, flags: SweepFlags) => exit(await sweepCommand(run, flags, streams)));
}

async function sweepCommand(run: string, flags: SweepFlags, streams: Streams): Promise<number> {
  const { note, result, progress, json } = output(flags.json ?? false, streams);
  const folds = typeof flags.folds === 'object' ? flags.folds : undefined;
  const iouThresholds = flags.iou?.map(fraction);
  const [first] = await runsIn(run, folds);
  if (!flags.again) await engineOf(flags, (await readRunConfig(first!)).training, note);
  const bar = progress();
  const interrupt = interruptSignal();
  try {
    const { point, file } = await sweepRun(run, {
      ...{ folds, best: flags.best, views: flags.mirror, again: flags.again ?? false, signal: interrupt.signal },
      ...(flags.plan !== 'both' && { plans: [flags.plan] }),
      ...(iouThresholds && { iouThresholds }),
      onProgress: ({ id, case: index, cases, done, total }) => bar.update(done, total, `${id} (${index}/${cases})`),
      onStep: ({ plan, step, steps, best }) => {
        if (json) result('', { event: 'step', plan, step, steps, best });
        else bar.log(`${plan} ${step}/${steps}: ${describePoint(best)}`);
      },
    });
    bar.stop();
    const { configured, plan } = point.sweep!;
    const text = [`as configured: ${reached(configured)}`, `chosen (${plan}): ${describePoint(point)}`, '', file];
    result(text.join('\n'), { event: 'end', point, files: [file] });
    return exitCodes.ok;
  } catch (error) {
    if (interrupt.signal.aborted) return exitCodes.interrupted;
    throw error;
  } finally {
    bar.stop();
    interrupt.release();
  }
}

const number = (value: number | null): string => (value === null ? 'not defined' : value.toFixed(3));

const reached = ({ ap, f1, minScore }: Pick<OperatingPoint, 'ap' | 'f1' | 'minScore'>): string =>
  `AP ${number(ap)}, best F1 ${number(f1)}${minScore === null ? '' : ` from score ${minScore} on`}`;

function describePoint({ ap, f1, minScore, ...setting }: OperatingPoint): string {
  const { method, iouThreshold, memberNms = 'none', memberIouThreshold, minCandidateScore, minSide } = setting;
  const members = memberNms === 'none' ? '' : ` after ${memberNms} NMS of members at ${memberIouThreshold}`;
  const least = `candidates from ${minCandidateScore ?? 0}, sides from ${minSide}`;
  return `${reached({ ap, f1, minScore })}: ${method} at ${iouThreshold}${members}, ${least}`;
}
