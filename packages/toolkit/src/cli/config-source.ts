import { stat } from 'node:fs/promises';
import { basename, join, resolve } from 'node:path';
import { InputError } from '@mdt/core';
import type { ResolvedConfig } from '../config/config.js';
import { devConfig } from '../config/dev-config.js';
import { loadConfig } from '../config/load-config.js';
import { setValues } from '../config/set-values.js';
import { templateConfig } from '../config/templates.js';
import { parseDatasetJson } from '../data/dataset-json.js';
import { readInput } from '../data/volume-file.js';
import { checkConfig } from '../experiment.js';
import { readJson } from '../files.js';
import { foldDir, isRunFolder, runFiles, runsIn } from '../run/run-folder.js';

/** What a command line says of the configuration and of where the run goes. */
export interface SourceFlags {
  out?: string;
  resume?: boolean;
  /** `all`, or folds. */
  folds?: 'all' | readonly number[];
  dev?: boolean;
  /** `key=value`, in their order; they win over the file. */
  set: readonly string[];
}

/** One training that a command is to do. */
export interface PlannedRun {
  config: ResolvedConfig;
  out: string;
  /** Named in messages about the configuration. */
  where: string;
}

export interface Plan {
  runs: PlannedRun[];
  /** The folder of all of them. */
  out: string;
}

/**
 * The trainings that `mdt train SOURCE` means: a configuration file, a data set's folder, or with `resume` a run folder; one, or one per fold.
 * Everything is checked that can be without reading data.
 *
 * @throws InputError
 */
export async function planRuns(source: string, flags: SourceFlags): Promise<Plan> {
  const info = await stat(source).catch((cause: unknown) => {
    throw new InputError('missing-file', `${source}: no such file or folder`, { cause: cause as Error });
  });
  if (!flags.resume && info.isDirectory() && (await runsIn(source).catch(() => undefined))) {
    throw new InputError('invalid-option', `'${source}' is a run: --resume goes on with it, a configuration file starts another`);
  }
  const earlier = flags.resume && info.isDirectory() ? await runsIn(source).catch(() => undefined) : undefined;
  const where = earlier ? join(earlier[0]!, runFiles.config) : source;
  const base = earlier ? await readJson(where) : info.isDirectory() ? await ownTemplate(source) : await loadConfig(source);
  const changed = checkConfig(setValues(base, flags.set), where);
  const config = flags.dev ? devConfig(changed) : changed;
  const name = basename(resolve(source)).replace(/(\.config)?\.[a-z]+$/, '');
  const out = flags.out ?? (earlier ? source : join('runs', `${name}${flags.dev ? '-dev' : ''}`));
  const ofFolds = earlier && !(await isRunFolder(source));
  const folds = flags.folds ?? (ofFolds ? earlier.map((dir) => Number(dir.split('-').at(-1))) : undefined);
  if (folds === undefined) return { runs: [{ config, out, where }], out };
  const { folds: parts, splits } = config.data;
  const count = parts?.folds ?? (splits && (splits.folds ?? 5));
  if (count === undefined) {
    const text = `${where}.data.folds: --folds needs a cross-validation, as in --set data.folds.folds=5`;
    throw new InputError('invalid-option', text);
  }
  const wanted = folds === 'all' ? Array.from({ length: count }, (_, fold) => fold) : folds;
  const withFold = (fold: number) => (parts ? { folds: { ...parts, fold } } : { splits: { ...splits!, fold } });
  const runs = wanted.map((fold) => ({
    // Once more: a fold that is not there is refused.
    config: checkConfig({ ...config, data: { ...config.data, ...withFold(fold) } }, where),
    out: foldDir(out, fold),
    where,
  }));
  return { runs, out };
}

/** A small Retina U-Net of the data set's dimension. */
async function ownTemplate(dir: string): Promise<object> {
  const file = join(dir, 'dataset.json');
  const { dim } = parseDatasetJson(new TextDecoder().decode(await readInput(file)), file);
  return templateConfig({ template: 'own', dim, data: dir });
}
