import type { VoxelArray } from '@mdt/core';
import dicomParser from 'dicom-parser';
import { concatBytes, latin1, latin1Bytes, swapBytes } from '../bytes.js';
import { decodeCodestream } from '../codecs.js';
import { claimedBytes, type Refusals, refusals, type StoredType } from '../image-header.js';
import { readVoxels } from '../voxels.js';
import type { DicomFile } from './dicom-file.js';
import { decodeRle } from './rle.js';

const uid = '1.2.840.10008.1.2';
const plain = new Set([uid, `${uid}.1`, `${uid}.1.99`, `${uid}.2`]);
const codestreams = new Set(['50', '51', '57', '70', '80', '81', '90', '91'].map((end) => `${uid}.4.${end}`));
const rle = `${uid}.5`;

/**
 * Values of all frames, `[frame, row, column, sample]`, as stored: not rescaled. Bits beyond the stored ones are cleared, signs
 * extended, and colours turned to RGB.
 *
 * @throws InputError `unreadable-file`, `unsupported-format`
 */
export async function readPixels(file: DicomFile): Promise<VoxelArray> {
  const { rows, columns, samples, frames, bitsAllocated, transferSyntax, photometric, planar, pixels, where } = file;
  const refuse = refusals(where);
  const values = frames * rows * columns * samples;
  const bytes = Math.ceil((claimedBytes({ size: [frames, rows, columns], channels: samples }, 1, refuse) * bitsAllocated) / 8);
  if (!plain.has(transferSyntax)) {
    if (!pixels.encapsulatedPixelData)
      return refuse.damaged(`pixels that are not packed, though transfer syntax ${transferSyntax} is`);
    return unpackFrames(file, values / frames, refuse);
  }
  if (pixels.encapsulatedPixelData) return refuse.damaged(`packed pixels, though transfer syntax ${transferSyntax} is not`);
  if (photometric === 'YBR_FULL_422')
    return refuse.unsupported('colours at half resolution (YBR_FULL_422), expected all of them');
  const evenBytes = bytes + (bytes % 2);
  const stored = file.dataSet.byteArray.subarray(pixels.dataOffset, pixels.dataOffset + Math.min(pixels.length, evenBytes));
  if (stored.length < bytes)
    return refuse.damaged(`${frames} frames of ${rows}x${columns} need ${bytes} bytes, but ${stored.length} are there`);
  if (bitsAllocated === 1) return Uint8Array.from({ length: values }, (_, i) => (stored[i >> 3]! >> (i & 7)) & 1);
  const bigEndian = transferSyntax === `${uid}.2`;
  // Bytes that are written as words are swapped with them.
  const words = bigEndian && bitsAllocated === 8 && pixels.vr === 'OW';
  const swapped = words ? new Uint8Array(stored) : stored;
  if (words) swapBytes(swapped, 2);
  const data = readVoxels(swapped, typeOf(file), { littleEndian: !bigEndian, where });
  const image = planar && samples > 1 ? planesToPixels(data, frames, rows * columns, samples) : data;
  return finished(image, file);
}

function typeOf({ bitsAllocated, signed }: DicomFile): StoredType {
  return `${signed ? '' : 'u'}int${Math.max(8, bitsAllocated)}` as StoredType;
}

async function unpackFrames(file: DicomFile, frameValues: number, refuse: Refusals): Promise<VoxelArray> {
  const { frames, rows, columns, samples, bitsAllocated, transferSyntax, where } = file;
  const known = codestreams.has(transferSyntax) || transferSyntax === rle;
  if (!known)
    return refuse.unsupported(`transfer syntax ${transferSyntax}, expected uncompressed, RLE, JPEG, JPEG-LS or JPEG 2000`);
  if (bitsAllocated === 1 || (bitsAllocated === 32 && transferSyntax !== rle))
    return refuse.unsupported(`packed values of ${bitsAllocated} bits`);
  const packed = packedFrames(file, refuse);
  let all: VoxelArray | undefined;
  for (const [frame, stream] of packed.entries()) {
    let one: VoxelArray;
    if (transferSyntax === rle) {
      one = decodeRle(stream, { pixels: rows * columns, samples, type: typeOf(file), where }, refuse);
    } else {
      const { bytes, bits } = await decodeCodestream(asRgb(stream, file), { width: columns, height: rows, samples }, refuse);
      one = widened(readVoxels(bytes, bits > 8 ? 'uint16' : 'uint8', { littleEndian: true, where }), file, refuse);
    }
    all ??= new (one.constructor as new (length: number) => VoxelArray)(frames * frameValues);
    all.set(one, frame * frameValues);
  }
  return finished(all!, file, transferSyntax !== rle);
}

/** Without a mark, JPEG decoders take three colours for YCbCr; Adobe's says that they are RGB, where the DICOM header does. */
function asRgb(stream: Uint8Array, { photometric, samples, transferSyntax }: DicomFile): Uint8Array {
  const baseline = transferSyntax === `${uid}.4.50` || transferSyntax === `${uid}.4.51`;
  if (!baseline || photometric !== 'RGB' || samples !== 3) return stream;
  if (latin1(stream.subarray(0, 64)).includes('Adobe')) return stream;
  const mark = Uint8Array.of(0xff, 0xee, 0, 14, ...latin1Bytes('Adobe'), 0, 100, 0, 0, 0, 0, 0);
  return concatBytes([stream.subarray(0, 2), mark, stream.subarray(2)]);
}

/** Codecs give unsigned values as wide as they need. */
function widened(data: VoxelArray, file: DicomFile, refuse: Refusals): VoxelArray {
  const { bitsAllocated, signed } = file;
  if (data.BYTES_PER_ELEMENT * 8 > bitsAllocated) return refuse.damaged(`packed values of more than ${bitsAllocated} bits`);
  if (bitsAllocated === 8) return signed ? new Int8Array(data.buffer as ArrayBuffer) : data;
  const wide = data instanceof Uint16Array ? data : Uint16Array.from(data);
  return signed ? new Int16Array(wide.buffer as ArrayBuffer) : wide;
}

/** The packed bytes of every frame: by the offset table where there is one, else by one fragment per frame. */
function packedFrames({ dataSet, pixels, frames }: DicomFile, refuse: Refusals): Uint8Array[] {
  const fragments = pixels.fragments ?? [];
  const table = pixels.basicOffsetTable ?? [];
  try {
    if (frames === 1) return [dicomParser.readEncapsulatedPixelDataFromFragments(dataSet, pixels, 0, fragments.length)];
    const all = Array.from({ length: frames }, (_, frame) => frame);
    if (table.length === frames) return all.map((frame) => dicomParser.readEncapsulatedImageFrame(dataSet, pixels, frame));
    if (fragments.length === frames)
      return all.map((frame) => dicomParser.readEncapsulatedPixelDataFromFragments(dataSet, pixels, frame));
  } catch (cause) {
    return refuse.damaged('the packed frames are damaged', cause);
  }
  return refuse.damaged(`${frames} frames in ${fragments.length} fragments, and no table of where each begins`);
}

/** Clears bits beyond the stored ones and extends signs, then turns colours to RGB. */
function finished(data: VoxelArray, file: DicomFile, fromCodec = false): VoxelArray {
  const { bitsAllocated, bitsStored, highBit, signed, photometric } = file;
  if (bitsStored < bitsAllocated && bitsAllocated <= 32) {
    const up = 32 - bitsStored;
    const down = highBit + 1 - bitsStored;
    for (let i = 0; i < data.length; i++) {
      const kept = (data[i]! >> down) << up;
      data[i] = signed ? kept >> up : kept >>> up;
    }
  }
  if (photometric === 'YBR_FULL' && !fromCodec && data instanceof Uint8Array) toRgb(data);
  return data;
}

/** ITU-R BT.601 as PS3.3, C.7.6.3.1.2 has it. */
function toRgb(data: Uint8Array): void {
  const byte = (value: number) => Math.max(0, Math.min(255, Math.round(value)));
  for (let i = 0; i + 2 < data.length; i += 3) {
    const [y, cb, cr] = [data[i]!, data[i + 1]! - 128, data[i + 2]! - 128];
    data[i] = byte(y + 1.402 * cr);
    data[i + 1] = byte(y - 0.344136 * cb - 0.714136 * cr);
    data[i + 2] = byte(y + 1.772 * cb);
  }
}

/** `[frame, sample, pixel]` → `[frame, pixel, sample]`. */
function planesToPixels<A extends VoxelArray>(data: A, frames: number, pixels: number, samples: number): A {
  const result = new (data.constructor as new (length: number) => A)(data.length);
  for (let f = 0; f < frames; f++) {
    for (let s = 0; s < samples; s++) {
      for (let i = 0; i < pixels; i++) result[(f * pixels + i) * samples + s] = data[(f * samples + s) * pixels + i]!;
    }
  }
  return result;
}
