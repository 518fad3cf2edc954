import type { Dim } from '@mdt/core';
import { InputError } from '@mdt/core';
import type { Normalisation } from '@mdt/formats';
import { type Command, InvalidArgumentError, Option } from 'commander';
import { type LayoutName, layoutNames } from '../../data/layouts/index.js';
import { type LabelKind, labelKinds } from '../../data/layouts/objects.js';
import { fraction, wholeNumber } from '../numbers.js';

/** Numbers with commas between. */
export const numberList =
  (count: number) =>
  (text: string): number[] => {
    const values = text.split(',').map((part) => (part.trim() === '' ? Number.NaN : Number(part)));
    if (values.length === count && values.every(Number.isFinite)) return values;
    throw new InvalidArgumentError(`expected ${count} numbers with commas between`);
  };

/** Two or three numbers, by the dimension of the data. */
export const perAxisList = (text: string): number[] => numberList(text.split(',').length === 2 ? 2 : 3)(text);

export interface NormaliseFlags {
  window?: number[];
  zScore?: boolean;
  clip?: number[];
}

export const withNormaliseFlags = (command: Command): Command =>
  command
    .option('--window <low,high>', 'map these values to 0 and 1', numberList(2))
    .option('--z-score', 'give each image mean 0 and deviation 1')
    .option('--clip <low,high>', 'with --z-score: cut there first', numberList(2));

export function normaliseOf({ window, zScore, clip }: NormaliseFlags): Normalisation | undefined {
  if (window && zScore) throw new InputError('invalid-option', '--window and --z-score: expected one of them');
  if (clip && !zScore) throw new InputError('invalid-option', '--clip: expected --z-score beside it');
  if (window) return { method: 'window', low: window[0]!, high: window[1]! };
  return zScore ? { method: 'z-score', ...(clip && { clip: [clip[0]!, clip[1]!] as const }) } : undefined;
}

export interface LayoutFlags extends NormaliseFlags {
  layout?: LayoutName;
  name?: string;
  classes?: string;
  objects?: LabelKind;
  classTable?: string;
  images?: string;
  labels?: string;
  table?: string;
  unit?: 'voxels' | 'millimetres';
  layoutOptions?: object;
  dim?: number;
  validation?: number;
  test?: number;
  seed?: number;
  minVoxels?: number;
}

/** What the options of layouts need on the command line. */
export function withLayoutFlags(command: Command): Command {
  return withNormaliseFlags(
    command
      .option('--name <name>', "of the data set (default: the folder's)")
      .option('--classes <names>', 'foreground classes, with commas between')
      .addOption(new Option('--objects <kind>', 'folder: what label maps hold').choices([...labelKinds]))
      .option('--class-table <file>', 'folder: CSV with the columns case, object, class')
      .option('--images <dir>', 'folder of the images within <from>')
      .option('--labels <dir>', 'folder of the label maps within <from>')
      .option('--dim <n>', '2 or 3 (default: what the first image is)', wholeNumber(2))
      .option('--min-voxels <n>', 'fewer voxels are no object', wholeNumber(1))
      .option('--validation <share>', 'share of the patients that validate (default: 0.2)', fraction)
      .option('--test <share>', 'share of the patients that test (default: 0.2)', fraction)
      .option('--seed <n>', 'draws the parts', wholeNumber(0)),
  );
}

export const withLayoutChoice = (command: Command): Command =>
  command
    .addOption(new Option('--layout <name>', 'how <from> is laid out').choices(layoutNames))
    .option('--table <file>', 'the table of a layout that has one, within <from>')
    .addOption(new Option('--unit <unit>', 'boxes: unit of the coordinates').choices(['voxels', 'millimetres']))
    .option('--layout-options <json>', 'further options of the layout, as an object', jsonObject);

function jsonObject(text: string): object {
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value;
  } catch {
    // said below
  }
  throw new InvalidArgumentError('expected a JSON object');
}

/** The options of a layout that the flags give; those that it does not have are refused by `openLayout`. */
export function layoutOptionsOf(flags: LayoutFlags): object {
  const { name, classes, dim, minVoxels, images, labels, table, unit, objects, classTable, validation, test, seed } = flags;
  const normalise = normaliseOf(flags);
  const given = { name, minVoxels, images, labels, table, unit, objects, classTable, validation, test, seed, normalise };
  return {
    ...Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined)),
    ...(dim !== undefined && { dim: dim as Dim }),
    ...(classes !== undefined && { classes: classes.split(',').map((one) => one.trim()) }),
    ...flags.layoutOptions,
  };
}
