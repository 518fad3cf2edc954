import { checkDetections, type Detections, type Dim, type GroundTruth, InputError, numBoxes } from '@mdt/core';

/** Ground truth with the two marks that COCO's rules know. */
export interface EvaluationTruth<D extends Dim = Dim> extends GroundTruth<D> {
  /**
   * `[n]`, 1 for a region with many objects: any number of detections may fall into it, none of them counts, and the
   * overlap is the share of the detection that lies inside. COCO's `iscrowd`.
   */
  readonly crowd?: Uint8Array;
  /** `[n]`, 1 for an object that counts neither as found nor as missed. */
  readonly ignore?: Uint8Array;
  /** `[n]`, size that decides the area range. Default: the size of the box. COCO's `area` is that of the mask. */
  readonly areas?: Float32Array | Float64Array;
}

/** Detections and ground truth of one image, volume or slice. */
export interface EvaluationCase<D extends Dim = Dim> {
  /** Unique in the list. */
  readonly id: string;
  /** Which patient the case belongs to, for the patient level. Default: `id`. */
  readonly patient?: string;
  readonly detections: Detections<D>;
  readonly groundTruth: EvaluationTruth<D>;
}

/** All detections and objects of one class, case by case; detections best first within a case. */
export interface ClassColumns {
  numDetections: number;
  /** `[n]`, index of the case; not decreasing. */
  detectionCase: Int32Array;
  /** `[n]`, index within the case's detections. */
  detectionIndex: Int32Array;
  /** `[n]`, place among the case's detections of this class, best first. */
  detectionRank: Int32Array;
  detectionBoxes: Float64Array;
  detectionScores: Float64Array;
  numObjects: number;
  objectCase: Int32Array;
  objectIndex: Int32Array;
  objectBoxes: Float64Array;
  objectAreas: Float64Array;
  objectCrowd: Uint8Array;
  objectIgnore: Uint8Array;
}

export interface ColumnOptions {
  /** Detections with a score up to this one are dropped. */
  minScore: number;
  /** Detections kept per case and class, best first. */
  maxDetections: number;
}

/** Checks class names and every case, and says how many axes the boxes have. */
export function checkCases(who: string, cases: readonly EvaluationCase[], classes: readonly string[]): Dim {
  if (classes.length === 0) throw new InputError('invalid-option', `${who}: classes is empty, expected at least one name`);
  const repeated = classes.find((name, i) => classes.indexOf(name) !== i);
  if (repeated !== undefined) throw new InputError('invalid-option', `${who}: class '${repeated}' is listed twice`);
  const first = cases[0];
  if (!first) throw new InputError('empty-dataset', `${who}: no cases to evaluate`);
  const { dim } = first.groundTruth;
  if (dim !== 2 && dim !== 3)
    throw new InputError('shape-mismatch', `${who}: case '${first.id}' has dim ${dim}, expected 2 or 3`);
  const seen = new Set<string>();
  for (const item of cases) {
    const name = `${who}: case '${item.id}'`;
    if (seen.has(item.id)) {
      throw new InputError(
        'invalid-data',
        `${name} is listed twice; parts of one patient need ids of their own and the same 'patient'`,
      );
    }
    seen.add(item.id);
    checkCase(name, item, dim, classes);
  }
  return dim;
}

function checkCase(name: string, { detections, groundTruth }: EvaluationCase, dim: Dim, classes: readonly string[]): void {
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
  checkLabels(`${name}: detections`, detections.labels, classes);
  checkLabels(`${name}: ground truth`, groundTruth.labels, classes);
  checkFinite(`${name}: detections: boxes`, detections.boxes);
  checkFinite(`${name}: detections: scores`, detections.scores);
  checkFinite(`${name}: ground truth: boxes`, groundTruth.boxes);
}

function checkLabels(name: string, labels: Int32Array, classes: readonly string[]): void {
  for (let i = 0; i < labels.length; i++) {
    const label = labels[i]!;
    if (label >= 0 && label < classes.length) continue;
    throw new InputError('unknown-class', `${name}: label ${label}, expected 0 to ${classes.length - 1} (${classes.join(', ')})`);
  }
}

function checkFinite(name: string, values: ArrayLike<number>): void {
  for (let i = 0; i < values.length; i++) {
    if (!Number.isFinite(values[i]))
      throw new InputError('invalid-data', `${name}: value ${i} is ${values[i]}, expected a number`);
  }
}

/** Sorts everything by class once, so that matching walks flat arrays. The cases must have been checked. */
export function columnsByClass(
  cases: readonly EvaluationCase[],
  dim: Dim,
  numClasses: number,
  options: ColumnOptions,
): ClassColumns[] {
  const { minScore, maxDetections } = options;
  const width = 2 * dim;
  const total = cases.reduce((sum, item) => sum + item.detections.labels.length, 0);
  const kept = new Int32Array(total); // detections per case: by class, best first, ties in their order
  const keptEnd = new Int32Array(cases.length);
  const numDetections = new Int32Array(numClasses);
  const numObjects = new Int32Array(numClasses);
  let end = 0;
  cases.forEach(({ detections: { scores, labels }, groundTruth }, c) => {
    const order = new Int32Array(labels.length);
    for (let i = 0; i < order.length; i++) order[i] = i;
    order.sort((i, j) => labels[i]! - labels[j]! || scores[j]! - scores[i]! || i - j);
    let label = -1;
    let rank = 0;
    for (const i of order) {
      if (labels[i] !== label) rank = 0;
      label = labels[i]!;
      if (!(scores[i]! > minScore) || rank >= maxDetections) continue;
      rank++;
      kept[end++] = i;
      numDetections[label]!++;
    }
    keptEnd[c] = end;
    for (const objectLabel of groundTruth.labels) numObjects[objectLabel]!++;
  });

  const columns = Array.from({ length: numClasses }, (_, k) => emptyColumns(width, numDetections[k]!, numObjects[k]!));
  let at = 0;
  cases.forEach(({ detections, groundTruth }, c) => {
    let label = -1;
    let rank = 0;
    for (; at < keptEnd[c]!; at++) {
      const from = kept[at]!;
      rank = detections.labels[from] === label ? rank + 1 : 0;
      label = detections.labels[from]!;
      const column = columns[label]!;
      const to = column.numDetections++;
      column.detectionCase[to] = c;
      column.detectionIndex[to] = from;
      column.detectionRank[to] = rank;
      column.detectionScores[to] = detections.scores[from]!;
      for (let v = 0; v < width; v++) column.detectionBoxes[to * width + v] = detections.boxes[from * width + v]!;
    }
    for (let from = 0; from < groundTruth.labels.length; from++) {
      const column = columns[groundTruth.labels[from]!]!;
      const to = column.numObjects++;
      column.objectCase[to] = c;
      column.objectIndex[to] = from;
      let size = 1;
      for (let d = 0; d < dim; d++) size *= groundTruth.boxes[from * width + dim + d]! - groundTruth.boxes[from * width + d]!;
      column.objectAreas[to] = groundTruth.areas?.[from] ?? size;
      column.objectCrowd[to] = groundTruth.crowd?.[from] ? 1 : 0;
      column.objectIgnore[to] = groundTruth.ignore?.[from] || groundTruth.crowd?.[from] ? 1 : 0;
      for (let v = 0; v < width; v++) column.objectBoxes[to * width + v] = groundTruth.boxes[from * width + v]!;
    }
  });
  return columns;
}

function emptyColumns(width: number, detections: number, objects: number): ClassColumns {
  return {
    numDetections: 0,
    detectionCase: new Int32Array(detections),
    detectionIndex: new Int32Array(detections),
    detectionRank: new Int32Array(detections),
    detectionBoxes: new Float64Array(detections * width),
    detectionScores: new Float64Array(detections),
    numObjects: 0,
    objectCase: new Int32Array(objects),
    objectIndex: new Int32Array(objects),
    objectBoxes: new Float64Array(objects * width),
    objectAreas: new Float64Array(objects),
    objectCrowd: new Uint8Array(objects),
    objectIgnore: new Uint8Array(objects),
  };
}
