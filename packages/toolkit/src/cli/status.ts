import type { Command } from 'commander';
import { duration } from '../progress.js';
import { type Comparison, compareRuns } from '../run/compare.js';
import { serveRun } from '../run/serve-run.js';
import { type RunStatus, runStatus } from '../run/status.js';
import { describeLive } from '../training-view.js';
import { exitCodes } from './exit-codes.js';
import { interruptSignal } from './interrupt.js';
import { wholeNumber } from './numbers.js';
import { shared } from './options.js';
import { type CommandContext, output } from './output.js';

export function addStatus(program: Command, { exit, streams }: CommandContext): void {
  program
    .command('status')
    .description('how a run stands; with --serve, a local page that follows it')
    .argument('<run>', 'a run folder, or the folder of a cross-validation')
    .option('--serve', 'serve the page on the loopback address until Ctrl-C')
    .option('--port <n>', 'of the page (default: a free one)', wholeNumber(0), 0)
    .addOption(shared.json())
    .addHelpText(
      'after',
      `
Examples:
  $ mdt status runs/nuclei
  $ mdt status runs/nuclei --serve`,
    )
    .action(async (run: string, { serve, port, json }: { serve?: boolean; port: number; json?: boolean }) => {
      const { result } = output(json ?? false, streams);
      const runs = await runStatus(run);
      result(runs.map(statusText).join('\n\n'), { event: 'status', runs });
      if (serve) {
        const server = await serveRun(run, { port });
        result(`Following ${run} at ${server.url} (Ctrl-C ends)`, { event: 'serve', url: server.url });
        const interrupt = interruptSignal();
        await new Promise((resolve) => interrupt.signal.addEventListener('abort', resolve));
        interrupt.release();
        await server.close();
      }
      exit(exitCodes.ok);
    });
}

export function addCompare(program: Command, { exit, streams }: CommandContext): void {
  program
    .command('compare')
    .description('what two runs were told differently, what they reached, and whether the difference is more than chance')
    .argument('<run>', 'a run folder, or the folder of a cross-validation')
    .argument('<other>', 'another one')
    .addOption(shared.json())
    .addHelpText('after', '\nExamples:\n  $ mdt compare runs/retina runs/mask-rcnn')
    .action(async (run: string, other: string, { json }: { json?: boolean }) => {
      const comparison = await compareRuns(run, other);
      output(json ?? false, streams).result(comparisonText(comparison), { event: 'compare', ...comparison });
      exit(exitCodes.ok);
    });
}

const score = (value: number | null): string => (value === null ? '–' : value.toFixed(3));

function statusText({ dir, kind, running, epochs, best, last, live, test }: RunStatus): string {
  const lines = [
    `${dir}: ${kind}, ${running ? 'running' : 'not running'}, ${epochs.done} of ${epochs.planned} epochs`,
    ...(running && live ? [`  ${describeLive(live)}`] : []),
    ...(last ? [`  loss ${last.losses.total?.toFixed(3)}, ${metricsText(last.metrics)}`] : []),
    ...(best ? [`  best: epoch ${best.epoch}, score ${score(best.score)}`] : []),
    ...(test === null ? [] : [`  test: AP ${test.toFixed(3)}`]),
  ];
  return lines.join('\n');
}

const metricsText = (metrics: Record<string, number>): string =>
  Object.entries(metrics)
    .map(([name, value]) => `${name} ${value.toFixed(3)}`)
    .join(', ') || 'not validated';

function comparisonText({ runs, config, differences }: Comparison): string {
  const sides = runs.map(({ dir, epochs, validation, hours, test }) => {
    const tested = test ? test.map(({ iouThreshold, ap }) => `AP at IoU ${iouThreshold} ${score(ap)}`).join(', ') : 'not tested';
    return `${dir}: ${epochs} ${epochs === 1 ? 'epoch' : 'epochs'} in ${duration(hours * 3600)}, validation score ${score(validation)}, ${tested}`;
  });
  const tests =
    typeof differences === 'string'
      ? [`no test of the difference: ${differences}`]
      : differences.map(({ iouThreshold, value, low, high, pValue, undefinedBecause }) => {
          const interval =
            low === null
              ? ` (no interval: ${undefinedBecause})`
              : ` (95 %: ${score(low)} to ${score(high)}, p ${pValue?.toFixed(3)})`;
          return `difference of AP at IoU ${iouThreshold}: ${score(value)}${interval}`;
        });
  const settings = config.length > 0 ? config.map((line) => `  ${line}`) : ['  nothing'];
  return [...sides, '', ...tests, '', 'configured differently:', ...settings].join('\n');
}
