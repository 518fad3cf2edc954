import { mkdir } from 'node:fs/promises';
import { basename, join } from 'node:path';
import type { Dim, GroundTruth, Volume } from '@mdt/core';
import type { Command } from 'commander';
import { openDataset } from '../../data/dataset.js';
import { writeFileAtomic } from '../../files.js';
import { type MontageOptions, plotImage, plotMontage } from '../../plot/overlay.js';
import { renderPng } from '../../plot/png.js';
import { exitCodes } from '../exit-codes.js';
import { type CommandContext, output } from '../output.js';

export function addShow(dataset: Command, { exit, streams }: CommandContext): void {
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
        const svg = pictureOfCase(image, objects, { classes: opened.classes, title: `${opened.name}: ${id}` });
        const path = join(out, `${basename(id)}.png`);
        await writeFileAtomic(path, renderPng(svg));
        result(path, { path });
      }
      exit(exitCodes.ok);
    });
}

/** Slices of a case with its boxes, as SVG: of the first channel where there are several. */
export function pictureOfCase(
  image: Volume<Dim, Float32Array>,
  groundTruth: GroundTruth,
  options: Pick<MontageOptions, 'classes' | 'title' | 'slices'>,
): string {
  const { channels } = image;
  const one: Volume =
    channels === 1
      ? image
      : {
          ...image,
          channels: 1,
          data: Float32Array.from({ length: image.data.length / channels }, (_, i) => image.data[i * channels]!),
        };
  const all = { ...options, groundTruth };
  return one.dim === 2 ? plotImage(one as Volume<2>, all) : plotMontage(one as Volume<3>, all);
}
