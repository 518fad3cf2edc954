import { join } from 'node:path';
import { objectsFromLabelMap } from '@mdt/augment';
import { type Dim, InputError, type PerAxis, type Placement, perAxis, type Volume } from '@mdt/core';
import { connectedComponents } from '@mdt/native-ops';
import { type CaseEntry, checkDatasetJson, type DatasetJson, type SplitName, splitNames } from './dataset-json.js';
import { type CaseFacts, type DatasetStatistics, datasetStatistics } from './dataset-statistics.js';
import { directionOf, turnedLike } from './label-map-file.js';
import { type LayoutName, openLayout } from './layouts/index.js';
import { labelledIn } from './object-labels.js';
import { changeSince, sha256OfBytes } from './prepare/fingerprint.js';
import { readFacts, readPrepared, settingsHash, sourceOf } from './prepare/prepared.js';
import { Problems, problemText } from './problems.js';
import { describeVolume, loadLabelMap, loadVolume, readInput } from './volume-file.js';
import type { SourceDataset } from './write-dataset.js';

/** Something in a data set that is wrong, or that may be. */
export interface DatasetProblem {
  /** Errors keep a case from being loaded or make it wrong; warnings may be meant. */
  level: 'error' | 'warning';
  /** The case; absent where it concerns the data set. */
  id?: string;
  /** The file, and what of it: a field of `dataset.json`, `header`, `size`, `value`, … */
  file: string;
  field: string;
  expected: string;
  found: string;
  /** All of that as a sentence. */
  text: string;
}

export interface DatasetReport extends DatasetStatistics {
  name: string;
  dim: number;
  problems: DatasetProblem[];
  /** Cases of each part. */
  cases: Record<SplitName, number>;
}

/** A case that could be read, for a picture of it. */
export interface CheckedCase {
  id: string;
  image: Volume<Dim, Float32Array>;
  boxes: Float32Array;
  labels: Int32Array;
  /** Whether something is wrong with it. */
  hasProblems: boolean;
}

export interface CheckDatasetOptions {
  /** How the folder is laid out. Default: as its `dataset.json` says. */
  layout?: LayoutName;
  /** Options of the layout. */
  options?: object;
  onProgress?: (done: number, total: number) => void;
  /** Called with every case that can be read. */
  onCase?: (one: CheckedCase) => Promise<void> | void;
}

/** A data set in any layout, to be checked. */
interface Content {
  name: string;
  dim: Dim;
  classes: readonly string[];
  /** What its problems as a whole are problems of. */
  file: string;
  cases: readonly (Pick<CaseEntry, 'id' | 'split' | 'patient'> & {
    image: string;
    /** Undefined where it cannot be read, or its image and label map do not fit. */
    read(problems: Problems, warn: Warn): Promise<ReadCase | undefined>;
  })[];
}

interface ReadCase {
  facts: CaseFacts;
  image: Volume<Dim, Float32Array>;
}

type Found = Omit<DatasetProblem, 'level' | 'text' | 'id'>;
type Warn = (what: Found) => void;

/**
 * Reads every case of a data set, in this toolkit's or another layout, and lists all that is wrong with it at once, beside its
 * statistics.
 *
 * @throws InputError where `dataset.json` itself is not there, or no JSON, and for wrong options of a layout
 */
export async function checkDataset(
  folder: string,
  { layout, options = {}, onProgress, onCase }: CheckDatasetOptions = {},
): Promise<DatasetReport> {
  const problems: DatasetProblem[] = [];
  const texts = new Set<string>();
  const say = (level: DatasetProblem['level'], what: Omit<DatasetProblem, 'level' | 'text'>) => {
    const text = problemText(what);
    // What is wrong with the first image is met twice: it says the dimension of the data set.
    if (!texts.has(text)) problems.push({ level, ...what, text });
    texts.add(text);
  };
  const collector = (id?: string) =>
    new Problems(({ code: _, ...what }) => say('error', { ...(id !== undefined && { id }), ...what }));
  const content =
    layout === undefined
      ? await ownContent(folder, collector())
      : await collector().attempt(folder, async () =>
          sourceContent(folder, await openLayout(layout, folder, options, collector())),
        );
  const cases = content?.cases ?? [];
  const found: CaseFacts[] = [];
  const seen = new Map<string, string>();
  for (const [i, { id, image, read }] of cases.entries()) {
    const before = problems.length;
    const ofCase = collector(id);
    const one = await ofCase.attempt(image, () => read(ofCase, (what) => say('warning', { id, ...what })));
    if (one) {
      found.push(one.facts);
      const hash = sha256OfBytes(one.image.data);
      const first = seen.get(hash);
      if (first === undefined) seen.set(hash, id);
      else {
        const what = { field: 'values', expected: 'an image of its own', found: `the same as those of case '${first}'` };
        say('warning', { id, file: image, ...what });
      }
      await onCase?.({ id, image: one.image, ...one.facts, hasProblems: problems.length > before });
    }
    onProgress?.(i + 1, cases.length);
  }
  const counts = { train: 0, validation: 0, test: 0 };
  const partsOf = new Map<string, Set<SplitName>>();
  for (const { id, split, patient = id } of cases) {
    counts[split]++;
    partsOf.set(patient, (partsOf.get(patient) ?? new Set()).add(split));
  }
  const { name = '', dim = 3, classes = [], file = folder } = content ?? {};
  for (const [patient, parts] of partsOf) {
    if (parts.size === 1) continue;
    say('warning', { file, field: `patient '${patient}'`, expected: 'in one part', found: `in ${[...parts].join(' and ')}` });
  }
  for (const part of content ? splitNames : []) {
    if (counts[part] === 0) say('warning', { file, field: 'cases', expected: `one of part '${part}'`, found: 'none' });
  }
  const statistics = datasetStatistics(found, classes, dim);
  for (const { name: label, objects } of statistics.classes) {
    if (objects === 0) say('warning', { file, field: 'classes', expected: `an object of class '${label}'`, found: 'none' });
  }
  if (content && layout === undefined) await checkSource(folder, say);
  return { name, dim, problems, cases: counts, ...statistics };
}

/** What `dataset.json` says; undefined where more is wrong with it than single cases. */
async function ownContent(folder: string, problems: Problems): Promise<Content | undefined> {
  const file = join(folder, 'dataset.json');
  const value = jsonOf((await readInput(file)).toString('utf8'), file);
  const fields: string[] = [];
  const json = checkDatasetJson(
    value,
    file,
    new Problems((problem) => {
      fields.push(problem.field);
      problems.add(problem);
    }),
  );
  if (fields.some((field) => !field.startsWith('cases['))) return undefined;
  // The cases whose own entries are right are read although others are not.
  const wrong = new Set(fields.map((field) => Number(/^cases\[(\d+)\]/.exec(field)?.[1] ?? Number.NaN)));
  const { name, dim, classes } = json;
  const cases = json.cases
    .filter((_, i) => !wrong.has(i))
    .map((entry) => ({
      ...entry,
      image: join(folder, entry.image),
      read: (problems: Problems, warn: Warn) => readEntry(folder, json, entry, problems, warn),
    }));
  return { name, dim, classes, file, cases };
}

/** A data set in another layout. */
function sourceContent(folder: string, { name, dim, classes, channels, minVoxels = 1, cases }: SourceDataset): Content {
  return {
    ...{ name, dim, classes, file: folder },
    cases: cases.map((one) => ({
      ...one,
      image: one.files[0]!,
      async read(problems, warn) {
        const { image: stored, labelMap, objectClasses } = await one.load(problems);
        // Images come first in the list of files, annotations last.
        const [image, labels] = [one.files[0]!, one.files.at(-1)!];
        const voxels = { ...stored, data: Float32Array.from(stored.data) } as Volume<Dim, Float32Array>;
        const ids = { ...labelMap, data: Int32Array.from(labelMap.data) } as Volume<Dim, Int32Array>;
        const files = { image, labels };
        if (!voxels.data.every(Number.isFinite)) {
          problems.add({ file: image, field: 'values', found: 'not all finite', expected: 'finite numbers' });
        }
        if (!fits(voxels, ids, { ...files, channels }, problems, warn)) return undefined;
        const names = typeof objectClasses === 'string' ? [objectClasses] : Object.values(objectClasses);
        const unknown = new Set(names.filter((given) => !classes.includes(given)));
        for (const given of unknown) {
          const expected = `one of ${classes.join(', ')}`;
          problems.add({ code: 'unknown-class', file: labels, field: 'class', found: `'${given}'`, expected });
        }
        if (unknown.size > 0) return undefined;
        const json = { classes: [...classes], minVoxels };
        return factsOf(voxels, ids, { json, entry: { id: one.id, objectClasses }, ...files, table: labels }, problems, warn);
      },
    })),
  };
}

function jsonOf(text: string, file: string): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new InputError('invalid-data', `${file}: not JSON (${(cause as Error).message})`, { cause });
  }
}

async function readEntry(
  folder: string,
  json: DatasetJson,
  entry: CaseEntry,
  problems: Problems,
  warn: Warn,
): Promise<ReadCase | undefined> {
  const { dim, channels } = json;
  const [imagePath, labelPath] = [join(folder, entry.image), join(folder, entry.labels)];
  const given = entry.spacing ?? json.spacing;
  const [loaded, [stored, place]] = await problems.all(
    [imagePath, () => loadVolume(imagePath, { dim, ...(given && { spacing: given }) })],
    [labelPath, async () => [await loadLabelMap(labelPath, dim), await describeVolume(labelPath, dim)] as const],
  );
  const { origin, direction } = entry;
  const image = { ...loaded, ...(origin && { origin: perAxis<Dim>(dim, origin) }), ...(direction && { direction }) };
  const labelMap = turnedLike(stored, place, image);
  const files = { image: imagePath, labels: labelPath };
  if (!fits(image, labelMap, { ...files, channels }, problems, warn)) return undefined;
  for (const name of ['spacing', 'origin', 'direction'] as const) {
    if (place[name] === undefined) continue; // its file does not say
    const of = (one: Placement) => (name === 'direction' ? directionOf(one) : Array.from(one[name] as PerAxis));
    const [own, other] = [of(labelMap), of(image)];
    if (own.every((value, i) => Math.abs(value - other[i]!) <= 1e-3)) continue;
    warn({ file: labelPath, field: name, expected: `${other.join(', ')} as ${imagePath}`, found: own.join(', ') });
  }
  const hint = json.objects === 'components' ? undefined : '"objects": "components" in dataset.json where each part is an object';
  return factsOf(image, labelMap, { json, entry, ...files, table: 'objectClasses', ...(hint && { hint }) }, problems, warn);
}

interface Files {
  image: string;
  labels: string;
}

/** Whether a label map has the voxels of its image; says that and what else is odd with their values. */
function fits(
  image: Volume<Dim, Float32Array>,
  labelMap: Volume,
  { channels, ...files }: Files & { channels: number },
  problems: Problems,
  warn: Warn,
): boolean {
  if (image.channels !== channels) {
    problems.add({ file: files.image, field: 'channels', expected: `${channels}`, found: `${image.channels}` });
  }
  if (image.data.every((value) => value === image.data[0])) {
    warn({ file: files.image, field: 'values', expected: 'different ones', found: `${image.data[0]} everywhere` });
  }
  const [size, own] = [image.size.join('x'), labelMap.size.join('x')];
  if (size !== own) problems.add({ file: files.labels, field: 'size', expected: `${size} as ${files.image}`, found: own });
  return size === own;
}

/** What a case is to the statistics of its data set. */
function factsOf(
  image: Volume<Dim, Float32Array>,
  labelMap: Volume<Dim, Int32Array>,
  { json, ...subject }: ObjectsSubject,
  problems: Problems,
  warn: Warn,
): ReadCase {
  const size = Array.from(image.size as PerAxis);
  const { data, labels } = checkObjects(labelMap, { json, ...subject }, problems, warn);
  const objects = objectsFromLabelMap(data, size, labels, { minVoxels: json.minVoxels ?? 1 });
  const spacing = Array.from(image.spacing as PerAxis);
  return { facts: { size, spacing, boxes: objects.boxes, labels: objects.labels }, image };
}

interface ObjectsSubject extends Files {
  json: Pick<DatasetJson, 'classes' | 'objects' | 'minVoxels'>;
  entry: Pick<CaseEntry, 'id' | 'objectClasses'>;
  /** Where the classes of objects stand. */
  table: string;
  /** What to do where the parts of a single object are objects; absent where an object may have parts. */
  hint?: string;
}

/** Objects of a case that are named one by one. */
const most = 8;

/** Object ids without a class, classes without an object, objects in several parts; the ids and labels of all objects with a class. */
function checkObjects(
  labelMap: Volume<Dim, Int32Array>,
  { json, entry, labels: file, table, hint }: ObjectsSubject,
  problems: Problems,
  warn: Warn,
): { data: Int32Array; labels: Int32Array } {
  const { dim, size } = labelMap;
  const given = entry.objectClasses;
  const present = new Set(labelMap.data);
  present.delete(0);
  if (typeof given !== 'string') {
    const without = [...present].filter((id) => given[id] === undefined).sort((a, b) => a - b);
    const expected = `a class in ${table}`;
    for (const id of without.slice(0, most)) problems.add({ file, field: `object ${id}`, expected, found: 'without one' });
    const rest = without.length - most;
    if (rest > 0) problems.add({ file, field: `${rest} further objects`, expected, found: 'without one' });
    const absent = Object.keys(given).filter((id) => !present.has(Number(id)));
    if (absent.length > 0) {
      const found = `no voxel of object ${absent.slice(0, 8).join(', ')}`;
      warn({ file, field: 'values', expected: `those that ${table} names`, found });
    }
  }
  const known = labelMap.data.map((id) => (typeof given === 'string' || given[id] !== undefined ? id : 0));
  const labelled = labelledIn(json, entry, { ...labelMap, data: known }, file);
  if (hint !== undefined && present.size === 1) {
    const { values } = connectedComponents({ values: labelMap.data, size }, { dim, joins: 'equal' });
    const expected = `one part, or ${hint}`;
    if (values.length > 1) warn({ file, field: 'object', expected, found: `in ${values.length} separate parts` });
  }
  return labelled;
}

/** Cases of a prepared data set that are not what their source is now. */
async function checkSource(
  folder: string,
  say: (level: 'error', what: Omit<DatasetProblem, 'level' | 'text'>) => void,
): Promise<void> {
  const prepared = await readPrepared(folder);
  const found = prepared && (await sourceOf(folder, prepared));
  if (!prepared || !found) return;
  const hash = settingsHash(found.source, prepared.settings);
  for (const id of prepared.ids) {
    const source = found.source.cases.find((one) => one.id === id);
    const facts = await readFacts(folder, id, hash);
    const change = !source
      ? 'gone from the source'
      : !facts
        ? 'of other settings'
        : await changeSince(found.from, source, facts.source);
    if (change)
      say('error', { id, file: join(folder, `${id}.npy`), field: 'source', expected: 'what was prepared', found: change });
  }
}
