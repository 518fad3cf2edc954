import { type Dim, fromCocoBoxes, InputError } from '@mdt/core';
import type { EvaluationCase } from './cases.js';

export interface CocoCases {
  /** One per image, in order of image id; a case's id is the image id as text. */
  cases: EvaluationCase[];
  /** Category names in order of category id. */
  classes: string[];
  /** Category id of each class. */
  categoryIds: number[];
}

type Fields = Record<string, unknown>;

/**
 * Reads COCO ground truth (`{ images, annotations, categories }`) and results (`[{ image_id, category_id, bbox, score }]`),
 * both already parsed from JSON. Boxes are `[x, y, width, height]`, or in volumes `[x, y, z, width, height, depth]`.
 *
 * As in pycocotools, an annotation is ignored if and only if it is a crowd; its own `ignore` has no influence. Without
 * `categories` the ids that occur in the annotations are the classes.
 */
export function fromCocoJson(groundTruth: unknown, results: unknown): CocoCases {
  const root = fields('ground truth', groundTruth);
  const annotations = list('ground truth: annotations', root.annotations);
  const detections = list('results', results);
  const imageIds = list('ground truth: images', root.images)
    .map((image, i) => id(`ground truth: images[${i}].id`, image.id))
    .sort((a, b) => a - b);
  const repeated = imageIds.find((value, i) => value === imageIds[i + 1]);
  if (repeated !== undefined) throw invalid(`ground truth: image ${repeated} is listed twice`);
  if (imageIds.length === 0) throw new InputError('empty-dataset', 'fromCocoJson: ground truth has no images');
  const categories = readCategories(root.categories, annotations);
  const dim = dimOf([
    ['ground truth: annotations', annotations],
    ['results', detections],
  ]);

  const objectsOf = groupByImage('ground truth: annotations', annotations, imageIds);
  const detectionsOf = groupByImage('results', detections, imageIds);
  const labelOf = new Map(categories.map((category, label) => [category.id, label]));
  const cases = imageIds.map((imageId): EvaluationCase => {
    const objects = objectsOf.get(imageId)!;
    const found = detectionsOf.get(imageId)!;
    return {
      id: String(imageId),
      detections: {
        dim,
        ...boxesAndLabels('results', found, dim, labelOf),
        scores: Float64Array.from(found, ({ at, entry }) => number(`results[${at}].score`, entry.score)),
      },
      groundTruth: {
        dim,
        ...boxesAndLabels('ground truth: annotations', objects, dim, labelOf),
        crowd: Uint8Array.from(objects, ({ entry }) => (entry.iscrowd ? 1 : 0)),
        areas: Float64Array.from(objects, ({ at, entry }) => areaOf(at, entry, dim)),
      },
    };
  });
  return { cases, classes: categories.map(({ name }) => name), categoryIds: categories.map((category) => category.id) };
}

interface Placed {
  /** Index in the list that it was read from. */
  at: number;
  entry: Fields;
}

function groupByImage(where: string, entries: readonly Fields[], imageIds: readonly number[]): Map<number, Placed[]> {
  const groups = new Map<number, Placed[]>(imageIds.map((imageId) => [imageId, []]));
  entries.forEach((entry, at) => {
    const imageId = id(`${where}[${at}].image_id`, entry.image_id);
    const group = groups.get(imageId);
    if (!group) throw invalid(`${where}[${at}]: image ${imageId} is not among the ${imageIds.length} images of the ground truth`);
    group.push({ at, entry });
  });
  return groups;
}

function boxesAndLabels(where: string, entries: readonly Placed[], dim: Dim, labelOf: ReadonlyMap<number, number>) {
  const rows = new Float64Array(entries.length * 2 * dim);
  const labels = new Int32Array(entries.length);
  entries.forEach(({ at, entry }, i) => {
    (entry.bbox as number[]).forEach((value, v) => {
      rows[i * 2 * dim + v] = number(`${where}[${at}].bbox[${v}]`, value);
    });
    const category = id(`${where}[${at}].category_id`, entry.category_id);
    const label = labelOf.get(category);
    if (label === undefined) {
      throw new InputError(
        'unknown-class',
        `fromCocoJson: ${where}[${at}]: category ${category}, expected one of ${[...labelOf.keys()].slice(0, 20).join(', ')}`,
      );
    }
    labels[i] = label;
  });
  return { boxes: fromCocoBoxes(rows, dim), labels };
}

function areaOf(at: number, { area, bbox }: Fields, dim: Dim): number {
  if (area !== undefined) return number(`ground truth: annotations[${at}].area`, area);
  return (bbox as number[]).slice(dim).reduce((size, side) => size * side, 1);
}

function readCategories(value: unknown, annotations: readonly Fields[]): { id: number; name: string }[] {
  const categories =
    value === undefined
      ? [...new Set(annotations.map((entry, i) => id(`ground truth: annotations[${i}].category_id`, entry.category_id)))].map(
          (categoryId) => ({ id: categoryId, name: String(categoryId) }),
        )
      : list('ground truth: categories', value).map((category, i) => {
          const categoryId = id(`ground truth: categories[${i}].id`, category.id);
          return { id: categoryId, name: typeof category.name === 'string' ? category.name : String(categoryId) };
        });
  categories.sort((a, b) => a.id - b.id);
  categories.forEach((category, i) => {
    if (categories[i + 1]?.id === category.id) throw invalid(`ground truth: category ${category.id} is listed twice`);
  });
  return categories;
}

/** Number of axes of all boxes: 2 for rows of four numbers, 3 for rows of six. */
function dimOf(lists: readonly (readonly [string, readonly Fields[]])[]): Dim {
  let dim: Dim | undefined;
  for (const [where, entries] of lists) {
    entries.forEach(({ bbox }, at) => {
      const length = Array.isArray(bbox) ? bbox.length : 0;
      if (length !== 4 && length !== 6) throw invalid(`${where}[${at}]: bbox has ${length} numbers, expected 4 or 6`);
      if (dim !== undefined && length !== 2 * dim) {
        throw new InputError(
          'shape-mismatch',
          `fromCocoJson: ${where}[${at}]: bbox has ${length} numbers, expected ${2 * dim} as in the entries before it`,
        );
      }
      dim = length === 4 ? 2 : 3;
    });
  }
  return dim ?? 2;
}

const invalid = (text: string): InputError => new InputError('invalid-data', `fromCocoJson: ${text}`);

function fields(where: string, value: unknown): Fields {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw invalid(`${where}: expected an object`);
  return value as Fields;
}

function list(where: string, value: unknown): Fields[] {
  if (!Array.isArray(value)) throw invalid(`${where}: expected a list, got ${value === null ? 'null' : typeof value}`);
  value.forEach((entry, i) => {
    fields(`${where}[${i}]`, entry);
  });
  return value;
}

function number(where: string, value: unknown): number {
  if (typeof value !== 'number' || !Number.isFinite(value))
    throw invalid(`${where} is ${JSON.stringify(value)}, expected a number`);
  return value;
}

function id(where: string, value: unknown): number {
  if (!Number.isSafeInteger(value)) throw invalid(`${where} is ${JSON.stringify(value)}, expected a whole number`);
  return value as number;
}
