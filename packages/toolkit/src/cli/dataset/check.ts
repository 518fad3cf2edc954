import { mkdir } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { type Dim, InputError } from '@mdt/core';
import type { Command } from 'commander';
import { type CheckedCase, checkDataset, type DatasetReport } from '../../data/check-dataset.js';
import { type DatasetCoverage, datasetCoverage } from '../../data/data-coverage.js';
import { openExperiment } from '../../experiment.js';
import { readJson, writeFileAtomic } from '../../files.js';
import { plotDataset } from '../../plot/dataset-plot.js';
import { renderPng } from '../../plot/png.js';
import { exitCodes } from '../exit-codes.js';
import { type CommandContext, output } from '../output.js';
import { type LayoutFlags, layoutOptionsOf, withLayoutChoice, withLayoutFlags } from './flags.js';
import { pictureOfCase } from './show.js';

interface Flags extends LayoutFlags {
  out?: string;
  pictures: boolean;
  config?: string;
  json?: boolean;
}

/** Pictures of cases without a problem: enough to see that boxes lie on objects. */
const goodPictures = 3;

export function addCheck(dataset: Command, { exit, streams }: CommandContext): void {
  const command = dataset
    .command('check')
    .description('list every problem of a data set at once, with its statistics and pictures of slices with their boxes')
    .argument('<from>', 'folder with dataset.json, or one in the layout that --layout names');
  withLayoutFlags(withLayoutChoice(command))
    .option('--out <dir>', 'where statistics and pictures go (default: <from>/check, with --layout beside it: <from>-check)')
    .option('--no-pictures', 'write no files')
    .option('--config <file>', 'an experiment on this data set: how its anchors cover the objects')
    .option('--json', 'print the report as JSON')
    .action(async (dir: string, flags: Flags) => {
      const { result, progress } = output(flags.json ?? false, streams);
      const { layout } = flags;
      const options = layoutOptionsOf(flags);
      const [stray] = Object.keys(options);
      if (!layout && stray) throw new InputError('invalid-option', `check: got ${stray}, expected --layout beside it`);
      // Other layouts may take what lies in their folder for a case.
      const out = flags.out ?? (layout ? `${resolve(dir)}-check` : join(dir, 'check'));
      const bar = progress();
      let report: DatasetReport;
      let good = 0;
      try {
        report = await checkDataset(dir, {
          ...(layout && { layout, options }),
          onProgress: (done, total) => bar.update(done, total, 'cases'),
          async onCase(one) {
            if (!flags.pictures || (!one.hasProblems && good++ >= goodPictures)) return;
            await mkdir(out, { recursive: true });
            await writePicture(out, one);
          },
        });
      } finally {
        bar.stop();
      }
      const wrong = report.problems.some(({ level }) => level === 'error');
      const coverage = flags.config !== undefined && !wrong ? await coverageOf(flags.config, report) : undefined;
      if (flags.pictures) {
        const svg = plotDataset(report.name, report.dim as Dim, report, coverage ? { coverage } : {});
        await writeFileAtomic(join(out, 'statistics.svg'), svg);
        await writeFileAtomic(join(out, 'statistics.png'), renderPng(svg));
      }
      const { rows: _, ...plain } = report;
      const where = flags.pictures ? `\npictures and statistics: ${out}` : '';
      result(`${reportText(report, coverage)}${where}`, { event: 'end', ...plain, ...(coverage && { coverage }) });
      exit(wrong ? exitCodes.data : exitCodes.ok);
    });
}

async function writePicture(out: string, { id, image, boxes, labels }: CheckedCase): Promise<void> {
  const svg = pictureOfCase(image, { dim: image.dim, boxes, labels }, { title: id, slices: 1 });
  await writeFileAtomic(join(out, `${id}.png`), renderPng(svg));
}

async function coverageOf(config: string, report: DatasetReport): Promise<DatasetCoverage | undefined> {
  const { detector } = await openExperiment(await readJson(config), config);
  return datasetCoverage(detector, report);
}

function reportText({ name, dim, problems, cases, sizes, spacings, classes }: DatasetReport, coverage?: DatasetCoverage): string {
  const rows: string[][] = [['', '', 'least', 'median', 'greatest']];
  const add = (label: string, unit: string, { least, median, greatest }: DatasetReport['sizes']) => {
    const text = (row: number[]) => (row.length > 0 ? row.map((value) => Number(value.toFixed(4))).join(' x ') : '-');
    rows.push([label, unit, text(least), text(median), text(greatest)]);
  };
  add('size', 'voxels', sizes);
  add('spacing', 'mm', spacings);
  for (const one of classes) add(`${one.name} (${one.objects} in ${one.cases} cases)`, 'voxels', one.sides);
  const widths = rows[0]!.map((_, column) => Math.max(...rows.map((row) => row[column]!.length)));
  const table = rows.map((row) => `  ${row.map((cell, column) => cell.padEnd(widths[column]!)).join('  ')}`.trimEnd());
  const errors = problems.filter(({ level }) => level === 'error').length;
  return [
    `${name}: ${dim}D, ${cases.train} training, ${cases.validation} validation, ${cases.test} test cases`,
    ...table,
    ...(coverage ? [coverageText(coverage)] : []),
    ...problems.map(({ level, id, text }) => `${level}: ${id === undefined ? '' : `case '${id}': `}${text}`),
    `${errors} errors, ${problems.length - errors} warnings`,
  ].join('\n');
}

function coverageText({ iou, covered, meanBestIou }: DatasetCoverage): string {
  const shares = iou.map((at, i) => `${at}: ${(100 * covered[i]!).toFixed(0)} %`).join(', ');
  return `  objects that an anchor overlaps, by IoU: ${shares}; mean of the best ${meanBestIou.toFixed(2)}`;
}
