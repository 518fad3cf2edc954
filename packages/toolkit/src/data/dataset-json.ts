import { isAbsolute, normalize, sep } from 'node:path';
import { type Dim, InputError, type InputErrorCode, nearestName } from '@mdt/core';
import { checkNormalisation, maxObjectId, type Normalisation } from '@mdt/formats';
import { Problems, shown } from './problems.js';

export type SplitName = 'train' | 'validation' | 'test';
export const splitNames: readonly SplitName[] = ['train', 'validation', 'test'];

/** One image with its label map, as `dataset.json` lists it. Paths are relative to that file and stay in its folder. */
export interface CaseEntry {
  id: string;
  image: string;
  labels: string;
  /** The class of every object (a name), or of each by its id in the label map. */
  objectClasses: string | Record<string, string>;
  split: SplitName;
  /** Cases of one patient share a fold. Default: each case is a patient of its own. */
  patient?: string;
  /** Millimetres per voxel, array order; overrides the data set's and the file's. */
  spacing?: number[];
  /** Millimetres of the first voxel's centre, array order; overrides the file's. */
  origin?: number[];
  /** Direction cosines, see `Placement` of `@mdt/core`; overrides the file's. */
  direction?: number[];
}

/** The content of `dataset.json`. */
export interface DatasetJson {
  format: 'mdt-dataset';
  version: 1;
  name: string;
  dim: Dim;
  /** Foreground classes; the first has label 0. */
  classes: string[];
  channels: number;
  /** Millimetres per voxel, array order, of files that do not say. Default 1. */
  spacing?: number[];
  /** Applied when an image is loaded. */
  normalise: Normalisation;
  /**
   * What a value of a label map is. `instances` (default): an object. `components`: a class, whose parts connected by faces are
   * objects; where `objectClasses` is one name, all foreground is that class.
   */
  objects?: 'instances' | 'components';
  /** An object of fewer voxels is none: its voxels become background. Default 1. */
  minVoxels?: number;
  cases: CaseEntry[];
  licence?: string;
  source?: string;
}

const datasetKeys = [
  'format',
  'version',
  'name',
  'dim',
  'classes',
  'channels',
  'spacing',
  'normalise',
  'objects',
  'minVoxels',
  'cases',
  'licence',
  'source',
];
const caseKeys = ['id', 'image', 'labels', 'objectClasses', 'split', 'patient', 'spacing', 'origin', 'direction'];

/**
 * Checks every field of a `dataset.json`.
 *
 * @throws InputError for the first problem, with the file and the field, what was expected and what was found
 */
export function parseDatasetJson(text: string, where: string): DatasetJson {
  return checkDatasetJson(parsed(text, where), where);
}

/**
 * As `parseDatasetJson`, for a value in memory.
 *
 * @param problems takes everything that is wrong with its fields; then what is returned may be anything
 */
export function checkDatasetJson(json: unknown, file: string, problems: Problems = new Problems()): DatasetJson {
  addProblems(json, (field, found, expected, code = 'invalid-data') => problems.add({ code, file, field, expected, found }));
  return json as DatasetJson;
}

function parsed(text: string, where: string): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new InputError('invalid-data', `${where}: not JSON (${(cause as Error).message})`, { cause });
  }
}

type Add = (field: string, found: string, expected: string, code?: InputErrorCode) => void;

function addProblems(json: unknown, add: Add): void {
  if (!isObject(json)) {
    add('', shown(json), 'an object');
    return;
  }
  addUnknownKeys(json, datasetKeys, '', add);
  const expect = (good: boolean, field: string, expected: string) => {
    if (!good) add(field, shown(json[field]), expected);
  };
  expect(json.format === 'mdt-dataset', 'format', `'mdt-dataset'`);
  expect(json.version === 1, 'version', '1');
  expect(isName(json.name), 'name', 'a text');
  expect(json.dim === 2 || json.dim === 3, 'dim', '2 or 3');
  expect(isCount(json.channels), 'channels', 'a whole number from 1 on');
  expect(json.minVoxels === undefined || isCount(json.minVoxels), 'minVoxels', 'a whole number from 1 on');
  expect([undefined, 'instances', 'components'].includes(json.objects as string), 'objects', `'instances' or 'components'`);
  const dim = json.dim as Dim;
  const { classes, cases } = json;
  const named = Array.isArray(classes) && classes.length > 0 && classes.every(isName);
  expect(named, 'classes', 'a list of names');
  if (named) expect(new Set(classes).size === classes.length, 'classes', 'different names');
  expect(json.spacing === undefined || isSpacing(json.spacing, dim), 'spacing', `${dim} positive numbers (millimetres)`);
  try {
    checkNormalisation(json.normalise, 'normalise');
  } catch (error) {
    if (!(error instanceof InputError)) throw error;
    const [found, expected = 'a method with its options'] = error.message.slice('normalise: '.length).split(', expected ');
    add('normalise', found!, expected, error.code);
  }
  expect(Array.isArray(cases), 'cases', 'a list');
  if (!Array.isArray(cases)) return;
  if (cases.length === 0) add('cases', 'empty', 'at least one', 'empty-dataset');
  const ids = new Set<unknown>();
  for (const [i, entry] of cases.entries()) {
    addCaseProblems(entry, `cases[${i}]`, named ? (classes as string[]) : undefined, dim, add);
    if (!isObject(entry)) continue;
    if (ids.has(entry.id)) add(`cases[${i}].id`, `'${entry.id}', which stands for an earlier case already`, 'an id of its own');
    ids.add(entry.id);
  }
}

function addUnknownKeys(value: object, known: readonly string[], at: string, add: Add): void {
  for (const key of Object.keys(value)) {
    if (known.includes(key)) continue;
    const near = nearestName(key, known);
    const found = `an object with the unknown option '${key}'${near ? `, did you mean '${near}'?` : ''}`;
    add(at, found, `one of ${known.join(', ')}`, 'unknown-option');
  }
}

function addCaseProblems(entry: unknown, at: string, classes: readonly string[] | undefined, dim: Dim, add: Add): void {
  if (!isObject(entry)) {
    add(at, shown(entry), 'an object');
    return;
  }
  addUnknownKeys(entry, caseKeys, at, add);
  const expect = (good: boolean, field: string, expected: string) => {
    if (!good) add(`${at}.${field}`, shown(entry[field]), expected);
  };
  expect(isName(entry.id), 'id', 'a text');
  expect(entry.patient === undefined || isName(entry.patient), 'patient', 'a text');
  for (const field of ['image', 'labels']) {
    expect(isInnerPath(entry[field]), field, 'a path relative to dataset.json, within its folder');
  }
  expect(splitNames.includes(entry.split as SplitName), 'split', `one of ${splitNames.join(', ')}`);
  expect(entry.spacing === undefined || isSpacing(entry.spacing, dim), 'spacing', `${dim} positive numbers (millimetres)`);
  expect(entry.origin === undefined || isNumbers(entry.origin, dim), 'origin', `${dim} numbers (millimetres)`);
  expect(entry.direction === undefined || isNumbers(entry.direction, dim * dim), 'direction', `${dim * dim} numbers`);
  const given = entry.objectClasses;
  if (typeof given !== 'string' && !isObject(given)) {
    add(`${at}.objectClasses`, shown(given), 'a class, or an object from id to class');
    return;
  }
  if (typeof given !== 'string') {
    for (const id of Object.keys(given)) {
      const good = /^[1-9]\d*$/.test(id) && Number(id) <= maxObjectId;
      if (!good) add(`${at}.objectClasses`, `an object with id '${id}'`, `ids from 1 to ${maxObjectId}`);
    }
  }
  const names = typeof given === 'string' ? [given] : Object.values(given);
  for (const name of new Set(classes ? names : [])) {
    if (classes!.includes(name as string)) continue;
    const near = typeof name === 'string' ? nearestName(name, classes!) : undefined;
    const expected = `one of ${classes!.join(', ')}${near ? ` (did you mean '${near}'?)` : ''}`;
    add(`${at}.objectClasses`, `class ${shown(name)}`, expected, 'unknown-class');
  }
}

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);
const isNumbers = (value: unknown, count: number): boolean =>
  Array.isArray(value) && value.length === count && value.every(Number.isFinite);
const isName = (value: unknown): boolean => typeof value === 'string' && value !== '';
const isCount = (value: unknown): boolean => Number.isSafeInteger(value) && (value as number) >= 1;
const isSpacing = (value: unknown, dim: Dim): boolean =>
  Array.isArray(value) && value.length === dim && value.every((v) => Number.isFinite(v) && v > 0);

function isInnerPath(value: unknown): boolean {
  if (typeof value !== 'string' || value === '' || isAbsolute(value)) return false;
  const path = normalize(value);
  return path !== '..' && !path.startsWith(`..${sep}`);
}
