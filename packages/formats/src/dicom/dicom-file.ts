import type { DataSet, Element } from 'dicom-parser';
import dicomParser from 'dicom-parser';
import { inflate } from '#platform';
import { concatBytes, latin1 } from '../bytes.js';
import { type Refusals, refusals } from '../image-header.js';

/** The attributes of a DICOM image that its voxels and its place depend on. */
export interface DicomFile {
  where: string;
  transferSyntax: string;
  seriesUid: string;
  instanceUid: string;
  instanceNumber: number;
  rows: number;
  columns: number;
  frames: number;
  samples: number;
  photometric: string;
  /** Whether colours lie in planes, one after the other. */
  planar: boolean;
  bitsAllocated: number;
  bitsStored: number;
  highBit: number;
  signed: boolean;
  /** One entry per frame. */
  planes: Plane[];
  /** The element of the pixels, in `bytes`. */
  pixels: Element;
  dataSet: DataSet;
}

/** Where one frame lies, and how its values become grey values. */
export interface Plane {
  /** Millimetres between rows and between columns. */
  spacing?: [number, number];
  /** Millimetres of the first pixel's centre, x y z. */
  position?: number[];
  /** Direction along a row, then down a column, x y z each. */
  orientation?: number[];
  slope: number;
  intercept: number;
}

/** Uncompressed DICOM without the 128 bytes of preamble is read as well. */
const mark = 'DICM';

export const isDicom = (start: Uint8Array): boolean => start.length >= 132 && latin1(start, 128, 132) === mark;

/** Most frames of one file. */
const mostFrames = 2 ** 16;

/**
 * Reads the attributes of one DICOM file that has pixels.
 *
 * @throws InputError `unreadable-file`, `unsupported-format` for a file without pixels or of a kind that we do not read
 */
export function parseDicom(bytes: Uint8Array, where = 'parseDicom'): DicomFile {
  const refuse = refusals(where);
  if (!isDicom(bytes)) refuse.damaged(`not a DICOM file (no '${mark}' at byte 128)`);
  let dataSet: DataSet;
  try {
    dataSet = dicomParser.parseDicom(bytes, { inflater: inflateDataSet });
  } catch (cause) {
    return refuse.damaged(`damaged or cut short (${messageOf(cause)})`, cause);
  }
  try {
    return attributes(dataSet, where, refuse);
  } catch (cause) {
    if (cause instanceof Error && cause.name === 'InputError') throw cause;
    return refuse.damaged(`damaged (${messageOf(cause)})`, cause);
  }
}

/** The parser throws texts, errors, and objects that hold either. */
function messageOf(cause: unknown): string {
  if (typeof cause === 'string') return cause;
  const { message, exception } = cause as { message?: string; exception?: unknown };
  return message ?? (exception === undefined ? String(cause) : messageOf(exception));
}

/** The deflated transfer syntax packs everything behind the file's meta information, and says nowhere how much: 64 MiB at most. */
function inflateDataSet(bytes: Uint8Array, position: number): Uint8Array {
  const start = bytes.subarray(0, position);
  const limit = Math.min((bytes.length - position) * 1032, 2 ** 26);
  return concatBytes([start, inflate(bytes.subarray(position), 'deflate', limit)]);
}

function attributes(dataSet: DataSet, where: string, refuse: Refusals): DicomFile {
  const count = (tag: string, name: string, fallback?: number): number => {
    const value = dataSet.uint16(tag) ?? fallback;
    return value ?? refuse.damaged(`has no ${name}`);
  };
  const pixels = dataSet.elements.x7fe00010;
  if (!pixels) return refuse.unsupported('holds no pixels');
  const frames = dataSet.intString('x00280008') ?? 1;
  if (!(Number.isInteger(frames) && frames >= 1 && frames <= mostFrames))
    refuse.damaged(`${frames} frames, expected 1 to ${mostFrames}`);
  const bitsAllocated = count('x00280100', 'bits allocated');
  const bitsStored = count('x00280101', 'bits stored', bitsAllocated);
  const photometric = dataSet.string('x00280004') ?? 'MONOCHROME2';
  if (photometric === 'PALETTE COLOR') refuse.unsupported('colours from a palette, expected grey values or RGB');
  const file: DicomFile = {
    where,
    transferSyntax: dataSet.string('x00020010') ?? '1.2.840.10008.1.2',
    seriesUid: dataSet.string('x0020000e') ?? '',
    instanceUid: dataSet.string('x00080018') ?? dataSet.string('x00020003') ?? '',
    instanceNumber: dataSet.intString('x00200013') ?? 0,
    rows: count('x00280010', 'rows'),
    columns: count('x00280011', 'columns'),
    frames,
    samples: count('x00280002', 'samples per pixel', 1),
    photometric,
    planar: count('x00280006', 'planar configuration', 0) === 1,
    bitsAllocated,
    bitsStored,
    highBit: count('x00280102', 'high bit', bitsStored - 1),
    signed: count('x00280103', 'pixel representation', 0) === 1,
    planes: [],
    pixels,
    dataSet,
  };
  const good = file.rows > 0 && file.columns > 0 && [1, 3, 4].includes(file.samples);
  if (!good) refuse.damaged(`${file.rows}x${file.columns} pixels of ${file.samples} samples`);
  if (!(bitsStored >= 1 && bitsStored <= bitsAllocated && file.highBit < bitsAllocated && file.highBit >= bitsStored - 1)) {
    refuse.damaged(`${bitsStored} of ${bitsAllocated} bits, the highest being ${file.highBit}`);
  }
  if (![1, 8, 16, 32].includes(bitsAllocated)) refuse.unsupported(`${bitsAllocated} bits per value, expected 1, 8, 16 or 32`);
  const groups = functionalGroups(dataSet);
  file.planes = Array.from({ length: frames }, (_, frame) =>
    planeOf([...(groups.perFrame[frame] ?? []), ...groups.shared, dataSet]),
  );
  spreadFrames(dataSet, file.planes);
  return file;
}

/** The items that hold the place of frames in enhanced multi-frame files; empty in others (PS3.3, C.7.6.16). */
function functionalGroups(dataSet: DataSet): { shared: DataSet[]; perFrame: DataSet[][] } {
  const parts = (group: DataSet | undefined): DataSet[] =>
    ['x00289110', 'x00209113', 'x00209116', 'x00289145'].flatMap((tag) => group?.elements[tag]?.items?.[0]?.dataSet ?? []);
  const perFrame = dataSet.elements.x52009230?.items?.map((item) => parts(item.dataSet)) ?? [];
  return { shared: parts(dataSet.elements.x52009229?.items?.[0]?.dataSet), perFrame };
}

/** The first of several data sets that says something has the word. */
function planeOf(sources: readonly DataSet[]): Plane {
  const numbers = (tag: string, count: number): number[] | undefined => {
    for (const source of sources) {
      const values = source.string(tag)?.split('\\').map(Number);
      if (values?.length === count && values.every(Number.isFinite)) return values;
    }
    return undefined;
  };
  const spacing = numbers('x00280030', 2) ?? numbers('x00181164', 2);
  const position = numbers('x00200032', 3);
  const orientation = numbers('x00200037', 6);
  return {
    ...(spacing?.every((step) => step > 0) && { spacing: spacing as [number, number] }),
    ...(position && { position }),
    ...(orientation && { orientation }),
    slope: numbers('x00281053', 1)?.[0] || 1,
    intercept: numbers('x00281052', 1)?.[0] ?? 0,
  };
}

/** Frames of a dose or nuclear image share one position; a vector says how far along the normal each lies. */
function spreadFrames(dataSet: DataSet, planes: Plane[]): void {
  const offsets = dataSet.string('x3004000c')?.split('\\').map(Number);
  const between = Math.abs(dataSet.floatString('x00180088') ?? dataSet.floatString('x00180050') ?? 0);
  const [first, second] = planes;
  if (
    !second ||
    !first?.position ||
    !first.orientation ||
    planes.some((plane, i) => i > 0 && plane.position !== undefined && plane.position.some((v, k) => v !== first.position![k]))
  )
    return;
  const normal = normalOf(first.orientation);
  const known = offsets?.length === planes.length && offsets.every(Number.isFinite);
  if (!known && between === 0) return;
  planes.forEach((plane, i) => {
    const distance = known ? offsets[i]! - offsets[0]! : i * between;
    plane.position = first.position!.map((value, axis) => value + normal[axis]! * distance);
  });
}

/** The direction from a slice to the next: row direction times column direction. */
export function normalOf(orientation: readonly number[]): number[] {
  const [a, b, c, d, e, f] = orientation as [number, number, number, number, number, number];
  return [b * f - c * e, c * d - a * f, a * e - b * d];
}
