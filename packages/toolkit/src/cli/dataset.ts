import { mkdir } from 'node:fs/promises';
import { basename, join } from 'node:path';
import type { Dim, Volume } from '@mdt/core';
import { type Command, Option } from 'commander';
import { checkDataset, type DatasetReport } from '../data/check-dataset.js';
import { openDataset } from '../data/dataset.js';
import { boxTableLayout, luna16Layout } from '../data/layouts/box-table.js';
import { folderLayout } from '../data/layouts/folder.js';
import { nnDetectionLayout } from '../data/layouts/nndetection.js';
import { type LabelKind, labelKinds } from '../data/layouts/objects.js';
import type { Normalisation } from '../data/normalise.js';
import { type NewDataset, writeDataset } from '../data/write-dataset.js';
import { writeFileAtomic } from '../files.js';
import { plotImage, plotMontage } from '../plot/overlay.js';
import { renderPng } from '../plot/png.js';
import { exitCodes } from './exit-codes.js';
import { fraction, wholeNumber } from './numbers.js';
import { type CommandContext, output } from './output.js';

interface ConvertFlags {
  layout: keyof typeof layouts;
  classes?: string;
  objects?: LabelKind;
  images?: string;
  labels?: string;
  table?: string;
  unit?: 'voxels' | 'millimetres';
  window?: string;
  zScore?: boolean;
  dim?: number;
  validation: number;
  test: number;
  seed: number;
  minVoxels?: number;
  overwrite?: boolean;
  json?: boolean;
}

const layouts = { folder: folderLayout, boxes: boxTableLayout, luna16: luna16Layout, nndetection: nnDetectionLayout } as const;

export function addDataset(program: Command, { exit, streams }: CommandContext): void {
  const dataset = program.command('dataset').description('make, check and show data sets');
  dataset
    .command('convert')
    .description('write a data set from images and annotations in another layout')
    .argument('<from>', 'folder of the images and annotations')
    .argument('<to>', 'folder of the data set, which must not exist yet')
    .addOption(new Option('--layout <name>', 'how <from> is laid out').choices(Object.keys(layouts)).default('folder'))
    .option('--classes <names>', 'foreground classes, with commas between')
    .addOption(new Option('--objects <kind>', 'folder: what values of a label map mean').choices([...labelKinds]))
    .option('--images <dir>', 'folder of the images within <from>')
    .option('--labels <dir>', 'folder of the label maps within <from>')
    .option('--table <file>', 'boxes, luna16: the table within <from>')
    .addOption(new Option('--unit <unit>', 'boxes: unit of the coordinates').choices(['voxels', 'millimetres']))
    .option('--window <low,high>', 'map these values to 0 and 1 when an image is loaded')
    .option('--z-score', 'give each image mean 0 and deviation 1 when it is loaded')
    .option('--dim <n>', '2 or 3 (default: what the first image is)', wholeNumber(2))
    .option('--min-voxels <n>', 'fewer voxels are no object', wholeNumber(1))
    .option('--validation <share>', 'share of the cases that validate', fraction, 0.2)
    .option('--test <share>', 'share of the cases that test', fraction, 0.2)
    .option('--seed <n>', 'draws the parts', wholeNumber(0), 0)
    .option('--overwrite', 'replace a data set that is there')
    .option('--json', 'print events as JSON lines')
    .action(async (from: string, to: string, flags: ConvertFlags) => {
      const { result } = output(flags.json ?? false, streams);
      await writeDataset(to, (await layouts[flags.layout](from, layoutOptions(flags))) as NewDataset<Dim>, {
        overwrite: flags.overwrite ?? false,
      });
      const { ids } = await openDataset(to);
      result(`${to}: ${ids.length} cases`, { event: 'end', path: to, cases: ids.length });
      exit(exitCodes.ok);
    });
  dataset
    .command('check')
    .description('list every problem of a data set at once, and its statistics')
    .argument('<dir>', 'folder with dataset.json')
    .option('--json', 'print the report as JSON')
    .action(async (dir: string, flags: { json?: boolean }) => {
      const { result, progress } = output(flags.json ?? false, streams);
      const bar = progress();
      let report: DatasetReport;
      try {
        report = await checkDataset(dir, { onProgress: (done, total) => bar.update(done, total, 'cases') });
      } finally {
        bar.stop();
      }
      result(reportText(report), { event: 'end', ...report });
      exit(report.problems.some(({ level }) => level === 'error') ? exitCodes.data : exitCodes.ok);
    });
  dataset
    .command('show')
    .description('draw cases with the boxes of their objects')
    .argument('<dir>', 'folder with dataset.json')
    .option('--case <id...>', 'cases to draw (default: the first three)')
    .option('--out <dir>', 'where the PNG files go (default: <dir>/pictures)')
    .action(async (dir: string, flags: { case?: string[]; out?: string }) => {
      const { result } = output(false, streams);
      const opened = await openDataset<Dim>(dir);
      const out = flags.out ?? join(dir, 'pictures');
      await mkdir(out, { recursive: true });
      for (const id of flags.case ?? opened.ids.slice(0, 3)) {
        const { image, objects } = await opened.load(id);
        const options = { groundTruth: objects, classes: opened.classes, title: `${opened.name}: ${id}` };
        const one: Volume = image.channels > 1 ? firstChannel(image) : image;
        const svg = opened.dim === 2 ? plotImage(one as Volume<2>, options) : plotMontage(one as Volume<3>, options);
        const path = join(out, `${basename(id)}.png`);
        await writeFileAtomic(path, renderPng(svg));
        result(path, { path });
      }
      exit(exitCodes.ok);
    });
}

function firstChannel(image: Volume<Dim, Float32Array>): Volume<Dim, Float32Array> {
  const { channels } = image;
  return {
    ...image,
    channels: 1,
    data: Float32Array.from({ length: image.data.length / channels }, (_, i) => image.data[i * channels]!),
  };
}

function layoutOptions(
  flags: ConvertFlags,
): Parameters<(typeof layouts)['folder']>[1] & Parameters<(typeof layouts)['boxes']>[1] {
  const { classes, window, zScore, dim, minVoxels, images, labels, table, unit, objects, validation, test, seed } = flags;
  const [low, high] = (window ?? '').split(',').map(Number);
  const normalise: Normalisation | undefined =
    window !== undefined ? { method: 'window', low: low!, high: high! } : zScore ? { method: 'z-score' } : undefined;
  return {
    ...{ validation, test, seed },
    ...(classes !== undefined && { classes: classes.split(',').map((name) => name.trim()) }),
    ...(normalise && { normalise }),
    ...(dim !== undefined && { dim: dim as Dim }),
    ...(minVoxels !== undefined && { minVoxels }),
    ...(images !== undefined && { images }),
    ...(labels !== undefined && { labels }),
    ...(table !== undefined && { table }),
    ...(unit !== undefined && { unit }),
    ...(objects !== undefined && { objects }),
  };
}

function reportText({ name, dim, problems, cases, sizes, spacings, classes }: DatasetReport): string {
  const range = ({ least, median, greatest }: DatasetReport['sizes']) =>
    least.length === 0
      ? 'none'
      : [least, median, greatest].map((row) => row.map((value) => Number(value.toFixed(4))).join(' x ')).join(', '); // least, median, greatest
  const lines = [
    `${name}: ${dim}D, ${cases.train} training, ${cases.validation} validation, ${cases.test} test cases`,
    `  voxels, least, median, greatest: ${range(sizes)}`,
    `  millimetres per voxel: ${range(spacings)}`,
    ...classes.map((one) => `  ${one.name}: ${one.objects} objects in ${one.cases} cases, sides in voxels: ${range(one.sides)}`),
    ...problems.map(({ level, id, text }) => `${level}: ${id === undefined ? '' : `case '${id}': `}${text}`),
  ];
  const errors = problems.filter(({ level }) => level === 'error').length;
  return [...lines, `${errors} errors, ${problems.length - errors} warnings`].join('\n');
}
