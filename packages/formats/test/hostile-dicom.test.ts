import { deflateRawSync } from 'node:zlib';
import { expect, test } from 'vitest';
import { decodeDicomSeries } from '../src/index.js';

const syntax = {
  explicit: '1.2.840.10008.1.2.1',
  deflated: '1.2.840.10008.1.2.1.99',
  rle: '1.2.840.10008.1.2.5',
} as const;

const longForms = ['OB', 'OW', 'SQ', 'UN', 'UT'];

/** A data element with explicit VR; `length` may lie. */
function element(group: number, number: number, vr: string, value: Buffer | string, length?: number): Buffer {
  const data = typeof value === 'string' ? Buffer.from(value.length % 2 === 0 ? value : `${value} `) : value;
  const isLong = longForms.includes(vr);
  const head = Buffer.alloc(isLong ? 12 : 8);
  head.writeUInt16LE(group, 0);
  head.writeUInt16LE(number, 2);
  head.write(vr, 4, 'latin1');
  if (isLong) head.writeUInt32LE(length ?? data.length, 8);
  else head.writeUInt16LE(length ?? data.length, 6);
  return Buffer.concat([head, data]);
}
const us = (value: number) => Buffer.from([value & 255, value >> 8]);
const ul = (value: number) => {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(value);
  return bytes;
};
/** An item or a delimiter. */
const item = (number: number, length: number, data = Buffer.alloc(0)) =>
  Buffer.concat([Buffer.from([0xfe, 0xff, number & 255, number >> 8]), ul(length), data]);

function file(
  body: Buffer,
  { transfer = syntax.explicit, meta = Buffer.alloc(0) }: { transfer?: string; meta?: Buffer } = {},
): Buffer {
  const uid = element(2, 0x10, 'UI', transfer.length % 2 === 0 ? transfer : `${transfer}\0`);
  return Buffer.concat([
    Buffer.alloc(128),
    Buffer.from('DICM'),
    element(2, 0, 'UL', ul(uid.length + meta.length)),
    meta,
    uid,
    body,
  ]);
}

/** What describes an image of so many rows and columns, up to its voxels. */
const image = ({ rows = us(2), rowsVr = 'US', columns = 2, frames = '1' } = {}): Buffer =>
  Buffer.concat([
    element(0x28, 2, 'US', us(1)),
    element(0x28, 4, 'CS', 'MONOCHROME2'),
    element(0x28, 8, 'IS', frames),
    element(0x28, 0x10, rowsVr, rows),
    element(0x28, 0x11, 'US', us(columns)),
    element(0x28, 0x100, 'US', us(16)),
    element(0x28, 0x101, 'US', us(16)),
    element(0x28, 0x102, 'US', us(15)),
    element(0x28, 0x103, 'US', us(0)),
  ]);
const voxels = element(0x7fe0, 0x10, 'OW', Buffer.from([1, 0, 2, 0, 3, 0, 4, 0]));
const undefinedLength = 0xffffffff;
const sequence = element(8, 0x1140, 'SQ', Buffer.alloc(0), undefinedLength);
const nested = Buffer.concat(Array.from({ length: 10_000 }, () => Buffer.concat([sequence, item(0xe000, undefinedLength)])));
const rleOf = (offsets: readonly number[], data: Buffer) => {
  const header = Buffer.alloc(64);
  for (const [i, value] of offsets.entries()) header.writeUInt32LE(value, 4 * i);
  const fragment = Buffer.concat([header, data]);
  const table = item(0xe000, 0);
  return Buffer.concat([
    element(0x7fe0, 0x10, 'OB', Buffer.alloc(0), undefinedLength),
    table,
    item(0xe000, fragment.length, fragment),
    item(0xe0dd, 0),
  ]);
};

test('the file that the hostile ones differ from is read', async () => {
  const { data } = await decodeDicomSeries([['plain.dcm', file(Buffer.concat([image(), voxels]))]], 'plain');
  expect([...data]).toEqual([1, 2, 3, 4]);
});

const hostile: readonly (readonly [string, Buffer])[] = [
  ['sequences nested 10 000 deep', file(Buffer.concat([nested, image(), voxels]))],
  ['a length beyond the file', file(Buffer.concat([image(), element(0x7fe0, 0x10, 'OW', Buffer.alloc(8), 0xfffffff0)]))],
  ['2^31 rows, as an unsigned long', file(Buffer.concat([image({ rows: ul(2 ** 31), rowsVr: 'UL' }), voxels]))],
  ['65 535 x 65 535 voxels that are not there', file(Buffer.concat([image({ rows: us(65_535), columns: 65_535 }), voxels]))],
  ['a thousand million frames', file(Buffer.concat([image({ frames: '1000000000' }), voxels]))],
  [
    'a value representation that does not exist, before the image',
    file(Buffer.alloc(0), { meta: element(2, 2, '??', Buffer.alloc(4), 0xfff0) }),
  ],
  [
    'RLE segments outside of their fragment',
    file(Buffer.concat([image(), rleOf([2, 64, 0xfffffff0], Buffer.alloc(8))]), { transfer: syntax.rle }),
  ],
  [
    'fifteen million RLE segments',
    file(Buffer.concat([image(), rleOf([15_000_000], Buffer.alloc(8))]), { transfer: syntax.rle }),
  ],
  [
    'a deflated bomb: 256 MiB of zeros',
    file(deflateRawSync(Buffer.concat([image(), element(0x7fe0, 0x10, 'OW', Buffer.alloc(2 ** 28))])), {
      transfer: syntax.deflated,
    }),
  ],
  ['an end in the middle of a head', file(Buffer.concat([image(), voxels.subarray(0, 6)]))],
];
test.each(hostile)('%s: refused, and nothing of that size is made', async (_, bytes) => {
  const before = process.memoryUsage().arrayBuffers;
  let most = 0;
  const watch = setInterval(() => (most = Math.max(most, process.memoryUsage().arrayBuffers)), 1);
  await expect(decodeDicomSeries([['hostile.dcm', bytes]], 'hostile')).rejects.toMatchObject({ name: 'InputError' });
  clearInterval(watch);
  expect((Math.max(most, process.memoryUsage().arrayBuffers) - before) / 2 ** 20).toBeLessThan(200);
});
