import { access } from 'node:fs/promises';
import { join } from 'node:path';
import { type Dim, InputError } from '@mdt/core';
import { Argument, type Command, Option } from 'commander';
import { resolveConfig } from '../config/config.js';
import { configSource, type TemplateName, templateConfig, templateNames } from '../config/templates.js';
import { parseDatasetJson } from '../data/dataset-json.js';
import { generateToy, type ToyTask, toyTasks } from '../data/toy.js';
import { readInput } from '../data/volume-file.js';
import { writeFileAtomic } from '../files.js';
import { exitCodes } from './exit-codes.js';
import { wholeNumber } from './numbers.js';
import { shared } from './options.js';
import { type CommandContext, output } from './output.js';

interface CreateFlags {
  out?: string;
  data?: string;
  dim?: '2' | '3';
  task: ToyTask;
  images: number;
  overwrite?: boolean;
  json?: boolean;
}

export function addCreate(program: Command, { exit, streams }: CommandContext): void {
  program
    .command('create')
    .description('write a configuration with comments, from a template')
    .addArgument(
      new Argument('<template>', "toy: the original's toy experiment; lidc: its LIDC experiment").choices(templateNames),
    )
    .option('--data <dir>', 'folder of the data set (default: data/<template>)')
    .addOption(new Option('--dim <n>', 'axes of the network (default: those of the data, else 2)').choices(['2', '3']))
    .option('--out <file>', 'a .ts file, or .json without comments (default: <template>.config.ts)')
    .addOption(new Option('--task <name>', 'toy: which data').choices(toyTasks).default('donuts_shape'))
    .option('--images <n>', 'toy: images to generate where the data folder is not there', wholeNumber(10), 300)
    .option('--overwrite', 'replace a file that is there')
    .addOption(shared.json())
    .addHelpText(
      'after',
      `
Examples:
  $ mdt create toy && mdt train-test toy.config.ts --dev
  $ mdt create own --data data/livers --out livers.config.ts
  $ mdt create lidc --dim 3 --data data/lidc`,
    )
    .action(async (template: TemplateName, flags: CreateFlags) => {
      const { result } = output(flags.json ?? false, streams);
      const { data = join('data', template), out = `${template}.config.ts` } = flags;
      const there = await access(out).then(
        () => true,
        () => false,
      );
      if (there && !flags.overwrite)
        throw new InputError('invalid-option', `${out} is there: name another file with --out, or --overwrite it`);
      const dim = flags.dim === undefined ? ((await dimOfData(data)) ?? 2) : (Number(flags.dim) as Dim);
      const config = templateConfig({ template, dim, data });
      resolveConfig(config, out);
      const written = [out];
      if (template === 'toy' && (await dimOfData(data)) === undefined) {
        await generateToy(data, toyOptions(flags.task, dim, flags.images));
        written.push(data);
      }
      await writeFileAtomic(out, out.endsWith('.json') ? `${JSON.stringify(config, null, 2)}\n` : configSource(config));
      result(`${written.join('\n')}\n\nNext: mdt train ${out}`, { event: 'end', files: written });
      exit(exitCodes.ok);
    });
}

/** Axes of a data set; undefined where there is none. */
async function dimOfData(dir: string): Promise<Dim | undefined> {
  const file = join(dir, 'dataset.json');
  try {
    return parseDatasetJson((await readInput(file)).toString('utf8'), file).dim;
  } catch (error) {
    if (error instanceof InputError && error.code === 'missing-file') return undefined;
    throw error;
  }
}

/** Parts in the original's proportion of 1000, 500 and 1000 images. */
function toyOptions(task: ToyTask, dim: Dim, images: number) {
  const count = { train: Math.round(images * 0.4), validation: Math.round(images * 0.2), test: Math.round(images * 0.4) };
  const common = { task, count, seed: 0, negatives: 0 };
  return dim === 2
    ? ({ ...common, dim, size: [320, 320] } as const)
    : ({ ...common, dim, size: [32, 64, 64], spacing: [2, 1, 1], radius: 10 } as const);
}
