import { stat } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { type Dim, InputError, type Volume, type VoxelArray } from '@mdt/core';
import { rescaled } from '@mdt/formats';
import { readJson } from '../../files.js';
import { labelMapOf, turnedLike } from '../label-map-file.js';
import { describeVolume, readVolume } from '../volume-file.js';
import type { SourceDataset } from '../write-dataset.js';
import { headWith, imagesIn, type LayoutOptions } from './folder.js';
import { drawParts } from './parts.js';

/**
 * nnDetection's layout: `dataset.json` (`labels`, `modalities` or `modality`, `dim`), `imagesTr/CASE_0000.nii.gz` for each modality,
 * `labelsTr/CASE.nii.gz` of instances, and `labelsTr/CASE.json` with `instances: { id: class }`. `imagesTs` and `labelsTs`, where they
 * are, become the test part.
 */
export async function nnDetectionLayout(folder: string, options: LayoutOptions = {}): Promise<SourceDataset> {
  const file = join(folder, 'dataset.json');
  const json = (await readJson(file)) as Record<string, unknown>;
  const refuse = (field: string, expected: string): never => {
    throw new InputError(
      'invalid-data',
      `${file}: ${field} is ${JSON.stringify(json[field])?.slice(0, 80) ?? 'missing'}, expected ${expected}`,
    );
  };
  const labels = json.labels as Record<string, string> | undefined;
  if (typeof labels !== 'object' || labels === null) return refuse('labels', 'an object from class number to name');
  const numbers = Object.keys(labels)
    .map(Number)
    .sort((a, b) => a - b);
  if (numbers.length === 0 || numbers.some((n, i) => n !== i)) return refuse('labels', 'numbers from 0 on');
  const classes = numbers.map((n) => labels[n]!);
  const dim = (json.dim ?? 3) as Dim;
  if (dim !== 2 && dim !== 3) return refuse('dim', '2 or 3');
  const modalities = Object.keys((json.modalities ?? json.modality ?? { 0: '' }) as object).length;
  const training = await pairs(folder, 'Tr', modalities);
  const hasTest = await stat(join(folder, 'imagesTs')).then(
    () => true,
    () => false,
  );
  const test = hasTest ? await pairs(folder, 'Ts', modalities) : [];
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
      async load() {
        const channels: Volume[] = [];
        for (const path of images) {
          const one = rescaled(await readVolume(path, { dim }));
          channels.push(channels[0] ? turnedLike(one, await describeVolume(path, dim), channels[0]) : one);
        }
        const labelMap = await labelMapOf(label, channels[0]!);
        const { instances } = (await readJson(table)) as { instances?: Record<string, number> };
        if (typeof instances !== 'object' || instances === null) {
          throw new InputError('invalid-data', `${table}: instances is missing, expected { id: class number }`);
        }
        const objectClasses = Object.fromEntries(
          Object.entries(instances).map(([object, n]) => [object, classes[n] ?? String(n)]),
        );
        return { image: stacked(channels, id), labelMap, objectClasses };
      },
    };
  });
  const name = options.name ?? String(json.task ?? json.name ?? basename(folder));
  return { ...headWith(folder, { ...options, name, classes }, { dim, channels: modalities }), cases };
}

async function pairs(
  folder: string,
  part: 'Tr' | 'Ts',
  modalities: number,
): Promise<{ id: string; images: string[]; label: string }[]> {
  const images = await imagesIn(join(folder, `images${part}`));
  const labels = await imagesIn(join(folder, `labels${part}`));
  return [...labels].map(([id, label]) => {
    const names = Array.from({ length: modalities }, (_, m) => `${id}_${String(m).padStart(4, '0')}`);
    const lacking = names.find((name) => !images.has(name));
    if (lacking) throw new InputError('missing-file', `${join(folder, `images${part}`)}: no image ${lacking}`);
    return { id, images: names.map((name) => images.get(name)!), label };
  });
}

/** Images of one size as the channels of one image, in a type that holds all. */
function stacked(images: readonly Volume[], id: string): Volume {
  const [first, ...others] = images as [Volume, ...Volume[]];
  if (others.length === 0) return first;
  const odd = others.find(({ size }) => size.join() !== first.size.join());
  if (odd)
    throw new InputError(
      'shape-mismatch',
      `case '${id}': modalities of ${first.size.join('x')} and ${odd.size.join('x')} voxels`,
    );
  const same = others.every(({ data }) => data.constructor === first.data.constructor);
  const Type = (same ? first.data.constructor : Float32Array) as new (length: number) => VoxelArray;
  const data = new Type(first.data.length * images.length);
  for (const [c, image] of images.entries())
    for (let i = 0; i < image.data.length; i++) data[i * images.length + c] = image.data[i]!;
  return { ...first, data, channels: images.length };
}
