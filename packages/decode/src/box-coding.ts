import { type Dim, InputError, refuseUnknownKeys } from '@mdt/core';

export interface BoxCodingOptions {
  dim: Dim;
  /** Scale of each delta, centres first, then sizes: `[z y x, d h w]`. Default 0.1 for centres, 0.2 for sizes. */
  std?: readonly number[];
  /** Highest log of a decoded size over its reference; keeps exp finite. Default ln(1000/16), as Detectron and torchvision. */
  maxLogSize?: number;
}

/** Writes boxes as offsets from reference boxes and back: `decode(encode(b, a), a) = b`. All arrays are flat rows of 2 · dim. */
export interface BoxCoding {
  readonly dim: Dim;
  /** Scale of each delta. */
  readonly std: readonly number[];
  /** Highest log of a decoded size over its reference; may be infinite. */
  readonly maxLogSize: number;
  /** `(centre − centre of reference) / size of reference`, then `ln(size / size of reference)`, each over `std`. */
  encode(boxes: ArrayLike<number>, references: ArrayLike<number>): Float64Array;
  decode(deltas: ArrayLike<number>, references: ArrayLike<number>): Float64Array;
}

/** The offsets of R-CNN (Girshick et al. 2014), in any number of dimensions. */
export function boxCoding(options: BoxCodingOptions): BoxCoding {
  refuseUnknownKeys('boxCoder', options, ['dim', 'std', 'maxLogSize']);
  const { dim } = options;
  const width = 2 * dim;
  const std = options.std ?? Array.from({ length: width }, (_, k) => (k < dim ? 0.1 : 0.2)); // Girshick 2015
  const limit = options.maxLogSize ?? Math.log(1000 / 16);
  if (!(std.length === width && std.every((s) => s > 0))) {
    throw new InputError('invalid-option', `boxCoder.std: expected ${width} numbers above 0, got [${std.join(', ')}]`);
  }
  return {
    dim,
    std: [...std],
    maxLogSize: limit,
    encode(boxes, references) {
      checkRows('encode', boxes, references, width);
      const deltas = new Float64Array(boxes.length);
      for (let i = 0; i < boxes.length; i += width) {
        for (let d = 0; d < dim; d++) {
          const from = references[i + d]!;
          const size = boxes[i + dim + d]! - boxes[i + d]!;
          const reference = references[i + dim + d]! - from;
          const centre = boxes[i + d]! + 0.5 * size;
          deltas[i + d] = (centre - (from + 0.5 * reference)) / reference / std[d]!;
          deltas[i + dim + d] = Math.log(size / reference) / std[dim + d]!;
        }
      }
      return deltas;
    },
    decode(deltas, references) {
      checkRows('decode', deltas, references, width);
      const boxes = new Float64Array(deltas.length);
      for (let i = 0; i < deltas.length; i += width) {
        for (let d = 0; d < dim; d++) {
          const from = references[i + d]!;
          const reference = references[i + dim + d]! - from;
          const centre = from + 0.5 * reference + deltas[i + d]! * std[d]! * reference;
          const size = reference * Math.exp(Math.min(deltas[i + dim + d]! * std[dim + d]!, limit));
          boxes[i + d] = centre - 0.5 * size;
          boxes[i + dim + d] = boxes[i + d]! + size;
        }
      }
      return boxes;
    },
  };
}

function checkRows(who: string, rows: ArrayLike<number>, references: ArrayLike<number>, width: number): void {
  if (rows.length % width !== 0 || rows.length !== references.length) {
    throw new RangeError(
      `boxCoder.${who}: expected equally many rows of ${width}, got ${rows.length} and ${references.length} values`,
    );
  }
}
