import { createHash } from 'node:crypto';
import { join } from 'node:path';
import { type Dim, InputError, rng } from '@mdt/core';
import type { Detector } from '@mdt/detectors';
import { type ResolvedConfig, resolveConfig } from './config/config.js';
import { createAugmentation } from './config/create-augmentation.js';
import { createDetector } from './config/create-detector.js';
import { createOptimizer, createSchedule, predictorOptions } from './config/parts.js';
import { type Dataset, kFold, openDataset } from './data/dataset.js';
import { parseDatasetJson, type SplitName, splitNames } from './data/dataset-json.js';
import { applySplit, openSplits } from './data/splits.js';
import { readInput } from './data/volume-file.js';

/** A configuration whose parts were made and checked, ready to train or to evaluate. */
export interface Experiment<D extends Dim = Dim> {
  /** With every default filled in: classes, channels and normalisation of the data set too. */
  readonly config: ResolvedConfig;
  readonly dataset: Dataset<D>;
  readonly detector: Detector<D>;
  /** One part of the data, by the folds of the configuration or by `dataset.json`; `test` of the hold-out data set where there is one. */
  part(name: SplitName): Dataset<D>;
}

/**
 * Checks a configuration and everything that is made from it, without reading any data: the detector and its parts, augmentation,
 * optimizer, schedule and prediction.
 *
 * @throws InputError
 */
export function checkConfig(config: unknown, where = 'config'): ResolvedConfig {
  const resolved = resolveConfig(config, where);
  const { detector: given, training } = resolved;
  const { classes = ['object'], inChannels = 1 } = given;
  const detector = createDetector({ ...given, classes, inChannels }); // its variables are made at first use
  createAugmentation(detector.dim, training.augment, detector.patchSize);
  createOptimizer(training).dispose();
  createSchedule(training);
  predictorOptions(resolved.prediction);
  return resolved;
}

/**
 * Checks a configuration, then the data set against it, and makes the detector. All that can be wrong is found here, before a training
 * writes its first file.
 *
 * @throws InputError
 */
export async function openExperiment(config: unknown, where = 'config'): Promise<Experiment> {
  const resolved = checkConfig(config, where);
  const { dir, testDir, normalise, folds, splits, slices, maxCases } = resolved.data;
  const file = join(dir, 'dataset.json');
  const json = parseDatasetJson(new TextDecoder().decode(await readInput(file)), file);
  const dataset = await openDataset(dir, normalise ? { normalise } : {});
  const channels = dataset.channels * (1 + 2 * (slices?.context ?? 0));
  const { classes = [...dataset.classes], inChannels = channels } = resolved.detector;
  const unknown = classes.find((name) => !dataset.classes.includes(name));
  if (unknown !== undefined) {
    const known = dataset.classes.join(', ');
    const text = `${where}.detector.classes: '${unknown}' is not a class of '${dataset.name}' (${known})`;
    throw new InputError('unknown-class', text);
  }
  if (classes.join('\0') !== dataset.classes.join('\0')) {
    const known = dataset.classes.join(', ');
    const text = `${where}.detector.classes: expected those of '${dataset.name}' in their order (${known})`;
    throw new InputError('invalid-option', text);
  }
  if (inChannels !== channels) {
    const text = `${where}.detector.inChannels: ${inChannels}, but '${dataset.name}' has ${channels} channels${slices ? ' in its slices' : ''}`;
    throw new InputError('shape-mismatch', text);
  }
  // Once more, with what the data set says.
  const complete: ResolvedConfig = resolveConfig(
    {
      ...resolved,
      data: { ...resolved.data, normalise: normalise ?? json.normalise },
      detector: { ...resolved.detector, classes, inChannels },
    },
    where,
  );
  const detector = createDetector(complete.detector);
  if (dataset.dim !== (slices ? 3 : detector.dim)) {
    const hint = !slices && dataset.dim === 3 ? ': to learn from its slices, set data.slices to {}' : '';
    const text = `${where}.detector.kind: ${detector.kind}${slices ? ' with data.slices wants volumes of 3 axes' : ` has ${detector.dim} axes`}, '${dataset.name}' has ${dataset.dim}${hint}`;
    throw new InputError('shape-mismatch', text);
  }
  const heldOut = testDir === undefined ? undefined : await openHeldOut(testDir, dataset, complete, where);
  const parts = splits ? await partsOfFile(dataset, splits, `${where}.data.splits`) : folds && kFold<Dim>(dataset, folds);
  const idsOf = (name: SplitName): readonly string[] =>
    parts ? parts[name === 'train' ? 'training' : name].ids : dataset.split(name).ids;
  function part(name: SplitName): Dataset {
    if (heldOut && name === 'test') return someOf(heldOut, heldOut.ids, name);
    const ids = idsOf(name);
    // What the hold-out data set tests, the test part need not: it is trained on, as the original does.
    return someOf(dataset, heldOut && name === 'train' ? [...ids, ...testIds()] : ids, name);
  }
  const testIds = (): readonly string[] => {
    try {
      return idsOf('test');
    } catch (error) {
      if (error instanceof InputError && error.code === 'empty-dataset') return [];
      throw error;
    }
  };
  const someOf = (from: Dataset, ids: readonly string[], name: string): Dataset => {
    if (maxCases === undefined || ids.length <= maxCases) return from.subset(ids);
    const chosen = new Set(rng(complete.training.seed).fork(`cases ${name}`).choose(ids.length, maxCases));
    return from.subset(ids.filter((_, i) => chosen.has(i)));
  };
  return { config: complete, dataset, detector, part };
}

/** The parts of one fold of a file of splits. */
async function partsOfFile(
  dataset: Dataset,
  { file, folds = 5, fold = 0, stratify = false, seed = 0 }: NonNullable<ResolvedConfig['data']['splits']>,
  where: string,
): Promise<ReturnType<typeof applySplit<Dim>>> {
  const all = await openSplits(file, dataset, { folds, stratify, seed });
  const split = all[fold];
  if (split) return applySplit<Dim>(dataset, split);
  throw new InputError(
    'invalid-option',
    `${where}.fold: fold ${fold} of ${all.length} in ${file}, expected 0 to ${all.length - 1}`,
  );
}

/** The data set that tests, checked against the one that is learnt. */
async function openHeldOut(dir: string, dataset: Dataset, { data }: ResolvedConfig, where: string): Promise<Dataset> {
  const heldOut = await openDataset<Dim>(dir, { dim: dataset.dim, normalise: data.normalise! });
  for (const key of ['classes', 'channels'] as const) {
    const [own, expected] = [String(heldOut[key]), String(dataset[key])];
    if (own === expected) continue;
    const text = `${where}.data.testDir: '${heldOut.name}' has ${key} ${own}, '${dataset.name}' has ${expected}`;
    throw new InputError('shape-mismatch', text);
  }
  return heldOut;
}

/** Which cases train, validate and test, and a hash of that. */
export interface SplitRecord {
  sha256: string;
  train: readonly string[];
  validation: readonly string[];
  test: readonly string[];
}

/** The cases of every part; a part that the data set lacks is empty. */
export function splitRecord({ part }: Pick<Experiment, 'part'>): SplitRecord {
  const ids = (name: SplitName): readonly string[] => {
    try {
      return part(name).ids;
    } catch (error) {
      if (error instanceof InputError && error.code === 'empty-dataset') return [];
      throw error;
    }
  };
  const [train, validation, test] = splitNames.map(ids) as [readonly string[], readonly string[], readonly string[]];
  const sha256 = createHash('sha256')
    .update(JSON.stringify([train, validation, test]))
    .digest('hex');
  return { sha256, train, validation, test };
}
