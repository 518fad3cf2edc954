import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { temporaryFolder } from '../../test/support.js';
import { crc32c, encodeEvent, eventFile, tfRecord } from './tensorboard.js';

test('CRC-32C has the values of RFC 3720, appendix B.4', () => {
  expect(crc32c(new Uint8Array(32))).toBe(0x8a9136aa);
  expect(crc32c(new Uint8Array(32).fill(0xff))).toBe(0x62a8ab43);
  expect(crc32c(Uint8Array.from({ length: 32 }, (_, i) => i))).toBe(0x46dd794e);
  expect(crc32c(Buffer.from('123456789'))).toBe(0xe3069283);
});

test('an event has the bytes that its message numbers say', () => {
  // 1.0 is 00…f03f; step 300 is the varint ac 02; 0.5 is 0000003f.
  expect(encodeEvent({ wallTime: 1, step: 300, scalars: { ap: 0.5 } }).toString('hex')).toBe(
    '09000000000000f03f' + '10ac02' + '2a0b' + '0a09' + '0a026170' + '150000003f',
  );
});

test("a record is framed with masked checksums, as TensorFlow's first record of every event file is", () => {
  // Length 24 and its checksum a37f4b22: what every event file on disk starts with.
  const version = Buffer.concat([Buffer.from([9]), Buffer.alloc(8), Buffer.from([0x1a, 13]), Buffer.from('brain.Event:2')]);
  expect(tfRecord(version).subarray(0, 12).toString('hex')).toBe('1800000000000000a37f4b22');
});

test('events are appended and read back in their order; a file that starts anew forgets the others', async () => {
  const path = join(await temporaryFolder(), 'events.out.tfevents.1.mdt');
  const event = (step: number) => ({ wallTime: 1e9 + step, step, scalars: { 'loss/total': 1 / step } });
  const file = await eventFile(path, [event(1)]);
  await file.append(event(2));
  const records = readRecords(await readFile(path));
  expect(records).toHaveLength(3);
  expect(records[2]).toEqual(encodeEvent(event(2)));
  await eventFile(path, [event(1)]);
  expect(readRecords(await readFile(path))).toHaveLength(2);
});

test("TensorBoard's own reader gives the numbers back: the file that it read is the one that is written", async () => {
  const path = join(await temporaryFolder(), 'events.out.tfevents.1.mdt');
  const file = await eventFile(path, [
    { wallTime: 1e9 + 0.5, step: 1, scalars: { 'loss/total': 0.5, 'validation/ap:disc': 0.25 } },
  ]);
  await file.append({ wallTime: 1e9 + 1.5, step: 300, scalars: { 'loss/total': 0.125 } });
  // Read with tensorboard 2.21.0, EventAccumulator(path).Reload(): 'loss/total' [(1, 0.5, 1000000000.5), (300, 0.125, 1000000001.5)],
  // 'validation/ap:disc' [(1, 0.25, 1000000000.5)].
  expect(
    createHash('sha256')
      .update(await readFile(path))
      .digest('hex'),
  ).toBe('5f01b9cbd46e7877826b98efcc8e1422d610c603e99ca232754aae44cd19f2e0');
});

/** The payloads of a TFRecord file, every checksum checked. */
function readRecords(bytes: Buffer): Buffer[] {
  const records: Buffer[] = [];
  for (let at = 0; at < bytes.length; ) {
    const length = Number(bytes.readBigUInt64LE(at));
    const data = bytes.subarray(at + 12, at + 12 + length);
    expect(bytes.subarray(at, at + 16 + length)).toEqual(tfRecord(Buffer.from(data)));
    records.push(data);
    at += 16 + length;
  }
  return records;
}
