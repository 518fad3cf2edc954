import { type Augmentation, createSample, objectsFromLabelMap, type Sample } from '@mdt/augment';
import {
  copyWindow,
  type Dim,
  type GroundTruth,
  InputError,
  type PerAxis,
  perAxis,
  product,
  type Random,
  refuseUnknownKeys,
  rng,
} from '@mdt/core';
import type { CaseReader } from './case-reader.js';
import type { Dataset } from './dataset.js';
import { anywhere, besideObjects, onBox } from './patch-start.js';

export interface PatchOptions<D extends Dim = Dim> {
  /** Voxels per axis that go through the network. */
  patchSize: PerAxis<D>;
  batchSize: number;
  /** Share of patches that are placed on an object, 0 to 1. Default 0.5. */
  foreground?: number;
  /** Share of patches that show no object where such a place is found, 0 to 1. What is left lies anywhere. Default 0. */
  negatives?: number;
  /** How often patients (cases, where nothing is said of patients) are drawn, beside 1 for all others; 0 is never. */
  weights?: Readonly<Record<string, number>>;
  /** Runs on every patch. What it returns may be larger than the patch: the middle is taken. */
  augment?: Augmentation<D>;
  /** Voxels cut on every side beyond the patch, so that rotation and scaling need no padding. Default 0. */
  margin?: number | PerAxis<D>;
  /** An object of which fewer voxels are left in the patch is no target. Default: the data set's. */
  minVoxels?: number;
  /**
   * Patches of two axes out of volumes, for 2D networks: slices with this many neighbours before and after as further channels, as
   * `createSlicePredictor` has them.
   */
  slices?: { context: number };
  seed: string | number;
  /** Called with the id of every case that is read. */
  onCase?: (id: string) => void;
}

const optionKeys = [
  ...['patchSize', 'batchSize', 'foreground', 'negatives', 'weights', 'augment', 'margin', 'minVoxels', 'slices', 'seed'],
  'onCase',
];

/** Input and targets of one training step. */
export interface PatchBatch<D extends Dim = Dim> {
  dim: D;
  batchSize: number;
  patchSize: PerAxis<D>;
  channels: number;
  /** `[batchSize, ...patchSize, channels]`. */
  images: Float32Array;
  /** Objects of each patch, patch voxels. */
  targets: GroundTruth<D>[];
  /** `[batchSize, ...patchSize]`: 0 background, else 1 + label. */
  segmentation: Int32Array;
  /** `[batchSize, ...patchSize]`: 0 background, else 1 + the object's place in the patch's targets. For masks. */
  instances?: Int32Array;
  /** The case that each patch was cut from. */
  ids: string[];
  /** Gives the memory of the arrays back for another batch; they may not be read any more. There where `loadPatches` made it. */
  release?: () => void;
}

export interface BatchCall {
  /** Memory for the arrays of the batch. Default: new one. */
  allocate?: (bytes: number) => ArrayBuffer | SharedArrayBuffer;
}

/**
 * An endless stream of batches. A patch depends on nothing but the seed, the index of its batch, which counts on over the epochs, and
 * its place in it.
 */
export interface PatchSampler<D extends Dim = Dim> extends AsyncIterable<PatchBatch<D>> {
  batch(index: number, call?: BatchCall): Promise<PatchBatch<D>>;
}

/**
 * Cuts random patches for training. For a patch on an object, the class that the batch has seen least is drawn first, then a
 * case that can have it, then one of its objects; the patch is placed so that a random point of the object's box keeps an
 * eighth of the patch from its border. Where a class is not to be found, any object will do, and an image without objects
 * gives a patch from anywhere: no search can go on forever. Patients are drawn equally often, however many cases they have,
 * unless there are weights. Images smaller than the patch are padded with their minimum.
 *
 * @throws InputError `invalid-patch-size`, `invalid-option`, `unknown-option`, `empty-dataset`
 */
export function patches<D extends Dim>(dataset: Dataset<D>, options: PatchOptions<D>): PatchSampler<D>;
export function patches(dataset: Dataset<3>, options: PatchOptions<2>): PatchSampler<2>;
export function patches<D extends Dim>(dataset: Dataset, options: PatchOptions<D>): PatchSampler<D> {
  checkPatchOptions(dataset, options as unknown as PatchOptions);
  const { batchSize, seed, foreground = 0.5, negatives = 0, slices, onCase } = options;
  const context = slices?.context ?? 0;
  const stack = 2 * context + 1;
  /** Axes of the patch, and before them the one that slices lie along. */
  const dim = options.patchSize.length as D;
  const lead = dataset.dim - dim;
  const patchSize = perAxis(dim, options.patchSize as PerAxis);
  const cutSize = [...(lead ? [1] : []), ...Array.from(patchSize as PerAxis)];
  const channels = dataset.channels * stack;
  const draw = caseDrawer(dataset, options.weights ?? {});
  const withClass = dataset.classes.map((_, label) => draw.where((id) => dataset.classesOf(id).includes(label)));
  const present = withClass.flatMap((one, label) => (one ? [label] : []));
  const all = draw.where(() => true)!;

  async function batch(index: number, { allocate = (bytes) => new ArrayBuffer(bytes) }: BatchCall = {}): Promise<PatchBatch<D>> {
    if (!Number.isSafeInteger(index) || index < 0) throw new RangeError(`patches: batch index ${index}, expected 0, 1, 2, …`);
    const random = rng(seed).fork('patches').fork(index);
    const voxels = product(patchSize);
    const shape = { batchSize, patchSize: patchSize as PerAxis, channels };
    const arrays = batchViews(allocate(batchBytes(shape)), shape);
    arrays.segmentation.fill(0);
    arrays.instances.fill(0);
    const result: PatchBatch<D> = { dim, batchSize, patchSize, channels, targets: [], ids: [], ...arrays };
    const seen = new Float64Array(dataset.classes.length);
    for (let i = 0; i < batchSize; i++) {
      const own = random.fork(i);
      const { one, start } = await choose(own, seen);
      const { image, labelMap, targets, places } = await cut(one, start, own);
      arrays.images.set(image, i * voxels * channels);
      const { objectLabels } = one;
      for (let v = 0; v < voxels; v++) {
        const object = labelMap[v]!;
        if (object === 0) continue;
        arrays.segmentation[i * voxels + v] = 1 + objectLabels[object - 1]!;
        arrays.instances[i * voxels + v] = places[object] ?? 0;
      }
      for (const label of targets.labels) seen[label]!++;
      result.targets.push(targets);
      result.ids.push(one.id);
    }
    return result;
  }

  async function open(id: string): Promise<CaseReader> {
    onCase?.(id);
    return dataset.reader(id);
  }

  /** A case and the first voxel of a patch in it. */
  async function choose(random: Random, seen: Float64Array): Promise<{ one: CaseReader; start: number[] }> {
    const kind = random.next();
    if (kind >= foreground || present.length === 0) {
      const one = await open(all(random));
      const empty = kind >= foreground && kind < foreground + negatives;
      return { one, start: empty ? besideObjects(random, one, cutSize) : anywhere(random, one.size, cutSize) };
    }
    const fewest = Math.min(...present.map((label) => seen[label]!));
    const label = pick(
      random,
      present.filter((candidate) => seen[candidate] === fewest),
    );
    const one = await open(withClass[label]!(random));
    const { labels, boxes } = one.objects;
    if (labels.length === 0) return { one, start: anywhere(random, one.size, cutSize) };
    const every = Array.from(labels, (_, object) => object);
    const wanted = every.filter((object) => labels[object] === label);
    const object = pick(random, wanted.length > 0 ? wanted : every);
    const width = 2 * dataset.dim;
    const box = boxes.subarray(object * width, (object + 1) * width);
    return { one, start: onBox(random, box, one.size, cutSize) };
  }

  /** Cuts, augments and draws the boxes of what is left. */
  async function cut(one: CaseReader, start: readonly number[], random: Random) {
    const { augment, minVoxels = dataset.minVoxels } = options;
    const { objectLabels, fill } = one;
    const margin = Array.from(perAxis(dim, augment ? ((options.margin ?? 0) as PerAxis | number) : 0) as PerAxis);
    const reach = [...(lead ? [context] : []), ...margin];
    const whole = await one.read({
      start: start.map((s, d) => s - reach[d]!),
      size: cutSize.map((n, d) => n + 2 * reach[d]!),
    });
    const size = perAxis(
      dim,
      Array.from(patchSize as PerAxis, (n, d) => n + 2 * margin[d]!),
    );
    let { image, labelMap } = lead ? slicesAsChannels(whole, product(size), dataset.channels, context) : whole;
    if (augment) {
      const { sample } = augment(createSample({ dim, size, channels, image, labelMap, objectLabels }), random);
      ({ image, labelMap } = middle(sample, patchSize, fill));
    }
    const { boxes, labels, objectIds } = objectsFromLabelMap(labelMap, patchSize, objectLabels, { minVoxels });
    const places = new Int32Array(objectLabels.length + 1); // of each object: 1 + its place among the targets
    objectIds.forEach((id, i) => {
      places[id] = i + 1;
    });
    return { image, labelMap, targets: { dim, boxes, labels }, places };
  }

  return {
    batch,
    async *[Symbol.asyncIterator]() {
      for (let index = 0; ; index++) yield await batch(index);
    },
  };
}

/** The arrays of a batch in one piece of memory: images, segmentation, instances. */
export function batchViews(
  memory: SharedArrayBuffer | ArrayBuffer,
  { batchSize, patchSize, channels }: Pick<PatchBatch, 'batchSize' | 'patchSize' | 'channels'>,
): Required<Pick<PatchBatch, 'images' | 'segmentation' | 'instances'>> {
  const voxels = batchSize * product(patchSize);
  return {
    images: new Float32Array(memory, 0, voxels * channels),
    segmentation: new Int32Array(memory, 4 * voxels * channels, voxels),
    instances: new Int32Array(memory, 4 * voxels * (channels + 1), voxels),
  };
}

const batchBytes = ({ batchSize, patchSize, channels }: Pick<PatchBatch, 'batchSize' | 'patchSize' | 'channels'>): number =>
  4 * batchSize * product(patchSize) * (channels + 2);

/** Draws cases by the weights of their patients, among those that a condition names; undefined where there is none. */
function caseDrawer(dataset: Dataset, weights: Readonly<Record<string, number>>) {
  const ofPatient = new Map<string, number>();
  for (const id of dataset.ids) ofPatient.set(dataset.patientOf(id), (ofPatient.get(dataset.patientOf(id)) ?? 0) + 1);
  const weightOf = (id: string): number => {
    const patient = dataset.patientOf(id);
    return (weights[patient] ?? weights[id] ?? 1) / ofPatient.get(patient)!;
  };
  return {
    where(condition: (id: string) => boolean): ((random: Random) => string) | undefined {
      const ids = dataset.ids.filter((id) => condition(id) && weightOf(id) > 0);
      const ends: number[] = [];
      for (const id of ids) ends.push((ends.at(-1) ?? 0) + weightOf(id));
      if (ids.length === 0) return undefined;
      return (random) => {
        const at = random.next() * ends.at(-1)!;
        const found = ends.findIndex((end) => at < end);
        return ids[found < 0 ? ids.length - 1 : found]!;
      };
    },
  };
}

function pick<T>(random: Random, list: readonly T[]): T {
  return list[random.integer(0, list.length)]!;
}

/** Neighbouring slices as channels of the middle one, whose label map it is. */
function slicesAsChannels(
  { image, labelMap }: { image: Float32Array; labelMap: Int32Array },
  pixels: number,
  channels: number,
  context: number,
): { image: Float32Array; labelMap: Int32Array } {
  const stack = 2 * context + 1;
  const out = new Float32Array(image.length);
  for (let k = 0; k < stack; k++) {
    for (let i = 0; i < pixels; i++) {
      for (let c = 0; c < channels; c++) out[(i * stack + k) * channels + c] = image[(k * pixels + i) * channels + c]!;
    }
  }
  return { image: out, labelMap: labelMap.subarray(context * pixels, (context + 1) * pixels) };
}

function middle<D extends Dim>(
  sample: Sample<D>,
  patchSize: PerAxis<D>,
  fill: number,
): { image: Float32Array; labelMap: Int32Array } {
  const { image, labelMap, channels } = sample;
  const size = Array.from(sample.size as PerAxis);
  const excess = size.map((n, d) => n - patchSize[d]!);
  if (excess.some((n) => n < 0)) {
    throw new InputError(
      'invalid-patch-size',
      `patches: augment returned ${size.join('x')} voxels, expected at least the patch of ${patchSize.join('x')}`,
    );
  }
  if (excess.every((n) => n === 0)) return { image, labelMap };
  const window = { start: excess.map((n) => Math.floor(n / 2)), size: patchSize };
  return {
    image: copyWindow({ data: image, size, channels }, { ...window, fill }),
    labelMap: copyWindow({ data: labelMap, size }, window),
  };
}

/** Refuses options before anything is read. */
export function checkPatchOptions(dataset: Dataset, options: PatchOptions): void {
  refuseUnknownKeys('patches', options, optionKeys);
  const { batchSize, foreground = 0.5, negatives = 0, weights = {}, margin = 0, minVoxels = 1, slices } = options;
  const patchSize = Array.from(options.patchSize as PerAxis);
  const expect = (good: boolean, text: string) => {
    if (!good) throw new InputError('invalid-option', `patches: ${text}`);
  };
  const isCount = (n: number, least: number) => Number.isSafeInteger(n) && n >= least;
  if (dataset.ids.length === 0) throw new InputError('empty-dataset', `patches: data set '${dataset.name}' has no cases`);
  expect(
    slices === undefined || dataset.dim === 3,
    `slices of data set '${dataset.name}', which is ${dataset.dim}D, expected 3D`,
  );
  expect(slices === undefined || isCount(slices.context, 0), `slices.context is ${slices?.context}, expected a whole number`);
  const dim = slices ? 2 : dataset.dim;
  if (patchSize.length !== dim || !patchSize.every((n) => isCount(n, 1))) {
    throw new InputError('invalid-patch-size', `patches: patchSize is [${patchSize}], expected ${dim} whole numbers from 1 on`);
  }
  const margins = typeof margin === 'number' ? [margin] : Array.from(margin as PerAxis);
  const oneOrAll = typeof margin === 'number' || margins.length === dim;
  expect(oneOrAll && margins.every((n) => isCount(n, 0)), `margin is ${margins}, expected one or ${dim} whole numbers`);
  expect(isCount(batchSize, 1), `batchSize is ${batchSize}, expected a whole number from 1 on`);
  expect(foreground >= 0 && foreground <= 1, `foreground is ${foreground}, expected a share from 0 to 1`);
  expect(
    negatives >= 0 && foreground + negatives <= 1 + 1e-9,
    `negatives is ${negatives}, expected a share from 0 to ${1 - foreground}`,
  );
  expect(isCount(minVoxels, 1), `minVoxels is ${minVoxels}, expected a whole number from 1 on`);
  const known = new Set(dataset.ids.flatMap((id) => [id, dataset.patientOf(id)]));
  for (const [id, weight] of Object.entries(weights)) {
    expect(known.has(id), `weights names '${id}', expected a patient of data set '${dataset.name}'`);
    expect(Number.isFinite(weight) && weight >= 0, `weights of '${id}' is ${weight}, expected a number of at least 0`);
  }
  const left = dataset.ids.some((id) => (weights[dataset.patientOf(id)] ?? weights[id] ?? 1) > 0);
  expect(left, 'weights are 0 for every patient, expected one above 0');
}
