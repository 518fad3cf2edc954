import { product, type VoxelArray } from '@mdt/core';
import { latin1 } from './bytes.js';
import { geometryFromSteps } from './geometry.js';
import {
  checkGeometry,
  claimedBytes,
  type DecodedImage,
  type Geometry,
  type ImageHeader,
  type Refusals,
  refusals,
  type StoredType,
} from './image-header.js';
import { numbersIn, readHeaderLines } from './text-header.js';
import { unpackExactly } from './unpack.js';
import { channelsLast, emptyVoxels, readVoxels, voxelTypes } from './voxels.js';

/** The names that the format allows for a type (NRRD 5, section "type"). */
const typeNames: Readonly<Record<Exclude<StoredType, 'float16'>, readonly string[]>> = {
  int8: ['signed char', 'int8', 'int8_t'],
  uint8: ['uchar', 'unsigned char', 'uint8', 'uint8_t'],
  int16: ['short', 'short int', 'signed short', 'signed short int', 'int16', 'int16_t'],
  uint16: ['ushort', 'unsigned short', 'unsigned short int', 'uint16', 'uint16_t'],
  int32: ['int', 'signed int', 'int32', 'int32_t'],
  uint32: ['uint', 'unsigned int', 'uint32', 'uint32_t'],
  int64: ['longlong', 'long long', 'long long int', 'signed long long', 'signed long long int', 'int64', 'int64_t'],
  uint64: ['ulonglong', 'unsigned long long', 'unsigned long long int', 'uint64', 'uint64_t'],
  float32: ['float'],
  float64: ['double'],
};

/** Signs of the named spaces in LPS, x first. Others have no place in the patient. */
const spaces: Readonly<Record<string, readonly [number, number, number]>> = {
  'left-posterior-superior': [1, 1, 1],
  lps: [1, 1, 1],
  'right-anterior-superior': [-1, -1, 1],
  ras: [-1, -1, 1],
  'left-anterior-superior': [1, -1, 1],
  las: [1, -1, 1],
};

const encodings: Readonly<Record<string, 'raw' | 'gzip' | 'text'>> = {
  raw: 'raw',
  gzip: 'gzip',
  gz: 'gzip',
  text: 'text',
  txt: 'text',
  ascii: 'text',
};

export interface NrrdHeader extends ImageHeader {
  encoding: 'raw' | 'gzip' | 'text';
  littleEndian: boolean;
  /** Whether the channels are the slowest axis of the file; else they are the fastest. */
  channelsSlowest: boolean;
  /** Bytes of the header, and of all voxels. */
  end: number;
  bytes: number;
  /** The file beside this one that holds the voxels. */
  dataFile?: string;
  byteSkip: number;
  lineSkip: number;
}

/**
 * Reads the header of a NRRD file (version 1 to 5), attached or detached.
 *
 * One axis may be beside those of space: one without a direction, or of a kind like `vector`, `list` or `RGB-color`. It becomes the
 * channels.
 *
 * @throws InputError `unreadable-file`, `unsupported-format`
 */
export function parseNrrdHeader(file: Uint8Array, where: string): NrrdHeader {
  const refuse = refusals(where);
  const mark = latin1(file, 0, Math.min(8, file.length));
  if (!/^NRRD000[1-5]/.test(mark)) refuse.damaged(`not a NRRD file of version 1 to 5 (begins with '${mark}')`);
  const lastField = /^data ?file\s*:\s*list/i;
  const { lines, end } = readHeaderLines(file, (line) => line === '' || lastField.test(line), refuse);
  const fields = new Map<string, string>();
  for (const line of lines.slice(1)) {
    if (line === '' || line.startsWith('#') || line.includes(':=')) continue;
    const colon = line.indexOf(':');
    if (colon < 0) refuse.damaged(`the header line '${line.slice(0, 80)}' is no field`);
    const name = line.slice(0, colon).trim().toLowerCase().replaceAll(' ', '');
    if (fields.has(name)) refuse.damaged(`the field '${name}' stands twice in the header`);
    fields.set(name, line.slice(colon + 1).trim());
  }
  const needed = (name: string): string => fields.get(name) ?? refuse.damaged(`the header has no field '${name}'`);

  const dimension = numbersIn(needed('dimension'), 'dimension', refuse, 1)[0]!;
  if (!(Number.isInteger(dimension) && dimension >= 1 && dimension <= 16))
    refuse.damaged(`dimension is ${dimension}, expected 1 to 16`);
  const sizes = numbersIn(needed('sizes'), 'sizes', refuse, dimension);
  const typeName = needed('type').toLowerCase();
  const type = (Object.keys(typeNames) as (keyof typeof typeNames)[]).find((name) => typeNames[name].includes(typeName));
  if (!type) return refuse.unsupported(`values of type '${typeName}', expected whole or floating-point numbers`);
  const encodingName = needed('encoding').toLowerCase();
  const encoding = encodings[encodingName] ?? refuse.unsupported(`encoding '${encodingName}', expected raw, gzip or text`);
  const endian = fields.get('endian')?.toLowerCase();
  if (encoding !== 'text' && voxelTypes[type].bytes > 1 && endian !== 'little' && endian !== 'big') {
    refuse.damaged(`endian is '${endian ?? ''}', expected little or big`);
  }

  const kinds = fields.get('kinds')?.toLowerCase().split(/\s+/);
  const vectors = readVectors(fields.get('spacedirections'), dimension, refuse);
  const isSpace = (axis: number) =>
    vectors ? vectors[axis] !== undefined : !/vector|list|color|matrix|point|normal/.test(kinds?.[axis] ?? '');
  const all = sizes.map((_, axis) => axis);
  const spatial = all.filter(isSpace).length > 3 ? all.slice(0, 3) : all.filter(isSpace);
  const others = all.filter((axis) => !spatial.includes(axis));
  const slowest = others[0] === dimension - 1;
  if (spatial.length === 0 || others.length > 1 || (others.length === 1 && others[0] !== 0 && !slowest)) {
    refuse.unsupported(`sizes ${sizes.join(' ')}, expected 1 to 3 axes of space, and before or behind them at most one other`);
  }
  const size = spatial.map((axis) => sizes[axis]!).reverse();
  const channels = others.length === 1 ? sizes[others[0]!]! : 1;
  const header: NrrdHeader = {
    size,
    channels,
    type,
    slope: 1,
    intercept: 0,
    encoding,
    littleEndian: endian !== 'big',
    channelsSlowest: slowest,
    end,
    bytes: claimedBytes({ size, channels }, voxelTypes[type].bytes, refuse),
    byteSkip: skip('byteskip', -1),
    lineSkip: skip('lineskip', 0),
  };
  const geometry = readGeometry(fields, spatial, vectors, refuse);
  if (geometry) {
    checkGeometry(geometry, refuse);
    header.geometry = geometry;
  }
  const dataFile = fields.get('datafile');
  if (dataFile !== undefined) {
    if (/^list|%/i.test(dataFile)) refuse.unsupported(`voxels in several files ('${dataFile.slice(0, 80)}'), expected one`);
    header.dataFile = dataFile;
  }
  return header;

  function skip(name: string, least: number): number {
    const value = numbersIn(fields.get(name) ?? '0', name, refuse, 1)[0]!;
    if (Number.isSafeInteger(value) && value >= least) return value;
    return refuse.damaged(`${name} is ${value}, expected whole numbers from ${least} on`);
  }
}

/** The vectors of `space directions`, undefined for an axis that has none. */
function readVectors(text: string | undefined, dimension: number, refuse: Refusals): (number[] | undefined)[] | undefined {
  if (text === undefined) return undefined;
  const parts = text.match(/none|\([^()]*\)/gi) ?? [];
  if (parts.length !== dimension) refuse.damaged(`space directions '${text.slice(0, 80)}', expected ${dimension} vectors`);
  return parts.map((part) => (/^none$/i.test(part) ? undefined : vectorIn(part, refuse)));
}

function vectorIn(text: string, refuse: Refusals): number[] {
  const values = text
    .replace(/^\(|\)$/g, '')
    .split(',')
    .map((value) => (value.trim() === '' ? Number.NaN : Number(value)));
  return values.every(Number.isFinite) ? values : refuse.damaged(`the vector '${text.slice(0, 80)}', expected numbers`);
}

function readGeometry(
  fields: ReadonlyMap<string, string>,
  spatial: readonly number[],
  vectors: readonly (number[] | undefined)[] | undefined,
  refuse: Refusals,
): Geometry | undefined {
  if (vectors) {
    const dim = spatial.length;
    const steps = spatial.map((axis) => vectors[axis]!);
    const first = fields.has('spaceorigin') ? vectorIn(fields.get('spaceorigin')!, refuse) : new Array<number>(dim).fill(0);
    const signs = spaces[(fields.get('space') ?? '').toLowerCase()] ?? [1, 1, 1];
    if (first.length !== dim || steps.some((step) => step.length !== dim)) {
      // A slice in three-dimensional space keeps its spacing alone.
      return steps.every((step) => step.length === 3)
        ? { spacing: steps.map((step) => Math.hypot(...step)).reverse() }
        : undefined;
    }
    return geometryFromSteps(steps, first, signs) ?? refuse.damaged('space directions that are zero or parallel');
  }
  const text = fields.get('spacings');
  if (text === undefined) return undefined;
  const spacings = text.split(/\s+/).map(Number); // NaN where an axis has none
  const spacing = spatial.map((axis) => Math.abs(spacings[axis] ?? 1) || 1).reverse();
  return { spacing };
}

/**
 * Reads a whole NRRD file.
 *
 * @param detached the content of `header.dataFile`, where there is one
 * @throws InputError `unreadable-file`, `unsupported-format`, `invalid-data`
 */
export function decodeNrrd(file: Uint8Array, where = 'decodeNrrd', detached?: Uint8Array): DecodedImage & { header: NrrdHeader } {
  const refuse = refusals(where);
  const header = parseNrrdHeader(file, where);
  if (header.dataFile !== undefined && !detached)
    refuse.unsupported(`its voxels lie in '${header.dataFile}': read it from its folder`);
  const { type, channels, littleEndian, channelsSlowest, encoding, bytes, byteSkip } = header;
  let rest = detached ?? file.subarray(header.end);
  for (let line = 0; line < header.lineSkip; line++) {
    const end = rest.indexOf(10);
    if (end < 0) refuse.damaged(`line skip ${header.lineSkip}, but there are ${line} lines`);
    rest = rest.subarray(end + 1);
  }
  let voxels: Uint8Array;
  if (encoding === 'gzip') {
    const skipped = Math.max(byteSkip, 0); // of the unpacked bytes
    voxels = unpackExactly(rest, bytes + skipped, 'gzip', refuse).subarray(skipped);
  } else {
    voxels = byteSkip < 0 ? rest.subarray(Math.max(0, rest.length - bytes)) : rest.subarray(byteSkip);
  }
  if (encoding === 'text') return { header, data: numbersOfText(voxels, header, refuse) };
  if (voxels.length !== bytes)
    refuse.damaged(`sizes ${header.size.join('x')} need ${bytes} bytes, but ${voxels.length} are there`);
  return { header, data: readVoxels(voxels, type, { littleEndian, channels: channelsSlowest ? channels : 1, where }) };
}

/** Numbers written out, between spaces, commas or line ends. */
function numbersOfText(text: Uint8Array, { size, channels, type, channelsSlowest }: NrrdHeader, refuse: Refusals): VoxelArray {
  const count = product(size) * channels;
  if (2 * count - 1 > text.length) refuse.damaged(`${count} numbers are declared, but ${text.length} bytes of text are there`);
  const values = Float64Array.from(
    latin1(text)
      .trim()
      .split(/[\s,]+/),
    Number,
  );
  if (values.length !== count || values.some(Number.isNaN))
    refuse.damaged(`${values.length} numbers in the text, expected ${count}`);
  const typed = emptyVoxels(type, count);
  typed.set(values);
  if (type !== 'float32' && values.some((value, i) => typed[i] !== value)) refuse.damaged(`numbers that are no ${type}`);
  return channelsSlowest && channels > 1 ? channelsLast(typed, channels) : typed;
}
