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
import type { Case, Dataset } from './dataset.js';

export interface PatchOptions<D extends Dim = Dim> {
  /** Voxels per axis that go through the network. */
  patchSize: PerAxis<D>;
  batchSize: number;
  /** Share of patches that are placed on an object, 0 to 1. The others lie anywhere. Default 0.5. */
  foreground?: number;
  /** Runs on every patch. What it returns may be larger than the patch: the middle is taken. */
  augment?: Augmentation<D>;
  /** Voxels cut on every side beyond the patch, so that rotation and scaling need no padding. Default 0. */
  margin?: number | PerAxis<D>;
  /** An object of which fewer voxels are left in the patch is no target. Default: the data set's. */
  minVoxels?: number;
  seed: string | number;
}

const optionKeys = ['patchSize', 'batchSize', 'foreground', 'augment', 'margin', 'minVoxels', 'seed'];

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
}

/** An endless stream of batches; a batch depends on nothing but the seed and its index. */
export interface PatchSampler<D extends Dim = Dim> extends AsyncIterable<PatchBatch<D>> {
  batch(index: number): Promise<PatchBatch<D>>;
}

/**
 * Cuts random patches for training. For a patch on an object, the class that the batch has seen least is drawn first, then a
 * case that can have it, then one of its objects; the patch is placed so that a random point of the object's box keeps an
 * eighth of the patch from its border. Where a class is not to be found, any object will do, and an image without objects
 * gives a patch from anywhere: no search can go on forever. Images smaller than the patch are padded with their minimum.
 *
 * @throws InputError `invalid-patch-size`, `invalid-option`, `unknown-option`, `empty-dataset`
 */
export function patches<D extends Dim>(dataset: Dataset<D>, options: PatchOptions<D>): PatchSampler<D> {
  checkOptions(dataset, options);
  const { batchSize, seed } = options;
  const { dim, channels, ids } = dataset;
  const patchSize = perAxis(dim, options.patchSize as PerAxis);
  const withClass = dataset.classes.map((_, label) => ids.filter((id) => dataset.classesOf(id).includes(label)));
  const present = withClass.flatMap((list, label) => (list.length > 0 ? [label] : []));

  async function batch(index: number): Promise<PatchBatch<D>> {
    if (!Number.isSafeInteger(index) || index < 0) throw new RangeError(`patches: batch index ${index}, expected 0, 1, 2, …`);
    const random = rng(seed).fork('patches').fork(index);
    const voxels = product(patchSize);
    const instances = new Int32Array(batchSize * voxels);
    const result: PatchBatch<D> = {
      dim,
      batchSize,
      patchSize,
      channels,
      images: new Float32Array(batchSize * voxels * channels),
      targets: [],
      segmentation: new Int32Array(batchSize * voxels),
      instances,
      ids: [],
    };
    const seen = new Float64Array(dataset.classes.length);
    for (let i = 0; i < batchSize; i++) {
      const own = random.fork(i);
      const { one, start } = await choose(own, seen);
      const { image, labelMap, targets, places } = cut(one, start, own);
      result.images.set(image, i * voxels * channels);
      const { objectLabels } = one;
      for (let v = 0; v < voxels; v++) {
        const object = labelMap[v]!;
        if (object === 0) continue;
        result.segmentation[i * voxels + v] = 1 + objectLabels[object - 1]!;
        instances[i * voxels + v] = places[object] ?? 0;
      }
      for (const label of targets.labels) seen[label]!++;
      result.targets.push(targets);
      result.ids.push(one.id);
    }
    return result;
  }

  /** A case and the first voxel of a patch in it. */
  async function choose(random: Random, seen: Float64Array): Promise<{ one: Case<D>; start: number[] }> {
    const onObject = random.next() < (options.foreground ?? 0.5);
    if (!onObject || present.length === 0) {
      const one = await dataset.load(pick(random, ids));
      return { one, start: anywhere(random, one.image.size, patchSize) };
    }
    const fewest = Math.min(...present.map((label) => seen[label]!));
    const label = pick(
      random,
      present.filter((candidate) => seen[candidate] === fewest),
    );
    const one = await dataset.load(pick(random, withClass[label]!));
    const { labels, boxes } = one.objects;
    if (labels.length === 0) return { one, start: anywhere(random, one.image.size, patchSize) };
    const all = Array.from(labels, (_, object) => object);
    const wanted = all.filter((object) => labels[object] === label);
    const object = pick(random, wanted.length > 0 ? wanted : all);
    const box = boxes.subarray(object * 2 * dim, (object + 1) * 2 * dim);
    return { one, start: onBox(random, box, one.image.size, patchSize) };
  }

  /** Cuts, augments and draws the boxes of what is left. */
  function cut(one: Case<D>, start: readonly number[], random: Random) {
    const { augment, minVoxels = dataset.minVoxels } = options;
    const { objectLabels } = one;
    const margin = augment ? perAxis(dim, (options.margin ?? 0) as PerAxis | number) : perAxis(dim, 0);
    const window = {
      start: start.map((s, d) => s - margin[d]!),
      size: perAxis(
        dim,
        Array.from(patchSize, (n, d) => n + 2 * margin[d]!),
      ),
    };
    let image = copyWindow(one.image, { ...window, fill: minimum(one) });
    let labelMap = copyWindow(one.labelMap, window);
    if (augment) {
      const { sample } = augment(createSample({ dim, size: window.size, channels, image, labelMap, objectLabels }), random);
      ({ image, labelMap } = middle(sample, patchSize, minimum(one)));
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

function pick<T>(random: Random, list: readonly T[]): T {
  return list[random.integer(0, list.length)]!;
}

/** First voxel of a patch anywhere in the image; a smaller image lies in the middle of the patch. */
function anywhere(random: Random, size: ArrayLike<number>, patch: ArrayLike<number>): number[] {
  return Array.from(patch, (n, d) => {
    const room = size[d]! - n;
    return room >= 0 ? random.integer(0, room + 1) : Math.floor(room / 2);
  });
}

/** First voxel of a patch that shows a random point of the box, away from its border and within the image where that can be. */
function onBox(random: Random, box: ArrayLike<number>, size: ArrayLike<number>, patch: ArrayLike<number>): number[] {
  const dim = patch.length;
  return Array.from(patch, (n, d) => {
    const point = Math.floor(random.uniform(box[d]!, box[dim + d]!));
    const rim = Math.floor(n / 8); // the original's margin
    const start = random.integer(point - n + 1 + rim, point - rim + 1);
    const room = size[d]! - n;
    return room >= 0 ? Math.min(Math.max(start, 0), room) : Math.floor(room / 2);
  });
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

const minima = new WeakMap<Case, number>();

/** The least value of a case's image, looked for once. */
function minimum(one: Case): number {
  let least = minima.get(one);
  if (least === undefined) {
    least = Infinity;
    for (const value of one.image.data) if (value < least) least = value;
    minima.set(one, least);
  }
  return least;
}

function checkOptions<D extends Dim>(dataset: Dataset<D>, options: PatchOptions<D>): void {
  refuseUnknownKeys('patches', options, optionKeys);
  const { batchSize, foreground = 0.5, margin = 0, minVoxels = 1 } = options;
  const patchSize = Array.from(options.patchSize as PerAxis);
  const expect = (good: boolean, text: string) => {
    if (!good) throw new InputError('invalid-option', `patches: ${text}`);
  };
  const isCount = (n: number, least: number) => Number.isSafeInteger(n) && n >= least;
  if (dataset.ids.length === 0) throw new InputError('empty-dataset', `patches: data set '${dataset.name}' has no cases`);
  if (patchSize.length !== dataset.dim || !patchSize.every((n) => isCount(n, 1))) {
    throw new InputError(
      'invalid-patch-size',
      `patches: patchSize is [${patchSize}], expected ${dataset.dim} whole numbers from 1 on`,
    );
  }
  const margins = typeof margin === 'number' ? [margin] : Array.from(margin as PerAxis);
  const oneOrAll = typeof margin === 'number' || margins.length === dataset.dim;
  expect(oneOrAll && margins.every((n) => isCount(n, 0)), `margin is ${margins}, expected one or ${dataset.dim} whole numbers`);
  expect(isCount(batchSize, 1), `batchSize is ${batchSize}, expected a whole number from 1 on`);
  expect(foreground >= 0 && foreground <= 1, `foreground is ${foreground}, expected a share from 0 to 1`);
  expect(isCount(minVoxels, 1), `minVoxels is ${minVoxels}, expected a whole number from 1 on`);
}
