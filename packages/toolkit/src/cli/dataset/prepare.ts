import type { Command } from 'commander';
import { prepareDataset } from '../../data/prepare/prepare-dataset.js';
import { exitCodes } from '../exit-codes.js';
import { interruptSignal } from '../interrupt.js';
import { wholeNumber } from '../numbers.js';
import { type CommandContext, output } from '../output.js';
import { type LayoutFlags, layoutOptionsOf, normaliseOf, perAxisList, withLayoutChoice, withLayoutFlags } from './flags.js';

interface Flags extends LayoutFlags {
  spacing?: number[];
  cropAbove?: number;
  cropMargin?: number;
  workers: number;
  json?: boolean;
}

export function addPrepare(dataset: Command, { exit, streams }: CommandContext): void {
  const command = dataset
    .command('prepare')
    .description('crop, resample and normalise every case once, for training; goes on where it stopped')
    .argument('<from>', 'folder with dataset.json, or one in the layout that --layout names')
    .argument('<to>', 'folder of the prepared data set');
  withLayoutFlags(withLayoutChoice(command))
    .option('--spacing <z,y,x>', 'millimetres per voxel to resample to', perAxisList)
    .option('--crop-above <value>', 'cut away what surrounds the voxels above this grey value', Number)
    .option('--crop-margin <mm>', 'with --crop-above: keep so much around them', Number)
    .option('--workers <n>', 'threads', wholeNumber(0), 1)
    .option('--json', 'print events as JSON lines')
    .action(async (from: string, to: string, flags: Flags) => {
      const { result, progress } = output(flags.json ?? false, streams);
      const { spacing, cropAbove, cropMargin, workers, layout } = flags;
      const normalise = normaliseOf(flags);
      const bar = progress();
      const interrupt = interruptSignal(() => bar.log('Stopping …'));
      try {
        const { made, kept, removed, lost } = await prepareDataset({
          ...{ folder: from, to, workers, signal: interrupt.signal },
          ...(layout && { layout, options: layoutOptionsOf(flags) }),
          ...(spacing && { spacing }),
          ...(cropAbove !== undefined && { crop: { above: cropAbove, ...(cropMargin !== undefined && { margin: cropMargin }) } }),
          ...(normalise && { normalise }),
          onProgress: ({ done, total, id }) => bar.update(done, total, id),
        });
        bar.stop();
        const gone = lost.map(({ id, object }) => `object ${object} of case '${id}'`).slice(0, 8);
        const text = `${to}: ${made.length} cases prepared, ${kept.length} were ready${removed.length > 0 ? `, ${removed.length} removed` : ''}`;
        const note = gone.length > 0 ? `\nno voxel is left of ${lost.length} objects: ${gone.join(', ')}` : '';
        result(`${text}${note}`, { event: 'end', path: to, made, kept, removed, lost });
        exit(exitCodes.ok);
      } catch (error) {
        if (!interrupt.signal.aborted) throw error;
        exit(exitCodes.interrupted);
      } finally {
        bar.stop();
        interrupt.release();
      }
    });
}
