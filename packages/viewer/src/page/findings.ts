import { type Dim, InputError, type Placement, pointsToPhysical } from '@mdt/core';
import type { DetectionRows, ImageInfo } from './protocol.js';

/** One box of the list. */
export interface Finding {
  /** Stays the same while the list is filtered. */
  index: number;
  box: number[];
  score: number;
  label: number;
  /** Lengths of its sides, array order: millimetres, or voxels where the image does not say how large they are. */
  sides: number[];
  /** Its middle, in voxels and in millimetres of the patient's space (LPS), array order. */
  middle: number[];
  middleMm: number[];
}

/** The boxes of an image with their measures, best score first. */
export function findingsOf({ boxes, scores, labels }: DetectionRows, image: ImageInfo): Finding[] {
  const place = placementOf(image);
  const { dim } = image;
  return boxes
    .map((box, index) => {
      const sides = place.spacing.map((step, axis) => (box[axis + dim]! - box[axis]!) * step);
      const middle = sides.map((_, axis) => (box[axis]! + box[axis + dim]!) / 2);
      const centre = middle.map((edge) => edge - 0.5); // whole numbers are the centres of voxels
      return {
        index,
        box,
        score: scores[index]!,
        label: labels[index]!,
        sides,
        middle,
        middleMm: Array.from(pointsToPhysical(centre, place)),
      };
    })
    .sort((a, b) => b.score - a.score || a.index - b.index);
}

export const placementOf = ({ dim, spacing, origin, direction }: Pick<ImageInfo, 'dim' | 'spacing' | 'origin' | 'direction'>) =>
  ({ dim, spacing, origin, ...(direction && { direction }) }) as unknown as Placement<Dim>;

/** `12.3 × 8.1 × 7.0 mm`: width, height, and depth where there is one. */
export const sidesText = ({ sides }: Pick<Finding, 'sides'>, { inMillimetres }: Pick<ImageInfo, 'inMillimetres'>): string =>
  `${sides.toReversed().map(decimals).join(' × ')} ${inMillimetres ? 'mm' : 'voxels'}`;

/** What `predictions.json` of `mdt predict` holds of one case. */
export interface PredictedCaseJson {
  id: string;
  size: number[];
  found: DetectionRows;
}

/**
 * Reads `predictions.json`.
 *
 * @throws InputError `invalid-data`
 */
export function parsePredictions(text: string, name: string): { classes: string[]; cases: PredictedCaseJson[] } {
  const refuse = (what: string): never => {
    throw new InputError('invalid-data', `${name}: ${what}`);
  };
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch {
    return refuse('not JSON');
  }
  const { format, classes, cases } = (json ?? {}) as { format?: unknown; classes?: unknown; cases?: unknown };
  if (format !== 'mdt-predictions' || !isList(classes, isText) || !Array.isArray(cases))
    return refuse("no predictions of mdt (format 'mdt-predictions', classes, cases)");
  return {
    classes,
    cases: cases.map((one: unknown, i) => {
      const { id, size, detections } = (one ?? {}) as Record<string, unknown>;
      if (!isText(id) || !isList(size, isNumber) || ![2, 3].includes(size.length) || !Array.isArray(detections))
        return refuse(`case ${i} has no id, size of 2 or 3 axes, or list of detections`);
      const found: DetectionRows = { boxes: [], scores: [], labels: [] };
      for (const [k, row] of detections.entries()) {
        const { box, score, label } = (row ?? {}) as Record<string, unknown>;
        const good = isList(box, isNumber) && box.length === 2 * size.length && isNumber(score) && isLabel(label, classes);
        if (!good) return refuse(`detection ${k} of case '${id}' has no box of ${2 * size.length} numbers, score and label`);
        found.boxes.push(box);
        found.scores.push(score);
        found.labels.push(label);
      }
      return { id, size, found };
    }),
  };
}

const isText = (value: unknown): value is string => typeof value === 'string';
const isNumber = (value: unknown): value is number => typeof value === 'number' && Number.isFinite(value);
const isLabel = (value: unknown, classes: readonly string[]): value is number =>
  Number.isInteger(value) && (value as number) >= 0 && (value as number) < classes.length;
const isList = <T>(value: unknown, is: (one: unknown) => one is T): value is T[] => Array.isArray(value) && value.every(is);

/** The case of predictions that an image belongs to: the one of its name, or the only one of its size. */
export function caseFor(
  cases: readonly PredictedCaseJson[],
  { id, size }: Pick<ImageInfo, 'id' | 'size'>,
): PredictedCaseJson | undefined {
  const fits = cases.filter((one) => one.size.join() === size.join());
  return fits.find((one) => one.id === id) ?? (fits.length === 1 ? fits[0] : undefined);
}

/** A length with a decimal, or two digits where it is shorter than one: microscopes see thousandths of a millimetre. */
export const decimals = (length: number): string =>
  Math.abs(length) >= 1 || length === 0 ? length.toFixed(1) : String(Number(length.toPrecision(2)));

/** Millimetres between two points of millimetres, or voxels. */
export const distance = (a: readonly number[], b: readonly number[]): number =>
  Math.hypot(...a.map((value, axis) => value - b[axis]!));
