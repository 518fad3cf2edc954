import { type BoxArray, InputError, product } from '@mdt/core';
import { pasteMasksTwin } from '../reference/paste-masks.js';
import { runAway, runNow } from './execution.js';
import {
  type Abortable,
  expectBoxes,
  expectKind,
  expectLength,
  expectSizes,
  type OpOptions,
  opOptions,
  type ThreadOptions,
} from './options.js';
import { prepareRoiAlign, type RoiAlignOptions } from './roi-align.js';

/** Binary masks, `[batch, ...size]`. */
export interface MaskGrid {
  /** 0 and 1; whole numbers other than 0 and 1 are read as they are. */
  values: Uint8Array | Float32Array;
  size: ArrayLike<number>;
}

export interface CropMasksOptions extends OpOptions {
  /** `[n]`: the mask each box is cut from. Default: each box from the mask in its own place. */
  images?: Int32Array;
  /** Cells per axis of each cut. */
  poolSize: ArrayLike<number>;
}

/**
 * The part of a mask under each box, resized to one size and rounded to 0 and 1 (exactly 1/2 gives 0): the targets of a mask head
 * in the Python toolkit. One sample per bin, `sampling: 'single'` of `roiAlign`.
 *
 * @param boxes `[n * 2 * dim]`, in cells of the masks, rows `[min…, max…]`
 * @returns `[n, ...poolSize]`
 * @throws TypeError for a wrong array type, RangeError for lengths that disagree, InputError for options
 */
export function cropMasks(masks: MaskGrid, boxes: BoxArray, options: CropMasksOptions): Uint8Array {
  return toBinary(runNow(prepareCrop('cropMasks', masks, boxes, options)));
}

/** `cropMasks` away from the JS thread (on it where there is no native binary). The arrays are copied first. */
export async function cropMasksAsync(
  masks: MaskGrid,
  boxes: BoxArray,
  options: CropMasksOptions & Abortable,
): Promise<Uint8Array> {
  return toBinary(await runAway(prepareCrop('cropMasksAsync', masks, boxes, options), options.signal));
}

function prepareCrop(who: string, masks: MaskGrid, boxes: BoxArray, options: CropMasksOptions) {
  const { dim } = opOptions(who, options, ['images', 'poolSize']);
  const { values } = masks;
  if (values instanceof Uint8Array) expectKind(who, 'values', values, Uint8Array);
  else expectKind(who, 'values', values, Float32Array);
  const count = expectBoxes(who, 'boxes', boxes, dim);
  const size = expectSizes(who, 'size', masks.size, dim);
  const batch = values.length / product(size);
  if (!Number.isInteger(batch)) {
    throw new RangeError(`${who}: values has ${values.length} values, expected a multiple of ${product(size)}`);
  }
  const { threads, poolSize, images = Int32Array.from({ length: count }, (_, i) => i) } = options;
  const roiOptions: RoiAlignOptions = {
    ...{ dim, batch, channels: 1, images, poolSize, sampling: 'single' },
    ...(threads === undefined ? {} : ({ threads } satisfies ThreadOptions)),
  };
  const map = { values: values instanceof Float32Array ? values : Float32Array.from(values), size };
  return prepareRoiAlign(who, [map], boxes, roiOptions);
}

const toBinary = (values: Float32Array) => Uint8Array.from(values, (v) => (v > 0.5 ? 1 : 0));

export interface PasteMasksOptions extends OpOptions {
  /** Cells per axis of the image. */
  size: ArrayLike<number>;
}

export interface BinaryPasteOptions extends PasteMasksOptions {
  /** A cell is 1 where the mask reaches this. */
  threshold: number;
}

/** Masks of boxes: `values` `[n, ...size]`, such as the probabilities of a mask head. */
export interface BoxMasks {
  values: Float32Array;
  size: ArrayLike<number>;
}

/**
 * The mask of each box put back into the image: at the centre of each cell the mask stretched over its box, linearly
 * interpolated and 0 outside, as Detectron2's `paste_masks_in_image` does. A box that is not finite or has no extent gives zeros.
 *
 * @param boxes `[n * 2 * dim]`, in cells of the image
 * @returns `[n, ...size]`: 0 and 1 as Uint8Array with a `threshold`, else the values as Float32Array
 * @throws TypeError for a wrong array type, RangeError for lengths that disagree, InputError for options
 *
 * @example
 * pasteMasks({ values: Float32Array.of(1), size: [1, 1] }, Float32Array.of(0, 1, 1, 3), { dim: 2, size: [1, 4], threshold: 0.5 })
 * // => [0, 1, 1, 0]
 */
export function pasteMasks(masks: BoxMasks, boxes: BoxArray, options: BinaryPasteOptions): Uint8Array;
export function pasteMasks(masks: BoxMasks, boxes: BoxArray, options: PasteMasksOptions): Float32Array;
export function pasteMasks(masks: BoxMasks, boxes: BoxArray, options: PasteMasksOptions): Uint8Array | Float32Array {
  return runNow(preparePaste('pasteMasks', masks, boxes, options));
}

/** `pasteMasks` away from the JS thread (on it where there is no native binary). The arrays are copied first. */
export function pasteMasksAsync(masks: BoxMasks, boxes: BoxArray, options: BinaryPasteOptions & Abortable): Promise<Uint8Array>;
export function pasteMasksAsync(masks: BoxMasks, boxes: BoxArray, options: PasteMasksOptions & Abortable): Promise<Float32Array>;
export async function pasteMasksAsync(
  masks: BoxMasks,
  boxes: BoxArray,
  options: PasteMasksOptions & Abortable,
): Promise<Uint8Array | Float32Array> {
  return runAway(preparePaste('pasteMasksAsync', masks, boxes, options), options.signal);
}

function preparePaste(who: string, masks: BoxMasks, boxes: BoxArray, options: PasteMasksOptions & { threshold?: number }) {
  const { dim, threads } = opOptions(who, options, ['size', 'threshold']);
  const { threshold = null } = options;
  const count = expectBoxes(who, 'boxes', boxes, dim);
  const maskSize = expectSizes(who, 'size of the masks', masks.size, dim);
  const size = expectSizes(who, 'size', options.size, dim);
  expectKind(who, 'values', masks.values, Float32Array);
  expectLength(who, 'values', masks.values, count * product(maskSize), 'boxes and size of the masks');
  if (threshold !== null && !(typeof threshold === 'number' && !Number.isNaN(threshold))) {
    throw new InputError('invalid-option', `${who}: threshold is ${String(threshold)}, expected a number`);
  }
  const { values } = masks;
  const twin = () => pasteMasksTwin({ dim, masks: values, maskSize, boxes, size, threshold });
  return { op: 'pasteMasks', args: [values, maskSize, boxes, size, dim, threshold, threads] as const, twin } as const;
}
