import { type Dim, InputError, product, type Volume, type VoxelArray, volume } from '@mdt/core';
import {
  decodeImageFiles,
  encodeNifti,
  formatOfEnding,
  type ImageHeader,
  imageEnding,
  labelVolume,
  type StoredVolume,
  storedVolume,
} from '@mdt/formats';
import type { DetectionRows, ImageInfo, ImageLimits, ImagePlace } from './protocol.js';

/** An image that was read. */
export interface OpenImage {
  info: ImageInfo;
  stored: StoredVolume;
}

/**
 * Reads an image from its files. Its header is read first, and its size compared with the limits, before its voxels are.
 *
 * @throws InputError `limit-exceeded`, and as `decodeImageFiles`
 */
export async function readImage(
  files: readonly File[],
  limits: ImageLimits,
  { id: given, dim: rank, spacing: step }: ImagePlace = {},
): Promise<OpenImage> {
  await checkSize(files, limits);
  const named = await Promise.all(files.map(async (file) => ({ name: nameOf(file), bytes: await bytesOf(file) })));
  const decoded = await decodeImageFiles(named);
  const id = given ?? stemOf(nameOf(files[0]!), files.length);
  checkLimits(decoded.header, id, limits);
  const known = decoded.header.geometry !== undefined;
  const stored = storedVolume(decoded, id, { ...(rank && { dim: rank }), ...(step && !known && { spacing: step }) });
  const { dim, size, channels, spacing, origin, direction } = stored;
  const info: ImageInfo = {
    id,
    dim,
    size: [...size],
    channels,
    spacing: [...spacing],
    origin: [...origin],
    ...(direction && { direction: [...direction] }),
    inMillimetres: known || step !== undefined,
  };
  return { info, stored };
}

const nameOf = (file: File): string => file.webkitRelativePath || file.name;

async function bytesOf(file: File): Promise<Uint8Array> {
  try {
    return new Uint8Array(await file.arrayBuffer());
  } catch (cause) {
    throw new InputError('unreadable-file', `${file.name}: the browser cannot read it (${(cause as Error).message})`);
  }
}

/** The name of an image without its ending; that of its folder where it has many files. */
function stemOf(path: string, files: number): string {
  const parts = path.split('/');
  const name = parts.at(-1)!;
  if (files > 1 && parts.length > 1) return parts.at(-2)!;
  const ending = imageEnding(name);
  return ending ? name.slice(0, -ending.length) : name;
}

async function checkSize(files: readonly File[], limits: ImageLimits): Promise<void> {
  const all = files.reduce((sum, { size }) => sum + size, 0);
  if (all > limits.mostBytes) tooLarge(files[0]!.name, `${files.length} files of ${mebibytes(all)} in all`, limits);
  const [only] = files;
  const format = formatOfEnding(imageEnding(only?.name ?? ''));
  if (files.length !== 1 || !format || !Number.isFinite(format.startBytes)) return;
  const start = await bytesOf(only!.slice(0, format.startBytes) as File);
  checkLimits(format.describe(start, { where: only!.name, length: only!.size }), only!.name, limits);
}

function checkLimits({ size, channels }: Pick<ImageHeader, 'size' | 'channels'>, name: string, limits: ImageLimits): void {
  const bytes = product(size) * channels * 4;
  const text = `${size.join(' × ')} voxels${channels > 1 ? ` of ${channels} channels` : ''} (${mebibytes(bytes)} as the detector sees them)`;
  if (bytes > limits.mostBytes) tooLarge(name, text, limits);
  const longest = Math.max(...size);
  if (longest <= limits.mostPerAxis) return;
  throw new InputError(
    'limit-exceeded',
    `${name}: an axis of ${longest} voxels, but the graphics of this browser show at most ${limits.mostPerAxis}. ` +
      'Crop the image, or run `mdt predict` on it.',
  );
}

function tooLarge(name: string, what: string, { mostBytes }: ImageLimits): never {
  throw new InputError(
    'limit-exceeded',
    `${name}: ${what} is too large for this tab, whose limit is ${mebibytes(mostBytes)}. ` +
      'Raise the limit in the settings if the machine has the memory, or run `mdt predict` on the image.',
  );
}

const mebibytes = (bytes: number): string => `${Math.ceil(bytes / 2 ** 20).toLocaleString('en')} MiB`;

/** A NIfTI file of one channel, in a type that the display knows. */
export function niftiOf(stored: Volume & { slope?: number; intercept?: number }, channel = 0): Uint8Array {
  const { data, channels, slope = 1, intercept = 0 } = stored;
  const shown = data instanceof Uint8Array || data instanceof Int16Array || data instanceof Uint16Array;
  const count = data.length / channels;
  const Kind = shown ? (data.constructor as new (length: number) => VoxelArray) : Float32Array;
  let values: VoxelArray = data;
  if (channels > 1 || !(shown || data instanceof Float32Array)) {
    values = new Kind(count);
    for (let i = 0; i < count; i++) values[i] = data[i * channels + channel]!;
  }
  const { dim, size, spacing, origin, direction } = stored;
  const one = volume({ dim, data: values, size, spacing, origin, ...(direction && { direction }) });
  return encodeNifti(one, { slope, intercept });
}

/**
 * A label map on the grid of an image: as a NIfTI file, and the box of each id.
 *
 * @throws InputError `shape-mismatch` where its size is not that of the image
 */
export function readLabels(image: OpenImage, labels: OpenImage): { nifti: Uint8Array; most: number; objects: DetectionRows } {
  const { info } = image;
  if (labels.info.size.join() !== info.size.join()) {
    throw new InputError(
      'shape-mismatch',
      `${labels.info.id}: a label map of ${labels.info.size.join(' × ')} voxels, but the image has ${info.size.join(' × ')}`,
    );
  }
  const { data } = labelVolume(labels.stored, labels.info.id);
  const boxes = boxesOfIds(data, info.size);
  const ids = [...boxes.keys()].sort((a, b) => a - b);
  return {
    ...labelNifti(data, info),
    objects: { boxes: ids.map((id) => boxes.get(id)!), scores: ids.map(() => 1), labels: ids.map(() => 0) },
  };
}

/** The smallest box around each id above 0. */
function boxesOfIds(data: ArrayLike<number>, size: readonly number[]): Map<number, number[]> {
  const dim = size.length;
  const boxes = new Map<number, number[]>();
  const at = new Array<number>(dim).fill(0);
  for (let i = 0; i < data.length; i++) {
    const id = data[i]!;
    if (id > 0) {
      const box = boxes.get(id) ?? [...at, ...at];
      for (let d = 0; d < dim; d++) {
        box[d] = Math.min(box[d]!, at[d]!);
        box[dim + d] = Math.max(box[dim + d]!, at[d]! + 1);
      }
      boxes.set(id, box);
    }
    for (let d = dim - 1; d >= 0 && ++at[d]! === size[d]!; d--) at[d] = 0;
  }
  return boxes;
}

/** Ids above this share the colours of lower ones: a table of colours has so many. */
const mostColors = 250;

/** Ids as a NIfTI file of small numbers, in the place of an image. */
export function labelNifti(data: ArrayLike<number>, info: ImageInfo): { nifti: Uint8Array; most: number } {
  const small = new Int16Array(data.length);
  let most = 0;
  for (let i = 0; i < data.length; i++) {
    const id = data[i]!;
    if (id <= 0) continue;
    small[i] = ((id - 1) % mostColors) + 1;
    if (small[i]! > most) most = small[i]!;
  }
  const { size, spacing, origin, direction } = info;
  const dim = info.dim as Dim;
  return { nifti: niftiOf(volume({ dim, data: small, size, spacing, origin, ...(direction && { direction }) })), most };
}
