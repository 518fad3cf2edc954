import { join } from 'node:path';
import { objectsFromLabelMap } from '@mdt/augment';
import { InputError, type PerAxis } from '@mdt/core';
import { connectedComponents } from '@mdt/native-ops';
import { type CaseEntry, type DatasetJson, parseDatasetJson, type SplitName } from './dataset-json.js';
import { describeVolume, loadLabelMap, loadVolume, readInput } from './volume-file.js';

/** Something in a data set that is wrong, or that may be. */
export interface DatasetProblem {
  /** Errors keep a case from being loaded or make it wrong; warnings may be meant. */
  level: 'error' | 'warning';
  /** The case; absent where it concerns the data set. */
  id?: string;
  /** What, where, what was expected and what was found. */
  text: string;
}

/** Objects of one class. */
export interface ClassStatistics {
  name: string;
  objects: number;
  /** Cases that show one. */
  cases: number;
  /** Least, median and greatest side of a box per axis, voxels. */
  sides: { least: number[]; median: number[]; greatest: number[] };
}

export interface DatasetReport {
  name: string;
  dim: number;
  problems: DatasetProblem[];
  cases: Record<SplitName, number>;
  /** Least, median and greatest voxels and millimetres per axis over the cases. */
  sizes: { least: number[]; median: number[]; greatest: number[] };
  spacings: { least: number[]; median: number[]; greatest: number[] };
  classes: ClassStatistics[];
}

/**
 * Reads every case of a data set and lists all that is wrong with it at once, beside its statistics.
 *
 * @throws InputError where `dataset.json` itself cannot be read
 */
export async function checkDataset(
  folder: string,
  { onProgress }: { onProgress?: (done: number, total: number) => void } = {},
): Promise<DatasetReport> {
  const file = join(folder, 'dataset.json');
  const json = parseDatasetJson((await readInput(file)).toString('utf8'), file);
  const problems: DatasetProblem[] = [];
  const found: CaseFacts[] = [];
  for (const [i, entry] of json.cases.entries()) {
    const facts = await checkCase(folder, json, entry, (level, text) => problems.push({ level, id: entry.id, text }));
    if (facts) found.push(facts);
    onProgress?.(i + 1, json.cases.length);
  }
  const cases = { train: 0, validation: 0, test: 0 };
  for (const { split } of json.cases) cases[split]++;
  for (const [part, count] of Object.entries(cases)) {
    if (count === 0) problems.push({ level: 'warning', text: `no case has split '${part}'` });
  }
  const classes = json.classes.map((name, label) => classStatistics(name, label, found, json.dim));
  for (const { name, objects } of classes) {
    if (objects === 0) problems.push({ level: 'warning', text: `no object is of class '${name}'` });
  }
  const { name, dim } = json;
  const sizes = spread(
    found.map(({ size }) => size),
    dim,
  );
  return {
    name,
    dim,
    problems,
    cases,
    sizes,
    spacings: spread(
      found.map(({ spacing }) => spacing),
      dim,
    ),
    classes,
  };
}

interface CaseFacts {
  size: number[];
  spacing: number[];
  boxes: Float32Array;
  labels: Int32Array;
}

async function checkCase(
  folder: string,
  json: DatasetJson,
  entry: CaseEntry,
  say: (level: DatasetProblem['level'], text: string) => void,
): Promise<CaseFacts | undefined> {
  const { dim } = json;
  const [imagePath, labelPath] = [join(folder, entry.image), join(folder, entry.labels)];
  /** An error that the user can mend is a line of the list; any other is ours. */
  const tried = async <T>(work: () => Promise<T>): Promise<T | undefined> => {
    try {
      return await work();
    } catch (error) {
      if (!(error instanceof InputError)) throw error;
      say('error', error.message);
      return undefined;
    }
  };
  const image = await tried(() => loadVolume(imagePath, { dim }));
  const labelMap = await tried(() => loadLabelMap(labelPath, dim));
  const place = await tried(() => describeVolume(labelPath, dim));
  if (image && image.channels !== json.channels)
    say('error', `${imagePath}: ${image.channels} channels, expected ${json.channels}`);
  if (!image || !labelMap || !place) return undefined;
  const size = Array.from(image.size as PerAxis);
  if (size.join() !== Array.from(labelMap.size as PerAxis).join()) {
    say('error', `${labelPath}: size ${labelMap.size.join('x')}, expected ${size.join('x')} as ${imagePath}`);
    return undefined;
  }
  const elsewhere = (name: 'spacing' | 'origin' | 'direction') =>
    place[name] !== undefined &&
    image[name] !== undefined &&
    place[name].some((value, i) => Math.abs(value - image[name]![i]!) > 1e-3);
  for (const name of ['spacing', 'origin', 'direction'] as const) {
    if (elsewhere(name))
      say('warning', `${labelPath}: ${name} ${place[name]!.join(', ')}, expected ${image[name]!.join(', ')} as ${imagePath}`);
  }
  if (image.data.every((value) => value === image.data[0])) say('warning', `${imagePath}: every value is ${image.data[0]}`);
  const given = entry.objectClasses;
  let last = 0;
  for (const id of labelMap.data) if (id > last) last = id;
  const present = new Uint8Array(last + 1);
  for (const id of labelMap.data) present[id] = 1;
  const labels = Int32Array.from({ length: last }, (_, k) =>
    json.classes.indexOf(typeof given === 'string' ? given : (given[k + 1] ?? '')),
  );
  labels.forEach((label, k) => {
    if (label < 0 && present[k + 1]) say('error', `${labelPath}: object ${k + 1} has no class in objectClasses`);
  });
  if (typeof given !== 'string') {
    const absent = Object.keys(given).filter((id) => !present[Number(id)]);
    if (absent.length > 0)
      say('warning', `${labelPath}: no voxel of object ${absent.slice(0, 8).join(', ')}, which objectClasses names`);
  }
  const objects = objectsFromLabelMap(labelMap.data, size, labels, { minVoxels: json.minVoxels ?? 1 });
  const { values } = connectedComponents({ values: labelMap.data, size }, { dim, joins: 'equal' });
  const parts = new Map<number, number>();
  for (const id of values) parts.set(id, (parts.get(id) ?? 0) + 1);
  if (parts.size === 1 && values.length > 1) {
    say(
      'warning',
      `${labelPath}: one object in ${values.length} separate parts; if each is an object, convert it with --objects binary`,
    );
  }
  const spacing = entry.spacing ?? (image.spacing as PerAxis);
  return { size, spacing: Array.from(spacing), boxes: objects.boxes, labels: objects.labels };
}

function classStatistics(name: string, label: number, found: readonly CaseFacts[], dim: number): ClassStatistics {
  const sides: number[][] = [];
  let cases = 0;
  for (const { boxes, labels } of found) {
    const before = sides.length;
    labels.forEach((own, n) => {
      if (own !== label) return;
      const at = n * 2 * dim;
      sides.push(Array.from({ length: dim }, (_, d) => boxes[at + dim + d]! - boxes[at + d]!));
    });
    if (sides.length > before) cases++;
  }
  return { name, objects: sides.length, cases, sides: spread(sides, dim) };
}

/** Least, median and greatest along each axis; nothing of nothing. */
function spread(rows: readonly number[][], dim: number): { least: number[]; median: number[]; greatest: number[] } {
  if (rows.length === 0) return { least: [], median: [], greatest: [] };
  const columns = Array.from({ length: dim }, (_, d) => rows.map((row) => row[d]!).sort((a, b) => a - b));
  return {
    least: columns.map((column) => column[0]!),
    median: columns.map((column) => column[column.length >> 1]!),
    greatest: columns.map((column) => column.at(-1)!),
  };
}
