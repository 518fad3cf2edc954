import { stat } from 'node:fs/promises';
import { basename, join } from 'node:path';
import type { Dim, Volume, VoxelArray } from '@mdt/core';
import { rescaled } from '@mdt/formats';
import { readJson } from '../../files.js';
import { storedLabelMap, turnedLike } from '../label-map-file.js';
import { Problems, StoppedReading, shown } from '../problems.js';
import { describeVolume, readVolume } from '../volume-file.js';
import type { SourceDataset } from '../write-dataset.js';
import { headWith, imagesIn, type LayoutOptions } from './folder.js';
import { drawParts } from './parts.js';

/**
 * nnDetection's layout: `dataset.json` (`labels`, `modalities` or `modality`, `dim`), `imagesTr/CASE_0000.nii.gz` for each modality,
 * `labelsTr/CASE.nii.gz` of instances, and `labelsTr/CASE.json` with `instances: { id: class }`. `imagesTs` and `labelsTs`, where they
 * are, become the test part.
 */
export async function nnDetectionLayout(
  folder: string,
  options: LayoutOptions = {},
  problems: Problems = new Problems(),
): Promise<SourceDataset> {
  const file = join(folder, 'dataset.json');
  const [json] = await problems.all([file, async () => ((await readJson(file)) ?? {}) as Record<string, unknown>]);
  const labels = json.labels;
  const isTable = typeof labels === 'object' && labels !== null;
  const numbers = Object.keys(isTable ? labels : {})
    .map(Number)
    .sort((a, b) => a - b);
  const isNumbered = numbers.length > 0 && numbers.every((n, i) => n === i);
  const expected = isTable ? 'numbers from 0 on' : 'an object from class number to name';
  if (!isNumbered) problems.add({ file, field: 'labels', found: shown(labels), expected });
  const classes = isNumbered ? numbers.map((n) => (labels as Record<string, string>)[n]!) : [];
  const dim = (json.dim ?? 3) as Dim;
  if (dim !== 2 && dim !== 3) problems.add({ file, field: 'dim', found: shown(dim), expected: '2 or 3' });
  const modalities = Object.keys((json.modalities ?? json.modality ?? { 0: '' }) as object).length;
  const hasTest = await stat(join(folder, 'imagesTs')).then(
    () => true,
    () => false,
  );
  const [training, test] = await problems.all(
    [folder, () => pairs(folder, 'Tr', modalities, problems)],
    [folder, () => (hasTest ? pairs(folder, 'Ts', modalities, problems) : [])],
  );
  if (!isNumbered || (dim !== 2 && dim !== 3)) throw new StoppedReading();
  const drawnParts = drawParts(
    training.map(({ id }) => id),
    test.length > 0 ? { ...options, test: 0 } : options,
  );
  const cases = [...training, ...test].map(({ id, images, label }) => {
    const table = label.replace(/(\.nii\.gz|\.[^.]+)$/, '.json');
    return {
      id,
      split: drawnParts.get(id) ?? ('test' as const),
      files: [...images, label, table],
      async load(problems = new Problems()) {
        const [channels, stored, objectClasses] = await problems.all(
          [images[0]!, () => channelsOf(images, dim, problems)],
          [label, () => storedLabelMap(label, dim)],
          [table, () => objectClassesOf(table, classes, problems)],
        );
        return { image: stacked(channels, images, problems), labelMap: stored.like(channels[0]!), objectClasses };
      },
    };
  });
  const name = options.name ?? String(json.task ?? json.name ?? basename(folder));
  return { ...headWith(folder, { ...options, name, classes }, { dim, channels: modalities }), cases };
}

/** Where a modality cannot be read, the others are tried all the same. */
async function channelsOf(paths: readonly string[], dim: Dim, problems: Problems): Promise<Volume[]> {
  const read = await problems.all(
    ...paths.map((path) => [path, async () => ({ path, one: rescaled(await readVolume(path, { dim })) })] as const),
  );
  const channels: Volume[] = [];
  for (const { path, one } of read)
    channels.push(channels[0] ? turnedLike(one, await describeVolume(path, dim), channels[0]) : one);
  return channels;
}

async function objectClassesOf(table: string, classes: readonly string[], problems: Problems): Promise<Record<string, string>> {
  const { instances } = ((await readJson(table)) ?? {}) as { instances?: unknown };
  if (typeof instances !== 'object' || instances === null) {
    problems.add({ file: table, field: 'instances', found: shown(instances), expected: '{ id: class number }' });
    throw new StoppedReading();
  }
  const named = Object.entries(instances).flatMap(([object, n]): [string, string][] => {
    const name = classes[n as number];
    if (name !== undefined) return [[object, name]];
    const expected = `a class number from 0 to ${classes.length - 1}`;
    problems.add({ code: 'unknown-class', file: table, field: `instances.${object}`, found: shown(n), expected });
    return [];
  });
  return Object.fromEntries(named);
}

async function pairs(
  folder: string,
  part: 'Tr' | 'Ts',
  modalities: number,
  problems: Problems,
): Promise<{ id: string; images: string[]; label: string }[]> {
  const [imageFolder, labelFolder] = [join(folder, `images${part}`), join(folder, `labels${part}`)];
  const [images, labels] = await problems.all(
    [imageFolder, () => imagesIn(imageFolder, problems)],
    [labelFolder, () => imagesIn(labelFolder, problems)],
  );
  return [...labels].flatMap(([id, label]) => {
    const names = Array.from({ length: modalities }, (_, m) => `${id}_${String(m).padStart(4, '0')}`);
    const lacking = names.filter((name) => !images.has(name));
    for (const name of lacking) {
      const expected = `one for each modality of ${label}`;
      problems.add({ code: 'missing-file', file: imageFolder, field: `image ${name}`, found: 'missing', expected });
    }
    return lacking.length > 0 ? [] : [{ id, images: names.map((name) => images.get(name)!), label }];
  });
}

/** Images of one size as the channels of one image, in a type that holds all. */
function stacked(images: readonly Volume[], paths: readonly string[], problems: Problems): Volume {
  const [first, ...others] = images as [Volume, ...Volume[]];
  if (others.length === 0) return first;
  const odd = images.flatMap(({ size }, i) => (size.join() === first.size.join() ? [] : [{ file: paths[i]!, size }]));
  for (const { file, size } of odd) {
    const expected = `${first.size.join('x')} as ${paths[0]}`;
    problems.add({ code: 'shape-mismatch', file, field: 'size', found: size.join('x'), expected });
  }
  if (odd.length > 0) throw new StoppedReading();
  const same = others.every(({ data }) => data.constructor === first.data.constructor);
  const Type = (same ? first.data.constructor : Float32Array) as new (length: number) => VoxelArray;
  const data = new Type(first.data.length * images.length);
  for (const [c, image] of images.entries())
    for (let i = 0; i < image.data.length; i++) data[i * images.length + c] = image.data[i]!;
  return { ...first, data, channels: images.length };
}
