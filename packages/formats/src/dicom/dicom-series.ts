import { InputError, type VoxelArray } from '@mdt/core';
import { geometryFromSteps } from '../geometry.js';
import { claimedBytes, type DecodedImage, type Geometry, type ImageHeader, refusals } from '../image-header.js';
import { storedTypeOf } from '../voxels.js';
import { type DicomFile, normalOf, type Plane, parseDicom } from './dicom-file.js';
import { readPixels } from './dicom-pixels.js';

/** Slices may lie this share of their distance beside the place where an even series has them. */
const unevenness = 0.05;

/** A frame with the file that it is in. */
interface Slice extends Plane {
  file: DicomFile;
  frame: number;
  /** Millimetres along the normal. */
  distance: number;
}

export interface DicomSeriesOptions {
  /** The series to read, where there are several. */
  series?: string;
}

/**
 * Reads one image from the files of a DICOM series, or from one file of several frames. Slices are sorted by their place along the
 * normal, whatever their names and numbers.
 *
 * @param files name and content of each
 * @throws InputError `unreadable-file`, `unsupported-format`; `shape-mismatch` for slices that differ in size, type or direction,
 * lie twice in one place, or unevenly, as those of a series do that lacks one
 */
export async function decodeDicomSeries(
  files: Iterable<readonly [name: string, content: Uint8Array]>,
  where: string,
  { series }: DicomSeriesOptions = {},
): Promise<DecodedImage> {
  const parsed = [...files].map(([name, content]) => parseDicom(content, name));
  const chosen = chooseSeries(parsed, where, series);
  const slices = sortedSlices(chosen, where);
  const header = headerOf(slices, where);
  const [first] = slices;
  const sameScale = slices.every(({ slope, intercept }) => slope === first!.slope && intercept === first!.intercept);
  const sliceValues = first!.file.rows * first!.file.columns * first!.file.samples;
  const read = new Map<DicomFile, VoxelArray>();
  let data: VoxelArray | undefined;
  for (const [z, { file, frame, slope, intercept }] of slices.entries()) {
    if (!read.has(file)) {
      read.clear();
      read.set(file, await readPixels(file));
    }
    const values = read.get(file)!.subarray(frame * sliceValues, (frame + 1) * sliceValues);
    data ??= sameScale
      ? new (values.constructor as new (n: number) => VoxelArray)(slices.length * sliceValues)
      : new Float64Array(slices.length * sliceValues);
    data.set(sameScale ? values : Float64Array.from(values, (value) => value * slope + intercept), z * sliceValues);
  }
  const scale = sameScale ? { slope: first!.slope, intercept: first!.intercept } : { slope: 1, intercept: 0 };
  return { header: { ...header, ...scale, type: storedTypeOf(data!) }, data: data! };
}

/** As `decodeDicomSeries`, without its voxels. */
export function describeDicomSeries(
  files: Iterable<readonly [name: string, content: Uint8Array]>,
  where: string,
  { series }: DicomSeriesOptions = {},
): ImageHeader {
  const parsed = [...files].map(([name, content]) => parseDicom(content, name));
  return headerOf(sortedSlices(chooseSeries(parsed, where, series), where), where);
}

function chooseSeries(files: readonly DicomFile[], where: string, series?: string): DicomFile[] {
  if (files.length === 0) throw new InputError('missing-file', `${where}: no DICOM file with pixels`);
  const names = [...new Set(files.map(({ seriesUid }) => seriesUid))];
  if (series === undefined && names.length === 1) return [...files];
  const found = files.filter(({ seriesUid }) => seriesUid === series);
  if (series !== undefined && found.length > 0) return found;
  const list = names.map((name) => `${name} (${files.filter(({ seriesUid }) => seriesUid === name).length} files)`).join(', ');
  throw new InputError(
    'shape-mismatch',
    `${where}: ${names.length} series, ${list}; expected ${series ?? 'one, or its UID as the option series'}`,
  );
}

function sortedSlices(files: readonly DicomFile[], where: string): Slice[] {
  const all = files.flatMap((file) => file.planes.map((plane, frame) => ({ ...plane, file, frame })));
  const [first] = all;
  const placed = all.every(({ position, orientation }) => position && orientation);
  const normal = placed ? normalOf(first!.orientation!) : [0, 0, 0];
  const slices: Slice[] = all.map((slice) => ({
    ...slice,
    distance: placed
      ? normal.reduce((sum, n, axis) => sum + n * slice.position![axis]!, 0)
      : slice.file.instanceNumber + slice.frame / 2 ** 16,
  }));
  slices.sort((a, b) => a.distance - b.distance || a.file.instanceNumber - b.file.instanceNumber);
  const refuse = (text: string): never => {
    throw new InputError('shape-mismatch', `${where}: ${text}`);
  };
  for (const slice of slices) {
    const { file } = slice;
    const same = (['rows', 'columns', 'samples', 'bitsAllocated', 'signed'] as const).every(
      (name) => file[name] === first!.file[name],
    );
    if (!same)
      refuse(
        `${file.where} has ${file.rows}x${file.columns} pixels of ${file.samples} samples, expected ${first!.file.rows}x${first!.file.columns} of ${first!.file.samples} as ${first!.file.where}`,
      );
    const turned = placed && slice.orientation!.some((value, i) => Math.abs(value - first!.orientation![i]!) > 1e-3);
    if (turned)
      refuse(
        `${file.where} has orientation ${slice.orientation!.join(', ')}, expected ${first!.orientation!.join(', ')} as ${first!.file.where}`,
      );
  }
  if (placed && slices.length > 1) checkDistances(slices, refuse);
  return slices;
}

function checkDistances(slices: readonly Slice[], refuse: (text: string) => never): void {
  const steps = slices.slice(1).map(({ distance }, i) => distance - slices[i]!.distance);
  const usual = steps.toSorted((a, b) => a - b)[steps.length >> 1]!;
  for (const [i, step] of steps.entries()) {
    const pair = `${slices[i]!.file.where} and ${slices[i + 1]!.file.where}`;
    if (step < 1e-3) refuse(`${pair} lie in one place`);
    if (Math.abs(step - usual) > unevenness * usual) {
      const missing = Math.round(step / usual) - 1;
      refuse(
        `${step.toFixed(3)} mm between ${pair}, expected ${usual.toFixed(3)}${missing >= 1 ? `: ${missing} slices are missing` : ''}`,
      );
    }
  }
}

function headerOf(slices: readonly Slice[], where: string): ImageHeader {
  const [first] = slices as [Slice, ...Slice[]];
  const { rows, columns, samples, bitsAllocated, signed } = first.file;
  const geometry = geometryOf(slices);
  // A single picture that lies nowhere is one in two dimensions.
  const size = slices.length > 1 || geometry ? [slices.length, rows, columns] : [rows, columns];
  const refuse = refusals(where);
  claimedBytes({ size, channels: samples }, Math.ceil(bitsAllocated / 8), refuse);
  return {
    size,
    channels: samples,
    type: bitsAllocated === 1 ? 'uint8' : (`${signed ? '' : 'u'}int${bitsAllocated}` as ImageHeader['type']),
    slope: first.slope,
    intercept: first.intercept,
    ...(geometry && { geometry }),
  };
}

/** From the first slice and, as a gantry may be tilted, the way from the first to the last. */
function geometryOf(slices: readonly Slice[]): Geometry | undefined {
  const [first] = slices as [Slice, ...Slice[]];
  const last = slices.at(-1)!;
  const { spacing, position, orientation } = first;
  if (!spacing) return undefined;
  const [betweenRows, betweenColumns] = spacing;
  const thickness =
    Math.abs(first.file.dataSet.floatString('x00180088') ?? first.file.dataSet.floatString('x00180050') ?? 1) || 1;
  if (!position || !orientation) return { spacing: [thickness, betweenRows, betweenColumns] };
  const along = orientation.slice(0, 3).map((value) => value * betweenColumns);
  const down = orientation.slice(3).map((value) => value * betweenRows);
  const through =
    slices.length > 1
      ? last.position!.map((value, axis) => (value - position[axis]!) / (slices.length - 1))
      : normalOf(orientation).map((value) => value * thickness);
  return geometryFromSteps([along, down, through], position) ?? { spacing: [thickness, betweenRows, betweenColumns] };
}
