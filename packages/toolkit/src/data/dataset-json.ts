import { isAbsolute, normalize, sep } from 'node:path';
import { type Dim, InputError, nearestName, refuseUnknownKeys } from '@mdt/core';
import { maxObjectId } from '@mdt/formats';
import { checkNormalisation, type Normalisation } from './normalise.js';

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
  /** Millimetres per voxel, array order; overrides the data set's and the file's. */
  spacing?: number[];
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
  'minVoxels',
  'cases',
  'licence',
  'source',
];
const caseKeys = ['id', 'image', 'labels', 'objectClasses', 'split', 'spacing'];

/**
 * Checks every field of a `dataset.json`.
 *
 * @throws InputError that names the file and the field, what was expected and what was found
 */
export function parseDatasetJson(text: string, where: string): DatasetJson {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch (cause) {
    throw new InputError('invalid-data', `${where}: not JSON (${(cause as Error).message})`, { cause });
  }
  return checkDatasetJson(json, where);
}

/** As `parseDatasetJson`, for a value in memory. */
export function checkDatasetJson(json: unknown, where: string): DatasetJson {
  const root = asObject(json, where);
  refuseUnknownKeys(where, root, datasetKeys);
  const expect = (good: boolean, field: string, expected: string) => {
    if (!good) throw new InputError('invalid-data', `${where}: ${field} is ${show(root[field])}, expected ${expected}`);
  };
  expect(root.format === 'mdt-dataset', 'format', `'mdt-dataset'`);
  expect(root.version === 1, 'version', '1');
  expect(isName(root.name), 'name', 'a text');
  expect(root.dim === 2 || root.dim === 3, 'dim', '2 or 3');
  expect(isCount(root.channels), 'channels', 'a whole number from 1 on');
  expect(root.minVoxels === undefined || isCount(root.minVoxels), 'minVoxels', 'a whole number from 1 on');
  const dim = root.dim as Dim;
  const classes = root.classes as string[];
  expect(Array.isArray(classes) && classes.length > 0 && classes.every(isName), 'classes', 'a list of names');
  expect(new Set(classes).size === classes.length, 'classes', 'different names');
  expect(root.spacing === undefined || isSpacing(root.spacing, dim), 'spacing', `${dim} positive numbers (millimetres)`);
  expect(Array.isArray(root.cases), 'cases', 'a list');
  checkNormalisation(root.normalise, `${where}: normalise`);
  const cases = root.cases as unknown[];
  if (cases.length === 0) throw new InputError('empty-dataset', `${where}: cases is empty, expected at least one`);
  const ids = new Set<string>();
  cases.forEach((entry, i) => {
    const { id } = checkCase(entry, `${where}: cases[${i}]`, classes, dim);
    if (ids.has(id)) throw new InputError('invalid-data', `${where}: cases[${i}]: id '${id}' stands for an earlier case already`);
    ids.add(id);
  });
  return json as DatasetJson;
}

function checkCase(value: unknown, where: string, classes: readonly string[], dim: Dim): CaseEntry {
  const entry = asObject(value, where);
  refuseUnknownKeys(where, entry, caseKeys);
  const expect = (good: boolean, field: string, expected: string) => {
    if (!good) throw new InputError('invalid-data', `${where}: ${field} is ${show(entry[field])}, expected ${expected}`);
  };
  expect(isName(entry.id), 'id', 'a text');
  for (const field of ['image', 'labels']) {
    expect(isInnerPath(entry[field]), field, 'a path relative to dataset.json, within its folder');
  }
  expect(splitNames.includes(entry.split as SplitName), 'split', `one of ${splitNames.join(', ')}`);
  expect(entry.spacing === undefined || isSpacing(entry.spacing, dim), 'spacing', `${dim} positive numbers (millimetres)`);
  const given = entry.objectClasses;
  if (typeof given !== 'string') {
    for (const id of Object.keys(asObject(given, `${where}: objectClasses`))) {
      const good = /^[1-9]\d*$/.test(id) && Number(id) <= maxObjectId;
      if (!good) throw new InputError('invalid-data', `${where}: objectClasses has id '${id}', expected 1 to ${maxObjectId}`);
    }
  }
  for (const name of typeof given === 'string' ? [given] : Object.values(given as object)) {
    if (classes.includes(name)) continue;
    const near = typeof name === 'string' ? nearestName(name, classes) : undefined;
    throw new InputError(
      'unknown-class',
      `${where}: objectClasses names class ${show(name)}, expected one of ${classes.join(', ')}${near ? ` (did you mean '${near}'?)` : ''}`,
    );
  }
  return value as CaseEntry;
}

function asObject(value: unknown, where: string): Record<string, unknown> {
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as Record<string, unknown>;
  throw new InputError('invalid-data', `${where}: found ${show(value)}, expected an object`);
}

const isName = (value: unknown): boolean => typeof value === 'string' && value !== '';
const isCount = (value: unknown): boolean => Number.isSafeInteger(value) && (value as number) >= 1;
const isSpacing = (value: unknown, dim: Dim): boolean =>
  Array.isArray(value) && value.length === dim && value.every((v) => Number.isFinite(v) && v > 0);

function isInnerPath(value: unknown): boolean {
  if (typeof value !== 'string' || value === '' || isAbsolute(value)) return false;
  const path = normalize(value);
  return path !== '..' && !path.startsWith(`..${sep}`);
}

function show(value: unknown): string {
  return value === undefined ? 'missing' : (JSON.stringify(value) ?? String(value)).slice(0, 80);
}
