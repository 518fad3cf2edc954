import { readdir, stat } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import { InputError } from '@mdt/core';
import { formatOfEnding, imageEnding } from '@mdt/formats';
import type { ServedSession, ViewerCase } from '@mdt/viewer';
import { parseDatasetJson } from './data/dataset-json.js';
import { besides, missing, readInput, readStart } from './data/input-file.js';
import { readJson } from './files.js';
import { isRunFolder, readRunConfig, runFiles } from './run/run-folder.js';

export interface ViewSessionOptions {
  /** A data set that the cases of predictions are found in. Default: that of the run. */
  data?: string;
}

/**
 * What the viewer shows of files and folders: a run (its predictions, the images that they are of, and a model that lies in it),
 * images (files, or folders of slices), a `predictions.json`, a model, label maps by a word in their names (`-labels`, `seg`) as layers of
 * the image whose name theirs begins with, else of the last one.
 *
 * @throws InputError `missing-file`, `unreadable-file`; `invalid-option` where two would be the model, the predictions or a layer of one image
 */
export async function viewSession(paths: readonly string[], { data }: ViewSessionOptions = {}): Promise<ServedSession> {
  const { roleOf } = await import('@mdt/viewer');
  const cases: ViewerCase[] = [];
  const layers: { path: string; role: 'truth' | 'segmentation' }[] = [];
  let dataset = data;
  let predictions: string | undefined;
  let model: string[] | undefined;
  const setOnce = <T>(old: T | undefined, value: T, path: string, what: string): T => {
    if (old === undefined) return value;
    throw new InputError('invalid-option', `${path}: ${what} is named twice, expected one`);
  };
  for (const path of paths) {
    const role = roleOf(basename(path).toLowerCase());
    if (await isFolder(path)) {
      if (!(await isRunFolder(path))) {
        cases.push({ id: basename(resolve(path)), image: await filesIn(path) });
        continue;
      }
      const names = await readdir(path);
      for (const place of ['predictions.json', join(runFiles.test, 'predictions.json')]) {
        const file = join(path, place);
        if (predictions !== undefined || !(await isThere(file))) continue;
        predictions = file;
        break;
      }
      const onnx = names.find((name) => name.endsWith('.onnx'));
      if (onnx) model = setOnce(model, await modelFiles(join(path, onnx)), path, 'a model');
      dataset ??= (await readRunConfig(path)).data.dir;
    } else if (role === 'model') {
      if (path.toLowerCase().endsWith('.onnx')) model = setOnce(model, await modelFiles(path), path, 'a model');
    } else if (role === 'predictions') predictions = setOnce(predictions, path, path, 'predictions.json');
    else if (role === 'image') cases.push(await imageCase(path));
    else layers.push({ path, role });
  }
  for (const { path, role } of layers) {
    const layer = await imageCase(path);
    const owner = cases.find(({ id }) => layer.id.startsWith(id)) ?? cases.at(-1);
    if (owner) owner[role] = setOnce(owner[role], layer.image, path, role === 'truth' ? 'ground truth' : 'a segmentation');
    else cases.push(layer);
  }
  if (dataset !== undefined) cases.push(...(await casesOf(dataset, predictions)));
  return {
    title: paths.map((path) => basename(resolve(path))).join(', ') || 'images',
    cases,
    ...(predictions !== undefined && { predictions }),
    ...(model && { model }),
  };
}

async function isFolder(path: string): Promise<boolean> {
  try {
    return (await stat(path)).isDirectory();
  } catch (cause) {
    throw missing(path, cause);
  }
}

const isThere = (path: string): Promise<boolean> =>
  stat(path).then(
    (found) => found.isFile(),
    () => false,
  );

/** The plain files of a folder, hidden ones left out. */
async function filesIn(folder: string): Promise<string[]> {
  const entries = await readdir(folder, { withFileTypes: true });
  return entries.filter((entry) => entry.isFile() && !entry.name.startsWith('.')).map(({ name }) => join(folder, name));
}

/** An image with the file that its header names. */
async function imageCase(path: string): Promise<ViewerCase> {
  const ending = imageEnding(path);
  const dataFileOf = formatOfEnding(ending)?.dataFileOf;
  const named = dataFileOf?.((await readStart(path, 2 ** 16)).start, path);
  const image = named === undefined ? [path] : [path, await besides(path, named)];
  const name = basename(path);
  return { id: ending ? name.slice(0, -ending.length) : name, image };
}

/** A model with the files beside it that may hold its weights. */
async function modelFiles(path: string): Promise<string[]> {
  const names = await readdir(dirname(path));
  const own = names.filter((name) => name.startsWith(basename(path)) && name !== basename(path));
  return [path, ...own.map((name) => join(dirname(path), name))];
}

/** The cases of a data set: those of the predictions, in their order, or all. */
async function casesOf(folder: string, predictions: string | undefined): Promise<ViewerCase[]> {
  const file = join(folder, 'dataset.json');
  const json = parseDatasetJson(new TextDecoder().decode(await readInput(file)), file);
  const known = new Map(json.cases.map((entry) => [entry.id, entry]));
  const ids = predictions === undefined ? [...known.keys()] : await predictedIds(predictions);
  const cases: ViewerCase[] = [];
  for (const id of ids) {
    const entry = known.get(id);
    if (!entry) continue;
    const spacing = entry.spacing ?? json.spacing;
    const { image } = await imageCase(join(folder, entry.image));
    const truth = (await imageCase(join(folder, entry.labels))).image;
    cases.push({ id, image, truth, dim: json.dim, ...(spacing && { spacing }) });
  }
  return cases;
}

async function predictedIds(path: string): Promise<string[]> {
  const { cases } = ((await readJson(path)) ?? {}) as { cases?: unknown };
  if (!Array.isArray(cases)) throw new InputError('invalid-data', `${path}: no predictions of mdt (a list of cases)`);
  return cases.map(({ id }: { id: unknown }) => String(id));
}
