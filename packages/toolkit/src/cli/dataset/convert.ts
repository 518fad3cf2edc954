import type { Dim } from '@mdt/core';
import type { Command } from 'commander';
import { openDataset } from '../../data/dataset.js';
import { type InitOptions, initDataset } from '../../data/init-dataset.js';
import { openLayout } from '../../data/layouts/index.js';
import { writeDataset } from '../../data/write-dataset.js';
import { exitCodes } from '../exit-codes.js';
import { type CommandContext, output } from '../output.js';
import { type LayoutFlags, layoutOptionsOf, withLayoutChoice, withLayoutFlags } from './flags.js';

type Flags = LayoutFlags & { overwrite?: boolean; json?: boolean };

export function addConvert(dataset: Command, { exit, streams }: CommandContext): void {
  const command = dataset
    .command('convert')
    .description('write a data set from images and annotations in another layout')
    .argument('<from>', 'folder of the images and annotations')
    .argument('<to>', 'folder of the data set, which must not exist yet');
  withLayoutFlags(withLayoutChoice(command))
    .option('--overwrite', 'replace a data set that is there')
    .option('--json', 'print events as JSON lines')
    .action(async (from: string, to: string, flags: Flags) => {
      const { result, progress } = output(flags.json ?? false, streams);
      const source = await openLayout(flags.layout ?? 'folder', from, layoutOptionsOf(flags));
      const bar = progress();
      let done = 0;
      const counted = source.cases.map((one) => ({
        ...one,
        load: async () => {
          const loaded = await one.load();
          bar.update(++done, source.cases.length, one.id);
          return loaded;
        },
      }));
      try {
        await writeDataset<Dim>(to, { ...source, cases: counted }, { overwrite: flags.overwrite ?? false });
      } finally {
        bar.stop();
      }
      const { ids } = await openDataset(to);
      result(`${to}: ${ids.length} cases`, { event: 'end', path: to, cases: ids.length });
      exit(exitCodes.ok);
    });
}

export function addInit(dataset: Command, { exit, streams }: CommandContext): void {
  const command = dataset
    .command('init')
    .description('make a data set of images and label maps where they lie: writes dataset.json beside them')
    .argument('<dir>', 'folder with images and label maps');
  withLayoutFlags(command)
    .option('--overwrite', 'replace a dataset.json that is there')
    .option('--json', 'print events as JSON lines')
    .action(async (dir: string, flags: Flags) => {
      const { result } = output(flags.json ?? false, streams);
      const options: InitOptions = { ...layoutOptionsOf(flags), overwrite: flags.overwrite ?? false };
      const { cases, classes } = await initDataset(dir, options);
      result(`${dir}/dataset.json: ${cases.length} cases, classes ${classes.join(', ')}`, {
        event: 'end',
        path: dir,
        cases: cases.length,
      });
      exit(exitCodes.ok);
    });
}
