import { join } from 'node:path';
import { objectsFromLabelMap } from '@mdt/augment';
import {
  type Dim,
  type FoldOptions,
  type GroundTruth,
  InputError,
  type PerAxis,
  perAxis,
  splitFolds,
  type Volume,
} from '@mdt/core';
import type { VolumeInfo } from '@mdt/formats';
import { CaseCache } from './case-cache.js';
import { type CaseEntry, type DatasetJson, parseDatasetJson, type SplitName } from './dataset-json.js';
import { type Normalisation, normalise } from './normalise.js';
import { describeVolume, loadLabelMap, loadVolume, readInput } from './volume-file.js';

/** One subject: its image and what the annotator drew. Shared between callers: do not write into it. */
export interface Case<D extends Dim = Dim> {
  readonly id: string;
  /** Normalised as the data set says. */
  readonly image: Volume<D, Float32Array>;
  /** 0 background, k = object k. Objects below the data set's `minVoxels` are erased. */
  readonly labelMap: Volume<D, Int32Array>;
  /** Class label of object k at index k − 1. */
  readonly objectLabels: Int32Array;
  /** Boxes of the objects that are there, voxels of the image. */
  readonly objects: GroundTruth<D>;
}

/** Cases on disk, loaded one at a time. */
export interface Dataset<D extends Dim = Dim> {
  readonly dim: D;
  readonly name: string;
  /** Foreground classes; the first has label 0. */
  readonly classes: readonly string[];
  readonly channels: number;
  /** Fewest voxels that make an object. */
  readonly minVoxels: number;
  readonly ids: readonly string[];
  /** Loads a case, or takes it from memory. */
  load(id: string): Promise<Case<D>>;
  /** Labels that objects of a case may have, known without loading it. */
  classesOf(id: string): readonly number[];
  /** Voxels per axis of a case, known without loading it. */
  sizeOf(id: string): PerAxis<D>;
  /** The same data set with some of its cases. */
  subset(ids: readonly string[]): Dataset<D>;
  /** The cases that `dataset.json` assigns to a part; InputError `empty-dataset` where there are none. */
  split(name: SplitName): Dataset<D>;
}

export interface OpenDatasetOptions<D extends Dim = Dim> {
  /** Refuses a data set of other dimension. */
  dim?: D;
  /** Replaces the normalisation of `dataset.json`. */
  normalise?: Normalisation;
  /** Bytes of loaded cases that are kept in memory. Default 1 GiB. */
  cacheBytes?: number;
}

/**
 * Opens the data set in a folder. Every entry and the header of every file is checked before it returns, so that training does
 * not stop at the thousandth image.
 *
 * @throws InputError `missing-file`, `unknown-option`, `unknown-class`, `shape-mismatch`, `empty-dataset`, `invalid-data`, …;
 * each names the file and the field
 */
export async function openDataset<D extends Dim = Dim>(
  folder: string,
  { dim, normalise: normalisation, cacheBytes = 2 ** 30 }: OpenDatasetOptions<D> = {},
): Promise<D extends Dim ? Dataset<D> : never> {
  const file = join(folder, 'dataset.json');
  const json = parseDatasetJson((await readInput(file)).toString('utf8'), file);
  if (dim !== undefined && json.dim !== dim) {
    throw new InputError('invalid-data', `${file}: dim is ${json.dim}, expected ${dim}`);
  }
  const infos = new Map<string, VolumeInfo>();
  for (let i = 0; i < json.cases.length; i += filesAtOnce) {
    const some = json.cases.slice(i, i + filesAtOnce);
    const found = await Promise.all(some.map((entry) => checkFiles(folder, json, entry)));
    for (const [k, entry] of some.entries()) infos.set(entry.id, found[k]!);
  }
  const shared: Shared<Dim> = {
    folder,
    json,
    normalise: normalisation ?? json.normalise,
    entries: new Map(json.cases.map((entry) => [entry.id, entry])),
    infos,
    cache: new CaseCache(cacheBytes),
  };
  const ids = json.cases.map((entry) => entry.id);
  return new FolderDataset(shared, ids) as unknown as D extends Dim ? Dataset<D> : never;
}

/** The parts that `dataset.json` names; InputError `empty-dataset` where one has no case. */
export function splitDataset<D extends Dim>(
  dataset: Dataset<D>,
): { training: Dataset<D>; validation: Dataset<D>; test: Dataset<D> } {
  return { training: dataset.split('train'), validation: dataset.split('validation'), test: dataset.split('test') };
}

/** Cross-validation by case, whatever `dataset.json` says; see `splitFolds` of `@mdt/core`. */
export function kFold<D extends Dim>(dataset: Dataset<D>, options: FoldOptions): ReturnType<typeof splitDataset<D>> {
  const { training, validation, test } = splitFolds(dataset.ids, options);
  return { training: dataset.subset(training), validation: dataset.subset(validation), test: dataset.subset(test) };
}

/** Cases whose headers are read side by side: enough to keep a disk busy, few enough for the limit on open files. */
const filesAtOnce = 32;

/** Compares the headers of an image and its label map. */
async function checkFiles(folder: string, json: DatasetJson, entry: CaseEntry): Promise<VolumeInfo> {
  const image = await describeVolume(join(folder, entry.image), json.dim);
  const labels = await describeVolume(join(folder, entry.labels), json.dim);
  const where = `${join(folder, 'dataset.json')}: case '${entry.id}'`;
  if (image.channels !== json.channels) {
    throw new InputError(
      'shape-mismatch',
      `${where}: image ${entry.image} has ${image.channels} channels, expected ${json.channels}`,
    );
  }
  if (labels.channels !== 1 || labels.size.some((n, axis) => n !== image.size[axis])) {
    throw new InputError(
      'shape-mismatch',
      `${where}: labels ${entry.labels} has size ${[...labels.size, ...(labels.channels > 1 ? [labels.channels] : [])].join('x')}, ` +
        `expected ${image.size.join('x')} as its image ${entry.image}`,
    );
  }
  return image;
}

/** What a data set and its subsets have in common. */
interface Shared<D extends Dim> {
  folder: string;
  json: DatasetJson;
  normalise: Normalisation;
  entries: Map<string, CaseEntry>;
  infos: Map<string, VolumeInfo>;
  cache: CaseCache<D>;
}

class FolderDataset<D extends Dim> implements Dataset<D> {
  private readonly members: ReadonlySet<string>;

  constructor(
    private readonly shared: Shared<D>,
    readonly ids: readonly string[],
  ) {
    this.members = new Set(ids);
  }

  get dim(): D {
    return this.shared.json.dim as D;
  }
  get name(): string {
    return this.shared.json.name;
  }
  get classes(): readonly string[] {
    return this.shared.json.classes;
  }
  get channels(): number {
    return this.shared.json.channels;
  }
  get minVoxels(): number {
    return this.shared.json.minVoxels ?? 1;
  }

  load(id: string): Promise<Case<D>> {
    const entry = this.entry(id);
    return this.shared.cache.get(id, () => loadCase(this.shared, entry, this.dim, this.minVoxels));
  }

  classesOf(id: string): readonly number[] {
    const { objectClasses } = this.entry(id);
    const names = typeof objectClasses === 'string' ? [objectClasses] : Object.values(objectClasses);
    return [...new Set(names)].map((name) => this.classes.indexOf(name)).sort((a, b) => a - b);
  }

  sizeOf(id: string): PerAxis<D> {
    this.entry(id);
    return perAxis(this.dim, this.shared.infos.get(id)!.size);
  }

  subset(ids: readonly string[]): Dataset<D> {
    for (const id of ids) this.entry(id);
    if (ids.length === 0) throw new InputError('empty-dataset', `data set '${this.name}': a subset of no cases`);
    return new FolderDataset(this.shared, [...ids]);
  }

  split(name: SplitName): Dataset<D> {
    const ids = this.ids.filter((id) => this.entry(id).split === name);
    if (ids.length === 0) throw new InputError('empty-dataset', `data set '${this.name}': no case has split '${name}'`);
    return this.subset(ids);
  }

  private entry(id: string): CaseEntry {
    const entry = this.members.has(id) ? this.shared.entries.get(id) : undefined;
    if (!entry) throw new InputError('invalid-data', `data set '${this.name}': no case '${id}' among its ${this.ids.length}`);
    return entry;
  }
}

async function loadCase<D extends Dim>(shared: Shared<D>, entry: CaseEntry, dim: D, minVoxels: number): Promise<Case<D>> {
  const { folder, json } = shared;
  const spacing = entry.spacing ?? shared.infos.get(entry.id)!.spacing ?? json.spacing;
  const place = { dim, ...(spacing && { spacing }) };
  const image = normalise(await loadVolume(join(folder, entry.image), place), shared.normalise);
  const labelMap = await loadLabelMap(join(folder, entry.labels), dim);
  const objectLabels = labelsById(json, entry, labelMap.data, join(folder, entry.labels));
  const objects = objectsFromLabelMap(labelMap.data, labelMap.size, objectLabels, { minVoxels });
  const kept = new Set(objects.objectIds);
  for (let i = 0; i < labelMap.data.length; i++) if (!kept.has(labelMap.data[i]!)) labelMap.data[i] = 0;
  return {
    id: entry.id,
    image,
    labelMap: { ...image, data: labelMap.data, channels: 1 },
    objectLabels,
    objects: { dim, boxes: objects.boxes, labels: objects.labels },
  };
}

/** Class label by object id; an id without a class is refused. */
function labelsById(json: DatasetJson, { id, objectClasses }: CaseEntry, ids: Int32Array, file: string): Int32Array {
  let last = 0;
  for (let i = 0; i < ids.length; i++) if (ids[i]! > last) last = ids[i]!;
  if (typeof objectClasses === 'string') return new Int32Array(last).fill(json.classes.indexOf(objectClasses));
  const labels = new Int32Array(last).fill(-1);
  for (const [object, name] of Object.entries(objectClasses)) {
    if (Number(object) <= last) labels[Number(object) - 1] = json.classes.indexOf(name);
  }
  const unknown = ids.find((object) => object > 0 && labels[object - 1]! < 0);
  if (unknown !== undefined) {
    throw new InputError('unknown-class', `${file}: object ${unknown} of case '${id}' has no class in objectClasses`);
  }
  return labels.map((label) => Math.max(label, 0));
}
