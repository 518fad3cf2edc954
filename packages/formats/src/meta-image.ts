import { geometryFromSteps } from './geometry.js';
import { checkGeometry, claimedBytes, type DecodedImage, type ImageHeader, refusals, type StoredType } from './image-header.js';
import { numbersIn, readHeaderLines } from './text-header.js';
import { unpackExactly } from './unpack.js';
import { readVoxels, voxelTypes } from './voxels.js';

/** MetaIO's type names, without the ending `_ARRAY` that it gives to several channels. */
const types: Readonly<Record<string, StoredType>> = {
  MET_CHAR: 'int8',
  MET_UCHAR: 'uint8',
  MET_SHORT: 'int16',
  MET_USHORT: 'uint16',
  MET_INT: 'int32',
  MET_UINT: 'uint32',
  MET_LONG: 'int32', // four bytes in this format, whatever the machine
  MET_ULONG: 'uint32',
  MET_LONG_LONG: 'int64',
  MET_ULONG_LONG: 'uint64',
  MET_FLOAT: 'float32',
  MET_DOUBLE: 'float64',
};

export interface MetaImageHeader extends ImageHeader {
  littleEndian: boolean;
  packed: boolean;
  /** Bytes of the header, and of all voxels. */
  end: number;
  bytes: number;
  /** Bytes before the voxels in `dataFile`; −1 where they are its last. */
  skip: number;
  /** Whether a fourth axis, the slowest, holds the channels; else they lie side by side. */
  channelsSlowest: boolean;
  /** The file beside this one that holds the voxels. */
  dataFile?: string;
}

/**
 * Reads the header of a MetaImage: `.mha`, or `.mhd` with its voxels in a file of their own.
 *
 * @throws InputError `unreadable-file`, `unsupported-format`
 */
export function parseMetaHeader(file: Uint8Array, where: string): MetaImageHeader {
  const refuse = refusals(where);
  const { lines, end } = readHeaderLines(file, (line) => /^\s*ElementDataFile\s*=/.test(line), refuse);
  const fields = new Map<string, string>();
  for (const line of lines) {
    const equals = line.indexOf('=');
    if (equals < 0) {
      if (line.trim() === '') continue;
      refuse.damaged(`not a MetaImage: the header line '${line.slice(0, 80)}' is no field`);
    }
    fields.set(line.slice(0, equals).trim(), line.slice(equals + 1).trim());
  }
  const flag = (...names: string[]) => names.some((name) => /^(true|1)$/i.test(fields.get(name) ?? ''));
  const list = (name: string, count: number) => {
    const text = fields.get(name);
    return text === undefined ? undefined : numbersIn(text, name, refuse, count);
  };
  const needed = (name: string): string => fields.get(name) ?? refuse.damaged(`the header has no field '${name}'`);
  if (fields.get('BinaryData') !== undefined && !flag('BinaryData')) refuse.unsupported('voxels as text, expected binary');
  const rank = numbersIn(needed('NDims'), 'NDims', refuse, 1)[0]!;
  if (![1, 2, 3, 4].includes(rank)) refuse.unsupported(`NDims is ${rank}, expected 1 to 4`);
  const dim = Math.min(rank, 3);
  const sizes = list('DimSize', rank) ?? refuse.damaged("the header has no field 'DimSize'");
  const perVoxel = list('ElementNumberOfChannels', 1)?.[0] ?? 1;
  if (rank === 4 && sizes[3] !== 1 && perVoxel !== 1) refuse.unsupported('a series of images of several channels, expected one');
  const typeName = needed('ElementType').replace(/_ARRAY$/, '');
  const type =
    types[typeName] ?? refuse.unsupported(`values of type '${typeName}', expected one of ${Object.keys(types).join(', ')}`);
  const size = sizes.slice(0, dim).reverse();
  const channels = rank === 4 && sizes[3] !== 1 ? sizes[3]! : perVoxel;

  const spacing = list('ElementSpacing', rank) ?? list('ElementSize', rank) ?? new Array<number>(rank).fill(1);
  const first = list('Offset', rank) ?? list('Position', rank) ?? list('Origin', rank) ?? new Array<number>(rank).fill(0);
  const matrix = list('TransformMatrix', rank * rank) ?? list('Rotation', rank * rank) ?? list('Orientation', rank * rank);
  // A row of the matrix is the direction of one axis of the file.
  const cosine = (axis: number, row: number) => matrix?.[axis * rank + row] ?? (axis === row ? 1 : 0);
  checkGeometry({ spacing: spacing.slice(0, dim) }, refuse);
  const axes = Array.from({ length: dim }, (_, axis) => axis);
  const steps = axes.map((axis) => axes.map((row) => cosine(axis, row) * spacing[axis]!));
  const geometry = geometryFromSteps(steps, first) ?? refuse.damaged('a TransformMatrix without an inverse');

  const dataFile = needed('ElementDataFile');
  if (/^list|%/i.test(dataFile)) refuse.unsupported(`voxels in several files ('${dataFile.slice(0, 80)}'), expected one`);
  const skip = list('HeaderSize', 1)?.[0] ?? 0;
  if (!(Number.isSafeInteger(skip) && skip >= -1)) refuse.damaged(`HeaderSize is ${skip}, expected −1 or more`);
  return {
    size,
    channels,
    type,
    geometry,
    slope: 1,
    intercept: 0,
    littleEndian: !flag('BinaryDataByteOrderMSB', 'ElementByteOrderMSB'),
    packed: flag('CompressedData'),
    end,
    bytes: claimedBytes({ size, channels }, voxelTypes[type].bytes, refuse),
    skip,
    channelsSlowest: rank === 4 && sizes[3] !== 1,
    ...(!/^local$/i.test(dataFile) && { dataFile }),
  };
}

/**
 * Reads a whole MetaImage.
 *
 * @param detached the content of `header.dataFile`, where there is one
 * @throws InputError `unreadable-file`, `unsupported-format`, `invalid-data`
 */
export function decodeMetaImage(
  file: Uint8Array,
  where = 'decodeMetaImage',
  detached?: Uint8Array,
): DecodedImage & { header: MetaImageHeader } {
  const refuse = refusals(where);
  const header = parseMetaHeader(file, where);
  if (header.dataFile !== undefined && !detached)
    refuse.unsupported(`its voxels lie in '${header.dataFile}': read it from its folder`);
  const { type, channels, littleEndian, bytes, packed, skip, channelsSlowest } = header;
  const rest = detached ?? file.subarray(header.end);
  const stored = skip < 0 && !packed ? rest.subarray(Math.max(0, rest.length - bytes)) : rest.subarray(Math.max(skip, 0));
  const voxels = packed ? unpackExactly(stored, bytes, 'zlib', refuse) : stored;
  if (voxels.length !== bytes)
    refuse.damaged(`DimSize ${header.size.join('x')} needs ${bytes} bytes, but ${voxels.length} are there`);
  return { header, data: readVoxels(voxels, type, { littleEndian, channels: channelsSlowest ? channels : 1, where }) };
}
