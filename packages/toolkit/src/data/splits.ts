import { createHash } from 'node:crypto';
import { access } from 'node:fs/promises';
import { type Dim, InputError, rng } from '@mdt/core';
import { readJson, writeFileAtomic } from '../files.js';
import type { Dataset, splitDataset } from './dataset.js';

/** Ids of the cases of one fold. */
export interface SplitIds {
  training: string[];
  validation: string[];
  test: string[];
}

/** The content of a splits file. */
interface SplitsJson {
  format: 'mdt-splits';
  version: 1;
  /** SHA-256 of what the splits were drawn from: the ids, patients and classes of the cases. */
  dataset: string;
  seed: string | number;
  stratified: boolean;
  folds: SplitIds[];
}

export interface SplitsOptions {
  /** Cross-validation with so many folds, 3 or more: each case is tested once, the fold after it validates. Default 5. */
  folds?: number;
  /** One fold with these shares instead. */
  holdOut?: { validation: number; test: number };
  /** Spreads cases of the same classes evenly over the folds. Default false. */
  stratify?: boolean;
  seed?: string | number;
}

/** What splits are drawn from. */
export type SplitSource = Pick<Dataset, 'ids' | 'classesOf'> & Partial<Pick<Dataset, 'patientOf'>>;

/**
 * Draws splits by patient: all cases of one share a part. The same ids, patients, classes and options give the same splits, in whatever
 * order the cases are listed.
 *
 * @throws InputError `invalid-option`; `invalid-data` where there are fewer patients than folds
 */
export function drawSplits(
  dataset: SplitSource,
  { folds = 5, holdOut, stratify = false, seed = 0 }: SplitsOptions = {},
): SplitIds[] {
  const patients = patientsOf(dataset);
  const order = shuffled(patients, stratify, seed);
  const casesOf = (names: readonly string[]) => names.flatMap((name) => patients.get(name)!.ids);
  const parts = holdOut ? 0 : folds;
  if (!holdOut && !(Number.isInteger(parts) && parts >= 3))
    throw new InputError('invalid-option', `splits: folds is ${folds}, expected 3 or more`);
  if (holdOut) {
    const { validation, test } = holdOut;
    if (!(validation >= 0 && test >= 0 && validation + test < 1)) {
      throw new InputError(
        'invalid-option',
        `splits: validation ${validation} and test ${test}, expected shares that leave some for training`,
      );
    }
    const split: SplitIds = { training: [], validation: [], test: [] };
    const shares = { test, validation, training: 1 - test - validation };
    // Each case goes to the part that lags behind its share most, so that strata are spread over the parts.
    for (const [place, name] of order.entries()) {
      const lag = (part: keyof SplitIds) => shares[part] * (place + 1) - split[part].length;
      const parts = ['training', 'test', 'validation'] as const;
      split[parts.reduce((best, part) => (lag(part) > lag(best) + 1e-9 ? part : best))].push(name);
    }
    return [{ training: casesOf(split.training), validation: casesOf(split.validation), test: casesOf(split.test) }];
  }
  if (order.length < parts) throw new InputError('invalid-data', `splits: ${order.length} patients cannot fill ${parts} folds`);
  return Array.from({ length: parts }, (_, fold) => ({
    training: casesOf(order.filter((_, place) => place % parts !== fold && place % parts !== (fold + 1) % parts)),
    validation: casesOf(order.filter((_, place) => place % parts === (fold + 1) % parts)),
    test: casesOf(order.filter((_, place) => place % parts === fold)),
  }));
}

interface Patient {
  ids: string[];
  /** Labels that its cases have. */
  labels: number[];
}

function patientsOf(source: SplitSource): Map<string, Patient> {
  const { ids } = source;
  const patientOf = (id: string) => source.patientOf?.(id) ?? id;
  const classesOf = (id: string) => source.classesOf(id);
  const patients = new Map<string, Patient>();
  for (const id of [...ids].sort()) {
    const { ids: own, labels } = patients.get(patientOf(id)) ?? { ids: [], labels: [] };
    patients.set(patientOf(id), { ids: [...own, id], labels: [...new Set([...labels, ...classesOf(id)])].sort((a, b) => a - b) });
  }
  return patients;
}

/** Patients in random order; stratified, those with the same classes one after the other, the rarest group first. */
function shuffled(patients: ReadonlyMap<string, Patient>, stratify: boolean, seed: string | number): string[] {
  const sorted = [...patients.keys()].sort();
  const order = Array.from(rng(seed).fork('splits').choose(sorted.length, sorted.length), (index) => sorted[index]!);
  if (!stratify) return order;
  const groups = new Map<string, string[]>();
  for (const name of order) {
    const key = patients.get(name)!.labels.join();
    groups.set(key, [...(groups.get(key) ?? []), name]);
  }
  return [...groups].sort(([a, one], [b, other]) => one.length - other.length || (a < b ? -1 : 1)).flatMap(([, group]) => group);
}

function hashOf(source: SplitSource): string {
  const rows = [...source.ids].sort().map((id) => {
    const patient = source.patientOf?.(id) ?? id;
    return [id, source.classesOf(id), ...(patient === id ? [] : [patient])];
  });
  return createHash('sha256').update(JSON.stringify(rows)).digest('hex');
}

/**
 * The splits in a file: drawn and written once, read ever after.
 *
 * @throws InputError `invalid-data` where the file is not of this data set any more: a case came, went or changed its classes. Take
 * another file, or remove it to draw anew
 */
export async function openSplits(path: string, dataset: Dataset, options: SplitsOptions = {}): Promise<SplitIds[]> {
  const hash = hashOf(dataset);
  const there = await access(path).then(
    () => true,
    () => false,
  );
  if (!there) {
    const folds = drawSplits(dataset, options);
    const json: SplitsJson = {
      format: 'mdt-splits',
      version: 1,
      dataset: hash,
      seed: options.seed ?? 0,
      stratified: options.stratify ?? false,
      folds,
    };
    await writeFileAtomic(path, `${JSON.stringify(json, null, 1)}\n`);
    return folds;
  }
  const json = (await readJson(path)) as Partial<SplitsJson>;
  const isList = (value: unknown) => Array.isArray(value) && value.every((id) => typeof id === 'string');
  const whole = json.format === 'mdt-splits' && json.version === 1 && Array.isArray(json.folds);
  if (!whole || !json.folds!.every((fold) => isList(fold?.training) && isList(fold.validation) && isList(fold.test))) {
    throw new InputError('invalid-data', `${path}: not a splits file of version 1`);
  }
  if (json.dataset !== hash) {
    const known = new Set(json.folds!.flatMap(({ training, validation, test }) => [...training, ...validation, ...test]));
    const came = dataset.ids.filter((id) => !known.has(id));
    const went = [...known].filter((id) => !dataset.ids.includes(id));
    const what = [
      came.length ? `new: ${came.slice(0, 5).join(', ')}` : '',
      went.length ? `gone: ${went.slice(0, 5).join(', ')}` : '',
    ].filter(Boolean);
    throw new InputError(
      'invalid-data',
      `${path}: drawn for other data (${what.join('; ') || 'classes of a case changed'}); use another file, or remove it`,
    );
  }
  return json.folds!;
}

/** The data sets of one fold of `openSplits` or `drawSplits`. */
export function applySplit<D extends Dim>(
  dataset: Dataset<D>,
  { training, validation, test }: SplitIds,
): ReturnType<typeof splitDataset<D>> {
  return { training: dataset.subset(training), validation: dataset.subset(validation), test: dataset.subset(test) };
}
