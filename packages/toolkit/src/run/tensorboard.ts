import { open } from 'node:fs/promises';
import { writeFileAtomic } from '../files.js';

/** One moment of a training, with its numbers by name. */
export interface ScalarEvent {
  /** Seconds since 1970. */
  wallTime: number;
  step: number;
  scalars: Readonly<Record<string, number>>;
}

export interface EventFile {
  append(event: ScalarEvent): Promise<void>;
}

/**
 * Starts a TensorBoard event file with the events given: TFRecord framing around `Event` messages of protocol buffers, as
 * TensorFlow's `event.proto` and `summary.proto` number their fields. TensorBoard takes any file whose name contains `tfevents`.
 */
export async function eventFile(path: string, events: readonly ScalarEvent[] = []): Promise<EventFile> {
  const version = message(doubleField(1, events[0]?.wallTime ?? Date.now() / 1000), textField(3, 'brain.Event:2'));
  await writeFileAtomic(path, Buffer.concat([tfRecord(version), ...events.map((event) => tfRecord(encodeEvent(event)))]));
  return {
    async append(event) {
      const file = await open(path, 'a');
      try {
        await file.appendFile(tfRecord(encodeEvent(event)));
      } finally {
        await file.close();
      }
    },
  };
}

/** `Event { wall_time = 1, step = 2, summary = 5 { value = 1 { tag = 1, simple_value = 2 } } }`. */
export function encodeEvent({ wallTime, step, scalars }: ScalarEvent): Buffer {
  const values = Object.entries(scalars).map(([tag, value]) => lengthField(1, message(textField(1, tag), floatField(2, value))));
  return message(doubleField(1, wallTime), varintField(2, step), lengthField(5, message(...values)));
}

/** Length, masked CRC of the length, data, masked CRC of the data; little endian. */
export function tfRecord(data: Buffer): Buffer {
  const header = Buffer.alloc(8);
  header.writeBigUInt64LE(BigInt(data.length));
  return Buffer.concat([header, checksum(header), data, checksum(data)]);
}

function checksum(data: Buffer): Buffer {
  const bytes = Buffer.alloc(4);
  const crc = crc32c(data);
  bytes.writeUInt32LE((((crc >>> 15) | (crc << 17)) + 0xa282ead8) >>> 0); // TFRecord masks its CRCs
  return bytes;
}

/** CRC-32C (Castagnoli), reflected polynomial 0x82f63b78 (RFC 3720, appendix B.4). */
export function crc32c(data: Uint8Array): number {
  let crc = 0xffffffff;
  for (const byte of data) crc = (crc >>> 8) ^ table[(crc ^ byte) & 0xff]!;
  return (crc ^ 0xffffffff) >>> 0;
}

const table = Uint32Array.from({ length: 256 }, (_, byte) => {
  let crc = byte;
  for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ 0x82f63b78 : crc >>> 1;
  return crc;
});

const message = (...fields: Buffer[]): Buffer => Buffer.concat(fields);

/** Seven bits a byte, the lowest first. */
function varint(value: number): Buffer {
  const bytes: number[] = [];
  let rest = value;
  while (rest >= 0x80) {
    bytes.push((rest % 0x80) + 0x80);
    rest = Math.floor(rest / 0x80);
  }
  return Buffer.from([...bytes, rest]);
}

const key = (field: number, wireType: number): Buffer => varint(field * 8 + wireType);
const varintField = (field: number, value: number): Buffer => Buffer.concat([key(field, 0), varint(value)]);
const lengthField = (field: number, data: Buffer): Buffer => Buffer.concat([key(field, 2), varint(data.length), data]);
const textField = (field: number, text: string): Buffer => lengthField(field, Buffer.from(text, 'utf8'));

function doubleField(field: number, value: number): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeDoubleLE(value);
  return Buffer.concat([key(field, 1), bytes]);
}

function floatField(field: number, value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeFloatLE(value);
  return Buffer.concat([key(field, 5), bytes]);
}
