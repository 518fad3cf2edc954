import type { SourceDataset } from '../write-dataset.js';
import { boxTableLayout, luna16Layout } from './box-table.js';
import { cocoLayout } from './coco.js';
import { deepLesionLayout } from './deep-lesion.js';
import { folderLayout } from './folder.js';
import { lidcLayout } from './lidc/lidc.js';
import { lidcConvertedLayout } from './lidc/lidc-converted.js';
import { nnDetectionLayout } from './nndetection.js';
import { originalArraysLayout } from './original-arrays.js';

/** How other programs lay out images and annotations, by name. */
export const layouts = {
  folder: folderLayout,
  boxes: boxTableLayout,
  coco: cocoLayout,
  nndetection: nnDetectionLayout,
  luna16: luna16Layout,
  lidc: lidcLayout,
  'lidc-converted': lidcConvertedLayout,
  'original-arrays': originalArraysLayout,
  'deep-lesion': deepLesionLayout,
} as const;

export type LayoutName = keyof typeof layouts;
export const layoutNames = Object.keys(layouts) as LayoutName[];

/** Opens a folder by the name of its layout, with the options of that layout. */
export function openLayout(name: LayoutName, folder: string, options: object = {}): Promise<SourceDataset> {
  return (layouts[name] as (folder: string, options: object) => Promise<SourceDataset>)(folder, options);
}
