import { refuseUnknownKeys } from '@mdt/core';
import { Problems } from '../problems.js';
import type { SourceDataset } from '../write-dataset.js';
import { boxTableLayout, luna16Layout } from './box-table.js';
import { cocoLayout } from './coco.js';
import { deepLesionLayout } from './deep-lesion.js';
import { folderLayout } from './folder.js';
import { lidcLayout } from './lidc/lidc.js';
import { lidcConvertedLayout } from './lidc/lidc-converted.js';
import { nnDetectionLayout } from './nndetection.js';
import { originalArraysLayout } from './original-arrays.js';

interface Layout {
  open: (folder: string, options: never, problems: Problems) => Promise<SourceDataset>;
  /** Options beside those that all layouts have. */
  options: readonly string[];
}

const common = ['name', 'classes', 'normalise', 'minVoxels', 'validation', 'test', 'seed'];

/** How other programs lay out images and annotations, by name. */
export const layouts = {
  folder: { open: folderLayout, options: ['dim', 'images', 'labels', 'objects', 'classTable'] },
  boxes: { open: boxTableLayout, options: ['dim', 'images', 'table', 'unit'] },
  coco: { open: cocoLayout, options: ['dim', 'images', 'table', 'shape'] },
  nndetection: { open: nnDetectionLayout, options: ['dim'] },
  luna16: { open: luna16Layout, options: ['dim', 'images', 'table'] },
  lidc: { open: lidcLayout, options: ['consensus', 'outlines'] },
  'lidc-converted': { open: lidcConvertedLayout, options: ['consensus', 'table'] },
  'original-arrays': { open: originalArraysLayout, options: ['table', 'spacing', 'threshold', 'targets'] },
  'deep-lesion': { open: deepLesionLayout, options: ['table', 'images', 'byType', 'noisy'] },
} as const satisfies Record<string, Layout>;

export type LayoutName = keyof typeof layouts;
export const layoutNames = Object.keys(layouts) as LayoutName[];

/**
 * Opens a folder by the name of its layout, with the options of that layout.
 *
 * @param problems takes what is wrong with the folder; by itself the first problem is thrown
 * @throws InputError `unknown-option`, and what the layout throws; StoppedReading where `problems` has all that can be said
 */
export function openLayout(
  name: LayoutName,
  folder: string,
  options: object = {},
  problems: Problems = new Problems(),
): Promise<SourceDataset> {
  const layout: Layout = layouts[name];
  refuseUnknownKeys(`layout ${name}`, options, [...common, ...layout.options]);
  return layout.open(folder, options as never, problems);
}
