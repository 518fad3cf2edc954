/** A slice of a CT to be written. */
export interface DicomSlice {
  patient: string;
  studyUid: string;
  seriesUid: string;
  sliceUid: string;
  frameUid: string;
  /** Counted from 1. */
  instance: number;
  rows: number;
  columns: number;
  /** Stored values, row by row; grey value = stored · slope + intercept. */
  pixels: Int16Array;
  slope?: number;
  intercept?: number;
  /** Millimetres from row to row and from column to column, and from slice to slice. */
  spacing: readonly [number, number];
  thickness: number;
  /** Centre of the first pixel, x y z, and directions of a row and a column, in the patient's space (LPS). */
  position: readonly number[];
  orientation: readonly number[];
}

const ctImageStorage = '1.2.840.10008.5.1.4.1.1.2';
const explicitLittleEndian = '1.2.840.10008.1.2.1';
const implementation = '2.25.80302813137786398554742050926734630921';

/** The bytes of a DICOM file with one slice of a CT, uncompressed (PS3.10; CT Image, PS3.3 A.3). */
export function encodeDicomSlice(slice: DicomSlice): Uint8Array {
  const { rows, columns, pixels, spacing, slope = 1, intercept = 0 } = slice;
  if (pixels.length !== rows * columns) {
    throw new RangeError(`encodeDicomSlice: ${pixels.length} pixels, expected ${rows * columns} (${rows}x${columns})`);
  }
  const decimals = (values: readonly number[]) => values.map(decimal).join('\\');
  const head = [
    element(0x0002, 0x0001, 'OB', Uint8Array.of(0, 1)),
    element(0x0002, 0x0002, 'UI', ctImageStorage),
    element(0x0002, 0x0003, 'UI', slice.sliceUid),
    element(0x0002, 0x0010, 'UI', explicitLittleEndian),
    element(0x0002, 0x0012, 'UI', implementation),
  ];
  const body = [
    element(0x0008, 0x0008, 'CS', 'ORIGINAL\\PRIMARY\\AXIAL'),
    element(0x0008, 0x0016, 'UI', ctImageStorage),
    element(0x0008, 0x0018, 'UI', slice.sliceUid),
    element(0x0008, 0x0060, 'CS', 'CT'),
    element(0x0010, 0x0010, 'PN', slice.patient),
    element(0x0010, 0x0020, 'LO', slice.patient),
    element(0x0018, 0x0050, 'DS', decimal(slice.thickness)),
    element(0x0020, 0x000d, 'UI', slice.studyUid),
    element(0x0020, 0x000e, 'UI', slice.seriesUid),
    element(0x0020, 0x0013, 'IS', String(slice.instance)),
    element(0x0020, 0x0032, 'DS', decimals(slice.position)),
    element(0x0020, 0x0037, 'DS', decimals(slice.orientation)),
    element(0x0020, 0x0052, 'UI', slice.frameUid),
    element(0x0028, 0x0002, 'US', Uint16Array.of(1)),
    element(0x0028, 0x0004, 'CS', 'MONOCHROME2'),
    element(0x0028, 0x0010, 'US', Uint16Array.of(rows)),
    element(0x0028, 0x0011, 'US', Uint16Array.of(columns)),
    element(0x0028, 0x0030, 'DS', decimals(spacing)),
    element(0x0028, 0x0100, 'US', Uint16Array.of(16)),
    element(0x0028, 0x0101, 'US', Uint16Array.of(16)),
    element(0x0028, 0x0102, 'US', Uint16Array.of(15)),
    element(0x0028, 0x0103, 'US', Uint16Array.of(1)),
    element(0x0028, 0x1052, 'DS', decimal(intercept)),
    element(0x0028, 0x1053, 'DS', decimal(slope)),
    element(0x7fe0, 0x0010, 'OW', pixels),
  ];
  const meta = joined(head);
  const length = new Uint8Array(4);
  new DataView(length.buffer).setUint32(0, meta.length, true);
  const mark = new Uint8Array(132);
  mark.set([0x44, 0x49, 0x43, 0x4d], 128); // DICM
  return joined([mark, element(0x0002, 0x0000, 'UL', length), meta, ...body]);
}

/** A number of at most 16 characters, as DICOM's decimal strings are. */
function decimal(value: number): string {
  for (let digits = 15; digits > 0; digits--) {
    const text = String(Number(value.toPrecision(digits)));
    if (text.length <= 16) return text;
  }
  return '0';
}

/** Explicit VR, little endian; texts are padded to an even length, with 0 where they are UIDs. */
function element(group: number, tag: number, vr: string, value: string | Uint8Array | Uint16Array | Int16Array): Uint8Array {
  const bytes = typeof value === 'string' ? textBytes(value, vr === 'UI' ? 0 : 32) : littleEndian(value);
  const long = vr === 'OB' || vr === 'OW';
  const out = new Uint8Array((long ? 12 : 8) + bytes.length);
  const view = new DataView(out.buffer);
  view.setUint16(0, group, true);
  view.setUint16(2, tag, true);
  out.set([vr.charCodeAt(0), vr.charCodeAt(1)], 4);
  if (long) view.setUint32(8, bytes.length, true);
  else view.setUint16(6, bytes.length, true);
  out.set(bytes, long ? 12 : 8);
  return out;
}

function textBytes(text: string, pad: number): Uint8Array {
  const bytes = new Uint8Array(text.length + (text.length % 2)).fill(pad);
  for (let i = 0; i < text.length; i++) bytes[i] = text.charCodeAt(i) & 0x7f;
  return bytes;
}

function littleEndian(values: Uint8Array | Uint16Array | Int16Array): Uint8Array {
  if (values instanceof Uint8Array) return values;
  const bytes = new Uint8Array(values.length * 2);
  const view = new DataView(bytes.buffer);
  for (let i = 0; i < values.length; i++) view.setUint16(2 * i, values[i]! & 0xffff, true);
  return bytes;
}

function joined(parts: readonly Uint8Array[]): Uint8Array {
  const out = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    out.set(part, at);
    at += part.length;
  }
  return out;
}
