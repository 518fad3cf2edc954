import { type Dim, fromCocoBoxes, InputError, type PerAxis, toCocoBoxes } from '@mdt/core';
import type { EvaluationCase, EvaluationDetections } from './cases.js';
import { polygonsToRle } from './polygon.js';
import { checkRle, countsFromString, countsToString, maskArea, maskBox, type Rle } from './rle.js';

export interface CocoCases {
  /** One per image, in order of image id; a case's id is the image id as text. */
  cases: EvaluationCase[];
  /** Category names in order of category id. */
  classes: string[];
  /** Category id of each class. */
  categoryIds: number[];
}

export interface FromCocoOptions {
  /** Read masks too. Default false. */
  masks?: boolean;
}

type Fields = Record<string, unknown>;

/**
 * Reads COCO ground truth (`{ images, annotations, categories }`) and results (`[{ image_id, category_id, bbox, score }]`),
 * both already parsed from JSON. Boxes are `[x, y, width, height]`, or in volumes `[x, y, z, width, height, depth]`.
 *
 * With `masks` every annotation and result needs a `segmentation`: outlines, or run lengths as numbers or text; results without
 * `bbox` get the box of their mask. The size of a detection is then that of its mask, also where it has a box.
 *
 * As in pycocotools, an annotation is ignored if and only if it is a crowd; its own `ignore` has no influence. Without
 * `categories` the ids that occur in the annotations are the classes.
 *
 * @throws InputError `invalid-data`, `shape-mismatch`, `unknown-class`, `empty-dataset` with the list and the row
 */
export function fromCocoJson(groundTruth: unknown, results: unknown, { masks = false }: FromCocoOptions = {}): CocoCases {
  const root = fields('ground truth', groundTruth);
  const annotations = list('ground truth: annotations', root.annotations);
  const detections = list('results', results);
  const images = list('ground truth: images', root.images);
  const imageIds = images.map((image, i) => id(`ground truth: images[${i}].id`, image.id)).sort((a, b) => a - b);
  const repeated = imageIds.find((value, i) => value === imageIds[i + 1]);
  if (repeated !== undefined) throw invalid(`ground truth: image ${repeated} is listed twice`);
  if (imageIds.length === 0) throw new InputError('empty-dataset', 'fromCocoJson: ground truth has no images');
  const annotationIds = new Map<unknown, number>();
  annotations.forEach((entry, i) => {
    const other = entry.id === undefined ? undefined : annotationIds.get(entry.id);
    if (other !== undefined) throw invalid(`ground truth: annotations[${i}] has the id of annotations[${other}], ${entry.id}`);
    annotationIds.set(entry.id, i);
  });
  const categories = readCategories(root.categories, annotations);
  const sizeOf = new Map(images.map((image) => [image.id as number, sizeOfImage(image)]));
  const maskOf = ({ at, entry }: Placed, where: string): Rle =>
    readMask(`${where}[${at}].segmentation`, entry.segmentation, sizeOf.get(entry.image_id as number));
  const dim = dimOf(
    [
      ['ground truth: annotations', annotations],
      ['results', detections],
    ],
    masks,
  );

  const objectsOf = groupByImage('ground truth: annotations', annotations, imageIds);
  const detectionsOf = groupByImage('results', detections, imageIds);
  const labelOf = new Map(categories.map((category, label) => [category.id, label]));
  const cases = imageIds.map((imageId): EvaluationCase => {
    const objects = objectsOf.get(imageId)!;
    const found = detectionsOf.get(imageId)!;
    const size = sizeOf.get(imageId);
    const trueMasks = masks ? objects.map((placed) => maskOf(placed, 'ground truth: annotations')) : undefined;
    const foundMasks = masks ? found.map((placed) => maskOf(placed, 'results')) : undefined;
    return {
      id: String(imageId),
      ...(size?.length === dim && { size: size as unknown as PerAxis }),
      detections: {
        dim,
        ...(foundMasks && { masks: foundMasks }),
        ...boxesAndLabels('results', found, dim, labelOf, foundMasks),
        scores: Float64Array.from(found, ({ at, entry }) => number(`results[${at}].score`, entry.score)),
      },
      groundTruth: {
        dim,
        ...(trueMasks && { masks: trueMasks }),
        ...boxesAndLabels('ground truth: annotations', objects, dim, labelOf, trueMasks),
        crowd: Uint8Array.from(objects, ({ entry }) => (entry.iscrowd ? 1 : 0)),
        areas: Float64Array.from(objects, ({ at, entry }, i) => areaOf(at, entry, dim, trueMasks?.[i])),
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

/** Boxes in our order and labels; entries without a box get the box of their mask. */
function boxesAndLabels(
  where: string,
  entries: readonly Placed[],
  dim: Dim,
  labelOf: ReadonlyMap<number, number>,
  masks?: readonly Rle[],
) {
  const rows = new Float64Array(entries.length * 2 * dim);
  const labels = new Int32Array(entries.length);
  entries.forEach(({ at, entry }, i) => {
    const bbox = (entry.bbox as unknown[] | undefined) ?? Array.from(toCocoBoxes(Float64Array.from(maskBox(masks![i]!)), dim));
    bbox.forEach((value, v) => {
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

function areaOf(at: number, { area, bbox }: Fields, dim: Dim, mask?: Rle): number {
  if (area !== undefined) return number(`ground truth: annotations[${at}].area`, area);
  if (mask) return maskArea(mask);
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
function dimOf(lists: readonly (readonly [string, readonly Fields[]])[], masks: boolean): Dim {
  let dim: Dim | undefined;
  for (const [where, entries] of lists) {
    entries.forEach(({ bbox, segmentation }, at) => {
      if (masks && bbox === undefined && segmentation !== undefined) return; // the box of the mask
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

/** Height and width of an image, depth first where it has one; undefined where they are not given. */
function sizeOfImage({ depth, height, width }: Fields): readonly number[] | undefined {
  const size = depth === undefined ? [height, width] : [depth, height, width];
  return size.every((n) => Number.isSafeInteger(n) && (n as number) > 0) ? (size as number[]) : undefined;
}

/** Outlines, or run lengths as numbers or as text. */
function readMask(where: string, value: unknown, imageSize: readonly number[] | undefined): Rle {
  if (Array.isArray(value)) {
    if (imageSize?.length !== 2) throw invalid(`${where}: outlines need the image's height and width`);
    value.forEach((points, p) => {
      const fits = Array.isArray(points) && points.length >= 6 && points.length % 2 === 0 && points.every(Number.isFinite);
      if (!fits) throw invalid(`${where}[${p}]: expected an even list of at least 6 numbers`);
    });
    return polygonsToRle(value as number[][], imageSize as [number, number]);
  }
  if (typeof value !== 'object' || value === null) throw invalid(`${where}: expected outlines or { size, counts }`);
  const { size, counts } = value as Fields;
  if (!Array.isArray(size) || !size.every((n) => Number.isSafeInteger(n) && n > 0)) {
    throw invalid(`${where}.size is ${JSON.stringify(size)}, expected voxels per axis`);
  }
  if (imageSize && String(size) !== String(imageSize)) {
    throw new InputError(
      'shape-mismatch',
      `fromCocoJson: ${where}.size is ${size}, expected ${imageSize.join(',')} as its image`,
    );
  }
  if (Array.isArray(counts) && !counts.every((n) => Number.isSafeInteger(n) && n >= 0)) {
    throw invalid(`${where}.counts: expected whole numbers from 0 on`);
  }
  if (!Array.isArray(counts) && typeof counts !== 'string') throw invalid(`${where}.counts: expected numbers or a text`);
  const rle = {
    size: size as number[],
    counts: typeof counts === 'string' ? countsFromString(counts, `fromCocoJson: ${where}.counts`) : Uint32Array.from(counts),
  };
  checkRle(`fromCocoJson: ${where}`, rle);
  return rle;
}

/** One line of a COCO results file. */
export interface CocoResult {
  image_id: number | string;
  category_id: number;
  /** `[x, y, width, height]`, in volumes `[x, y, z, width, height, depth]`. */
  bbox: number[];
  score: number;
  segmentation?: { size: number[]; counts: string };
}

/**
 * Detections as COCO results; masks, where there are some, as run lengths in text form. A case's id becomes the image id, as a
 * number where it is one.
 *
 * @param categoryIds category of each label. Default: label + 1
 */
export function toCocoResults(
  cases: Iterable<{ id: string; detections: EvaluationDetections }>,
  { categoryIds }: { categoryIds?: readonly number[] } = {},
): CocoResult[] {
  const results: CocoResult[] = [];
  for (const { id: caseId, detections } of cases) {
    const { dim, boxes, labels, scores, masks } = detections;
    const rows = toCocoBoxes(Float64Array.from(boxes), dim);
    labels.forEach((label, i) => {
      const category = categoryIds ? categoryIds[label] : label + 1;
      if (category === undefined) {
        const text = `toCocoResults: case '${caseId}': row ${i} has label ${label}, expected 0 to ${categoryIds!.length - 1}`;
        throw new InputError('unknown-class', text);
      }
      const mask = masks?.[i];
      results.push({
        image_id: /^(0|[1-9]\d{0,14})$/.test(caseId) ? Number(caseId) : caseId,
        category_id: category,
        bbox: Array.from(rows.subarray(i * 2 * dim, (i + 1) * 2 * dim)),
        score: scores[i]!,
        ...(mask && { segmentation: { size: [...mask.size], counts: countsToString(mask.counts) } }),
      });
    });
  }
  return results;
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
