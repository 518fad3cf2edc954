import { checkDetections, type Detections, type Dim, type GroundTruth, InputError, numBoxes, type PerAxis } from '@mdt/core';
import { checkRle, type Rle } from './rle.js';

/** Detections, and the masks of their objects where masks are evaluated. */
export interface EvaluationDetections<D extends Dim = Dim> extends Detections<D> {
  /** `[n]`, one mask per detection, of the size of the whole image. */
  readonly masks?: readonly Rle[];
}

/** Ground truth with the marks that COCO's rules know. */
export interface EvaluationTruth<D extends Dim = Dim> extends GroundTruth<D> {
  /** `[n]`, one mask per object, of the size of the whole image. */
  readonly masks?: readonly Rle[];
  /**
   * `[n]`, 1 for a region with many objects: any number of detections may fall into it, none of them counts, and the
   * overlap is the share of the detection that lies inside. COCO's `iscrowd`.
   */
  readonly crowd?: Uint8Array;
  /** `[n]`, 1 for an object that counts neither as found nor as missed. */
  readonly ignore?: Uint8Array;
  /** `[n]`, size that decides the area range. Default: the size of the box, or of the mask where masks are evaluated. */
  readonly areas?: Float32Array | Float64Array;
}

/** Detections and ground truth of one image, volume or slice. */
export interface EvaluationCase<D extends Dim = Dim> {
  /** Unique among the cases. */
  readonly id: string;
  /** Which patient the case belongs to. Default: `id`. */
  readonly patient?: string;
  /** Voxels per axis. Given, boxes that lie wholly outside are refused. */
  readonly size?: PerAxis<D>;
  readonly detections: EvaluationDetections<D>;
  readonly groundTruth: EvaluationTruth<D>;
}

/** What detections and objects are compared by. */
export type Shape = 'boxes' | 'masks';

/** Throws unless the names are a list without repetitions. */
export function checkClasses(who: string, classes: readonly string[] | undefined): void {
  const refuse = (text: string): never => {
    throw new InputError('invalid-option', `${who}: ${text}`);
  };
  if (!Array.isArray(classes))
    throw new InputError('invalid-option', `${who}: classes is missing, expected a list of class names`);
  if (classes.length === 0) refuse('classes is empty, expected at least one name');
  const repeated = classes.find((name, i) => classes.indexOf(name) !== i);
  if (repeated !== undefined) refuse(`class '${repeated}' is listed twice`);
}

/** Checks cases one by one as they come: their number of axes, ids, labels, and every row. */
export class CaseChecker {
  readonly #seen = new Set<string>();
  dim: Dim | undefined;

  constructor(
    private readonly who: string,
    private readonly classes: readonly string[],
    private readonly shape: Shape = 'boxes',
  ) {}

  check(item: EvaluationCase): void {
    const name = `${this.who}: case '${item.id}'`;
    if (this.#seen.has(item.id)) {
      const hint = "parts of one patient need ids of their own and the same 'patient'";
      throw new InputError('invalid-data', `${name} is listed twice; ${hint}`);
    }
    const { detections, groundTruth, size } = item;
    const dim = this.dim ?? groundTruth.dim;
    if (dim !== 2 && dim !== 3) throw new InputError('shape-mismatch', `${name} has dim ${dim}, expected 2 or 3`);
    if (detections.dim !== dim || groundTruth.dim !== dim) {
      throw new InputError(
        'shape-mismatch',
        `${name} has detections of dim ${detections.dim} and ground truth of dim ${groundTruth.dim}, expected dim ${dim} as in the first case`,
      );
    }
    checkDetections(detections, `${name}: detections`);
    const n = numBoxes(groundTruth.boxes, dim, `${name}: ground truth`);
    for (const key of ['labels', 'crowd', 'ignore', 'areas'] as const) {
      const values = groundTruth[key];
      if (values && values.length !== n) {
        throw new RangeError(`${name}: ground truth: ${key} has ${values.length} values, expected ${n} (one per box)`);
      }
    }
    for (const [part, rows] of [
      ['detections', detections],
      ['ground truth', groundTruth],
    ] as const) {
      checkRows(`${name}: ${part}`, rows, this.classes, size);
      if (this.shape === 'masks') checkMasks(`${name}: ${part}`, rows, size);
    }
    const bad = detections.scores.findIndex((score: number) => !Number.isFinite(score));
    if (bad >= 0) throw invalid(`${name}: detections: row ${bad} has score ${detections.scores[bad]}, expected a number`);
    this.dim = dim;
    this.#seen.add(item.id);
  }
}

/** Checks class names and every case, and says how many axes the boxes have. */
export function checkCases(who: string, cases: readonly EvaluationCase[], classes: readonly string[]): Dim {
  checkClasses(who, classes);
  if (cases.length === 0) throw noCases(who);
  const checker = new CaseChecker(who, classes);
  for (const item of cases) checker.check(item);
  return checker.dim!;
}

export const noCases = (who: string): InputError => new InputError('empty-dataset', `${who}: no cases to evaluate`);

const invalid = (text: string): InputError => new InputError('invalid-data', text);

function checkRows(
  name: string,
  { dim, boxes, labels }: GroundTruth,
  classes: readonly string[],
  size: readonly number[] | undefined,
): void {
  if (size && size.length !== dim) throw new RangeError(`${name}: size has ${size.length} values, expected ${dim}`);
  for (let i = 0; i < labels.length; i++) {
    const label = labels[i]!;
    if (!(label >= 0 && label < classes.length)) {
      const expected = `0 to ${classes.length - 1} (${classes.join(', ')})`;
      throw new InputError('unknown-class', `${name}: row ${i} has label ${label}, expected ${expected}`);
    }
    for (let d = 0; d < dim; d++) {
      const low = boxes[2 * i * dim + d]!;
      const high = boxes[(2 * i + 1) * dim + d]!;
      const outside = size !== undefined && (high < 0 || low > size[d]!);
      if (Number.isFinite(low) && Number.isFinite(high) && !outside) continue;
      const row = Array.from(boxes.subarray(2 * i * dim, 2 * (i + 1) * dim)).join(', ');
      const expected = outside ? `a box that reaches into the image of ${size.join(' x ')} voxels` : 'finite numbers';
      throw invalid(`${name}: row ${i} is [${row}], expected ${expected}`);
    }
  }
}

function checkMasks(name: string, { labels, masks }: EvaluationTruth, size: readonly number[] | undefined): void {
  if (!masks) throw invalid(`${name} has no masks`);
  if (masks.length !== labels.length) {
    throw new RangeError(`${name}: masks has ${masks.length} entries, expected ${labels.length} (one per box)`);
  }
  const expected = size ?? masks[0]?.size;
  masks.forEach((mask, i) => {
    checkRle(`${name}: row ${i}`, mask);
    if (expected && String(mask.size) !== String(expected)) {
      const text = `${name}: row ${i} has a mask of ${mask.size.join(' x ')} voxels, expected ${expected.join(' x ')}`;
      throw new InputError('shape-mismatch', text);
    }
  });
}
