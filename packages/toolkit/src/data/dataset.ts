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
import { type Normalisation, normalise } from '@mdt/formats';
import { CaseCache } from './case-cache.js';
import { type CaseReader, readerOf } from './case-reader.js';
import { type CaseEntry, type DatasetJson, parseDatasetJson, type SplitName } from './dataset-json.js';
import { labelMapOf, turnBetween } from './label-map-file.js';
import { checkSameSize, labelledIn, labelsById } from './object-labels.js';
import { preparedReaders } from './prepare/prepared.js';
import { describeVolume, loadVolume, readInput } from './volume-file.js';
import type { SourceDataset } from './write-dataset.js';

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

/** Where a data set can be opened again, by a worker for example. */
export interface DatasetPlace {
  folder: string;
  normalise?: Normalisation;
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
  /** Absent for a data set that is not a folder with `dataset.json`. */
  readonly place?: DatasetPlace;
  /** Loads a case, or takes it from memory. */
  load(id: string): Promise<Case<D>>;
  /** A case of which windows are read: of a prepared data set without loading the rest. */
  reader(id: string): Promise<CaseReader<D>>;
  /** Labels that objects of a case may have, known without loading it. */
  classesOf(id: string): readonly number[];
  /** Voxels per axis of a case, known without loading it. */
  sizeOf(id: string): PerAxis<D>;
  /** The patient that a case is of: the case itself where nothing else is said. */
  patientOf(id: string): string;
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
 * Opens the data set in a folder with `dataset.json`. Every entry and the header of every file is checked before it returns, so that
 * training does not stop at the thousandth image. A layout of other programs, such as `lidcLayout(folder)` gives it, is opened in
 * place; each of its cases is read once for that, so what is used often is better converted or prepared.
 *
 * @throws InputError `missing-file`, `unknown-option`, `unknown-class`, `shape-mismatch`, `empty-dataset`, `invalid-data`, …;
 * each names the file and the field
 */
export async function openDataset<D extends Dim = Dim>(
  source: string | SourceDataset,
  { dim, normalise: normalisation, cacheBytes = 2 ** 30 }: OpenDatasetOptions<D> = {},
): Promise<D extends Dim ? Dataset<D> : never> {
  const { head, members, where } =
    typeof source === 'string'
      ? await membersOfFolder(source, normalisation)
      : await membersOfSource(source, normalisation ?? source.normalise);
  if (dim !== undefined && head.dim !== dim) {
    throw new InputError('invalid-data', `${where}: dim is ${head.dim}, expected ${dim}`);
  }
  if (members.size === 0) throw new InputError('empty-dataset', `${where}: no cases`);
  const dataset = new CaseDataset(head, members, new CaseCache(cacheBytes), [...members.keys()]);
  return dataset as unknown as D extends Dim ? Dataset<D> : never;
}

/** The parts that `dataset.json` names; InputError `empty-dataset` where one has no case. */
export function splitDataset<D extends Dim>(
  dataset: Dataset<D>,
): { training: Dataset<D>; validation: Dataset<D>; test: Dataset<D> } {
  return { training: dataset.split('train'), validation: dataset.split('validation'), test: dataset.split('test') };
}

/** Cross-validation by patient, whatever `dataset.json` says; see `splitFolds` of `@mdt/core`. */
export function kFold<D extends Dim>(dataset: Dataset<D>, options: FoldOptions): ReturnType<typeof splitDataset<D>> {
  const patients = new Map<string, string[]>();
  for (const id of dataset.ids) patients.set(dataset.patientOf(id), [...(patients.get(dataset.patientOf(id)) ?? []), id]);
  const { training, validation, test } = splitFolds([...patients.values()], options);
  const part = (groups: string[][]) => dataset.subset(groups.flat());
  return { training: part(training), validation: part(validation), test: part(test) };
}

/** What is known of a case without loading it. */
interface Member<D extends Dim> {
  size: PerAxis<D>;
  labels: readonly number[];
  patient: string;
  split: SplitName;
  load(): Promise<Case<D>>;
  reader?(): Promise<CaseReader<D>>;
}

interface Head<D extends Dim> {
  dim: D;
  name: string;
  classes: readonly string[];
  channels: number;
  minVoxels: number;
  place?: DatasetPlace;
}

interface Members<D extends Dim> {
  head: Head<D>;
  members: Map<string, Member<D>>;
  where: string;
}

class CaseDataset<D extends Dim> implements Dataset<D> {
  readonly dim: D;
  readonly name: string;
  readonly classes: readonly string[];
  readonly channels: number;
  readonly minVoxels: number;
  readonly place?: DatasetPlace;
  private readonly own: ReadonlySet<string>;

  constructor(
    private readonly head: Head<D>,
    private readonly members: ReadonlyMap<string, Member<D>>,
    private readonly cache: CaseCache<D>,
    readonly ids: readonly string[],
  ) {
    this.own = new Set(ids);
    const { dim, name, classes, channels, minVoxels, place } = head;
    [this.dim, this.name, this.classes, this.channels, this.minVoxels] = [dim, name, classes, channels, minVoxels];
    if (place) this.place = place;
  }

  load(id: string): Promise<Case<D>> {
    const member = this.member(id);
    return this.cache.get(id, () => member.load());
  }

  async reader(id: string): Promise<CaseReader<D>> {
    return (await this.member(id).reader?.()) ?? readerOf(await this.load(id));
  }

  classesOf(id: string): readonly number[] {
    return this.member(id).labels;
  }

  sizeOf(id: string): PerAxis<D> {
    return this.member(id).size;
  }

  patientOf(id: string): string {
    return this.member(id).patient;
  }

  subset(ids: readonly string[]): Dataset<D> {
    for (const id of ids) this.member(id);
    if (ids.length === 0) throw new InputError('empty-dataset', `data set '${this.name}': a subset of no cases`);
    return new CaseDataset(this.head, this.members, this.cache, [...ids]);
  }

  split(name: SplitName): Dataset<D> {
    const ids = this.ids.filter((id) => this.member(id).split === name);
    if (ids.length === 0) throw new InputError('empty-dataset', `data set '${this.name}': no case has split '${name}'`);
    return this.subset(ids);
  }

  private member(id: string): Member<D> {
    const member = this.own.has(id) ? this.members.get(id) : undefined;
    if (!member) throw new InputError('invalid-data', `data set '${this.name}': no case '${id}' among its ${this.ids.length}`);
    return member;
  }
}

/** Cases whose headers are read side by side: enough to keep a disk busy, few enough for the limit on open files. */
const filesAtOnce = 32;

async function membersOfFolder<D extends Dim>(folder: string, replaced?: Normalisation): Promise<Members<D>> {
  const where = join(folder, 'dataset.json');
  const json = parseDatasetJson((await readInput(where)).toString('utf8'), where);
  const readers = await preparedReaders<D>(folder, json, replaced);
  const members = new Map<string, Member<D>>();
  for (let i = 0; i < json.cases.length; i += filesAtOnce) {
    const some = json.cases.slice(i, i + filesAtOnce);
    const found = await Promise.all(some.map((entry) => checkFiles(folder, json, entry)));
    for (const [k, entry] of some.entries()) {
      const info = found[k]!;
      const { objectClasses: given } = entry;
      const names = typeof given === 'string' ? [given] : Object.values(given);
      const reader = readers?.get(entry.id);
      members.set(entry.id, {
        size: perAxis(json.dim as D, info.size),
        labels: [...new Set(names)].map((name) => json.classes.indexOf(name)).sort((a, b) => a - b),
        patient: entry.patient ?? entry.id,
        split: entry.split,
        load: () => loadCase(folder, json, entry, info, replaced ?? json.normalise) as Promise<Case<D>>,
        ...(reader && { reader }),
      });
    }
  }
  const { dim, name, classes, channels, minVoxels = 1 } = json;
  const place = { folder, ...(replaced && { normalise: replaced }) };
  return { head: { dim: dim as D, name, classes, channels, minVoxels, place }, members, where };
}

async function membersOfSource<D extends Dim>(source: SourceDataset, how: Normalisation): Promise<Members<D>> {
  const { dim, name, classes, channels, minVoxels = 1 } = source;
  const members = new Map<string, Member<D>>();
  for (const { id, split, patient = id, load } of source.cases) {
    const loaded = async (): Promise<Case<D>> => {
      const { image, labelMap, objectClasses } = await load();
      checkSameSize(image, labelMap, `case '${id}'`);
      const normalised = normalise({ ...image, data: Float32Array.from(image.data) } as Volume<D, Float32Array>, how);
      const ids = { ...labelMap, data: Int32Array.from(labelMap.data) } as Volume<D, Int32Array>;
      return completeCase(id, normalised, ids, labelsById(classes, { id, objectClasses }, ids.data, `case '${id}'`), minVoxels);
    };
    const { image, objects } = await loaded();
    const labels = [...new Set(objects.labels)].sort((a, b) => a - b);
    members.set(id, { size: image.size, labels, patient, split, load: loaded });
  }
  return { head: { dim: dim as D, name, classes, channels, minVoxels }, members, where: `data set '${name}'` };
}

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
  const { spacing = json.spacing, origin, direction } = entry;
  const place = { ...image, ...(spacing && { spacing }), ...(origin && { origin }), ...(direction && { direction }) };
  const sameSize = labels.size.every((n, axis) => n === image.size[axis]);
  if (labels.channels !== 1 || !(sameSize || turnBetween(labels, place))) {
    throw new InputError(
      'shape-mismatch',
      `${where}: labels ${entry.labels} has size ${[...labels.size, ...(labels.channels > 1 ? [labels.channels] : [])].join('x')}, ` +
        `expected ${image.size.join('x')} as its image ${entry.image}`,
    );
  }
  return image;
}

async function loadCase(
  folder: string,
  json: DatasetJson,
  entry: CaseEntry,
  info: VolumeInfo,
  how: Normalisation,
): Promise<Case<Dim>> {
  const { dim } = json;
  const spacing = entry.spacing ?? info.spacing ?? json.spacing;
  const { origin, direction } = entry;
  const stored = await loadVolume(join(folder, entry.image), { dim, ...(spacing && { spacing }) });
  const placed = { ...stored, ...(origin && { origin: perAxis(dim, origin) }), ...(direction && { direction }) };
  const labelPath = join(folder, entry.labels);
  const labelMap = await labelMapOf(labelPath, placed);
  const { data, labels } = labelledIn(json, entry, labelMap, labelPath);
  return completeCase(entry.id, normalise(placed, how), { ...labelMap, data }, labels, json.minVoxels ?? 1);
}

/** Objects below the least size are erased, and boxes drawn around the others. */
function completeCase<D extends Dim>(
  id: string,
  image: Volume<D, Float32Array>,
  labelMap: Volume<D, Int32Array>,
  objectLabels: Int32Array,
  minVoxels: number,
): Case<D> {
  const { data, size } = labelMap;
  const objects = objectsFromLabelMap(data, size, objectLabels, { minVoxels });
  const kept = new Set(objects.objectIds);
  for (let i = 0; i < data.length; i++) if (!kept.has(data[i]!)) data[i] = 0;
  return {
    id,
    image,
    labelMap: { ...image, data, channels: 1 },
    objectLabels,
    objects: { dim: image.dim, boxes: objects.boxes, labels: objects.labels },
  };
}
