import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { InputError } from '@mdt/core';
import { type ResolvedConfig, resolveConfig } from '../config/config.js';
import { readJson, writeFileAtomic } from '../files.js';
import { renderPng } from '../plot/png.js';

/** Names in a run folder. */
export const runFiles = {
  config: 'config.json',
  record: 'run.json',
  split: 'split.json',
  log: 'log.txt',
  metrics: 'metrics.jsonl',
  live: 'live.json',
  tensorboard: 'tensorboard',
  plots: 'plots',
  test: 'test',
  validation: 'validation',
} as const;

/** Writes a plot as `NAME.svg` and `NAME.png`. */
export async function writePlot(path: string, svg: string): Promise<void> {
  await writeFileAtomic(`${path}.svg`, svg);
  await writeFileAtomic(`${path}.png`, renderPng(svg));
}

/** The resolved configuration that a run folder stores. @throws InputError `missing-file`, … */
export async function readRunConfig(runDir: string): Promise<ResolvedConfig> {
  const path = join(runDir, runFiles.config);
  return resolveConfig(await readJson(path), path);
}

const isFile = (path: string): Promise<boolean> =>
  stat(path).then(
    (info) => info.isFile(),
    () => false,
  );

/** Whether a folder is one that training wrote. */
export const isRunFolder = (dir: string): Promise<boolean> => isFile(join(dir, runFiles.config));

/** Folder of one fold of a cross-validation. */
export const foldDir = (dir: string, fold: number): string => join(dir, `fold-${fold}`);

/**
 * The run folders in a folder: itself, or its `fold-0`, `fold-1` …, in their order.
 *
 * @throws InputError `missing-file` where there is none, or where one of the `folds` asked for is not there
 */
export async function runsIn(dir: string, folds?: readonly number[]): Promise<string[]> {
  if (folds === undefined && (await isRunFolder(dir))) return [dir];
  const names = await readdir(dir).catch(() => []);
  const there = names.flatMap((name) => /^fold-(\d+)$/.exec(name)?.[1] ?? []).map(Number);
  const wanted = folds ?? there.sort((a, b) => a - b);
  const found: string[] = [];
  for (const fold of wanted) {
    if (await isRunFolder(foldDir(dir, fold))) found.push(foldDir(dir, fold));
    else if (folds) throw new InputError('missing-file', `'${foldDir(dir, fold)}' is not a run folder: train fold ${fold} first`);
  }
  if (found.length === 0) {
    throw new InputError('missing-file', `'${dir}' is not a run folder: expected config.json, or folders fold-0, fold-1, …`);
  }
  return found;
}
