import { type Dim, InputError, type PerAxis, perAxis, product, type Random, refuseUnknownKeys, rng, volume } from '@mdt/core';
import { type SplitName, splitNames } from './dataset-json.js';
import { type NewCase, type WriteDatasetOptions, writeDataset } from './write-dataset.js';

/**
 * The tasks of the original toolkit's toy experiment; each has two classes.
 * - `circles_scale`: full discs; the classes differ in radius (19 and 20).
 * - `donuts_shape`: the second class has a hole in image and label map.
 * - `donuts_pattern`: the second class has a hole in the image only.
 */
export type ToyTask = 'circles_scale' | 'donuts_shape' | 'donuts_pattern';
export const toyTasks: readonly ToyTask[] = ['donuts_shape', 'donuts_pattern', 'circles_scale'];

export interface ToyOptions<D extends Dim = Dim> {
  task: ToyTask;
  dim: D;
  /** Voxels per axis. The original's images are 320x320. */
  size: PerAxis<D>;
  /** Images per part. The original has 1000, 500 and 1000. */
  count: Record<SplitName, number>;
  seed: string | number;
  /** Uniform noise in [0, 1) under the objects, as in the original; else 0. Default true. */
  noise?: boolean;
  /** Share of images without an object, 0 to 1, spread evenly. The original has none. Default 0.1. */
  negatives?: number;
  /** Objects per image. They do not touch; where no place is found for one, it is left out. Default 1. */
  objects?: number;
  /** Millimetres per voxel. Objects are round in millimetres. Default 1. */
  spacing?: PerAxis<D>;
  /** Millimetres; the larger radius. The others scale with it. Default 20. */
  radius?: number;
  /** Millimetres from the border within which no centre lies. Default half the radius, so that objects can be cut. */
  margin?: number;
}

const optionKeys = ['task', 'dim', 'size', 'count', 'seed', 'noise', 'negatives', 'objects', 'spacing', 'radius', 'margin'];

/** Radii of the two classes and of the hole, relative to the larger radius of 20: spec of the original's generator. */
const tasks: Record<ToyTask, { radii: readonly [number, number]; hole: number; holeIsBackground: boolean }> = {
  circles_scale: { radii: [19 / 20, 1], hole: 0, holeIsBackground: false },
  donuts_shape: { radii: [1, 1], hole: 4 / 20, holeIsBackground: true },
  donuts_pattern: { radii: [1, 1], hole: 4 / 20, holeIsBackground: false },
};

/** What an object adds to the image, and a hole takes away again. */
const contrast = 0.2;

/** Places tried for each object after the first. */
const maxTries = 100;

/** Class names, the first has label 0. */
export function toyClasses({ task, dim }: Pick<ToyOptions, 'task' | 'dim'>): [string, string] {
  if (task === 'circles_scale') return ['small', 'large'];
  return dim === 2 ? ['disc', 'donut'] : ['ball', 'shell'];
}

/**
 * Writes a toy data set into a folder. Every image has a random stream of its own, so that it depends on nothing but the
 * options, its part and its index.
 *
 * @throws InputError `invalid-option`, `unknown-option`
 */
export async function generateToy<D extends Dim>(
  folder: string,
  options: ToyOptions<D>,
  write: WriteDatasetOptions = {},
): Promise<void> {
  checkToyOptions(options);
  const { task, dim, spacing = 1, noise = true } = options;
  const cases = function* () {
    for (const split of splitNames) {
      for (let index = 0; index < options.count[split]; index++) yield toyCase(options, split, index);
    }
  };
  await writeDataset<D>(
    folder,
    {
      name: noise ? `${task}_noise` : task,
      dim,
      classes: toyClasses(options),
      channels: 1,
      spacing: [...perAxis(dim, spacing as PerAxis | number)],
      normalise: { method: 'none' },
      licence: 'CC0-1.0',
      source: `generated: ${JSON.stringify(options)}`,
      cases: cases(),
    },
    write,
  );
}

/** One toy image: a pure function of its arguments. */
export function toyCase<D extends Dim>(options: ToyOptions<D>, split: SplitName, index: number): NewCase<D> {
  const { task, dim, seed, noise = true, negatives = 0.1, objects = 1, radius = 20 } = options;
  const size = perAxis(dim, options.size as PerAxis);
  const spacing = perAxis(dim, (options.spacing ?? 1) as PerAxis | number);
  const { radii, hole, holeIsBackground } = tasks[task];
  const classes = toyClasses(options);
  const random = rng(seed).fork(split).fork(index);

  const image = new Float32Array(product(size));
  const labels = new Uint8Array(image.length);
  if (noise) for (let i = 0; i < image.length; i++) image[i] = random.next();
  const objectClasses: Record<string, string> = {};
  const negative = Math.floor((index + 1) * negatives) > Math.floor(index * negatives);
  const placed: Sphere[] = [];
  for (let k = 0; k < (negative ? 0 : objects); k++) {
    const sphere = place(random, placed, options, radii);
    if (!sphere) break;
    placed.push(sphere);
    const hollow = hole > 0 && sphere.label === 1;
    objectClasses[placed.length] = classes[sphere.label]!;
    paint(sphere.centre, sphere.radius, (i) => {
      image[i] = image[i]! + contrast;
      labels[i] = placed.length;
    });
    if (!hollow) continue;
    paint(sphere.centre, radius * hole, (i) => {
      image[i] = image[i]! - contrast;
      if (holeIsBackground) labels[i] = 0;
    });
  }
  return {
    id: `${split}-${String(index).padStart(5, '0')}`,
    split,
    objectClasses,
    image: volume({ dim, data: image, size, spacing }),
    labelMap: volume({ dim, data: labels, size, spacing }),
  };

  /** Calls `set` for each voxel strictly nearer to the centre than `limit` millimetres. */
  function paint(centre: readonly number[], limit: number, set: (index: number) => void): void {
    const along = (axis: number, offset: number, left: number): void => {
      if (axis === dim) {
        set(offset);
        return;
      }
      const reach = Math.floor(Math.sqrt(left) / spacing[axis]!);
      const from = Math.max(0, centre[axis]! - reach);
      const to = Math.min(size[axis]! - 1, centre[axis]! + reach);
      for (let i = from; i <= to; i++) {
        const rest = left - ((i - centre[axis]!) * spacing[axis]!) ** 2;
        if (rest > 0) along(axis + 1, offset * size[axis]! + i, rest);
      }
    };
    along(0, 0, limit * limit);
  }
}

interface Sphere {
  /** Voxels. */
  centre: number[];
  /** Millimetres. */
  radius: number;
  label: 0 | 1;
}

/** A random centre, then a random class, as the original draws them; undefined where the objects before leave no room. */
function place<D extends Dim>(
  random: Random,
  placed: readonly Sphere[],
  { dim, size, spacing, radius = 20, margin = radius / 2 }: ToyOptions<D>,
  radii: readonly [number, number],
): Sphere | undefined {
  const step = perAxis(dim, (spacing ?? 1) as PerAxis | number);
  for (let tries = 0; tries < maxTries; tries++) {
    const centre = Array.from(perAxis(dim, size as PerAxis), (n, d) => {
      const edge = Math.floor(margin / step[d]!);
      return random.integer(edge, n - edge);
    });
    const label = random.integer(0, 2) as 0 | 1;
    const sphere = { centre, label, radius: radius * radii[label]! };
    const apart = placed.every((other) => {
      const squares = centre.reduce((sum, c, d) => sum + ((c - other.centre[d]!) * step[d]!) ** 2, 0);
      return Math.sqrt(squares) > sphere.radius + other.radius + Math.max(...step);
    });
    if (apart) return sphere;
  }
  return undefined;
}

function checkToyOptions(options: ToyOptions): void {
  const where = 'generateToy';
  refuseUnknownKeys(where, options, optionKeys);
  const { task, dim, size, count, spacing, negatives = 0.1, objects = 1, radius = 20, margin = radius / 2 } = options;
  const expect = (good: boolean, text: string) => {
    if (!good) throw new InputError('invalid-option', `${where}: ${text}`);
  };
  expect(Object.hasOwn(tasks, task), `task is ${task}, expected one of ${Object.keys(tasks).join(', ')}`);
  expect(dim === 2 || dim === 3, `dim is ${dim}, expected 2 or 3`);
  expect(size?.length === dim && size.every((n) => Number.isSafeInteger(n)), `size is ${size}, expected ${dim} whole numbers`);
  expect(
    spacing === undefined || (spacing.length === dim && spacing.every((s) => Number.isFinite(s) && s > 0)),
    `spacing is ${spacing}, expected ${dim} positive numbers`,
  );
  refuseUnknownKeys(`${where}: count`, count, splitNames);
  for (const split of splitNames) {
    expect(Number.isSafeInteger(count[split]) && count[split] >= 0, `count.${split} is ${count[split]}, expected a whole number`);
  }
  expect(negatives >= 0 && negatives <= 1, `negatives is ${negatives}, expected a share from 0 to 1`);
  expect(Number.isSafeInteger(objects) && objects >= 0 && objects <= 255, `objects is ${objects}, expected 0 to 255`);
  expect(Number.isFinite(radius) && radius > 0, `radius is ${radius}, expected a positive number of millimetres`);
  expect(Number.isFinite(margin) && margin >= 0, `margin is ${margin}, expected 0 or more millimetres`);
  const tight = size.findIndex((n, d) => n <= 2 * Math.floor(margin / (spacing?.[d] ?? 1)));
  expect(tight < 0, `size ${size} leaves no room for a centre ${margin} mm from the border along axis ${tight}`);
}
