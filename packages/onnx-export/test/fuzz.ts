import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { InputError, product, rng } from '@mdt/core';
import { loadDetector } from '@mdt/onnx';
import * as tf from '@tensorflow/tfjs-core';
import '@tensorflow/tfjs-backend-cpu';
import { smallDetectors } from '../../detectors/test/small-detectors.js';
import { fieldsOf, MessageWriter } from '../../onnx/src/wire.js';
import { exportOnnx } from '../src/index.js';

// Changed model files: each is refused with an InputError, or runs and gives detections or an InputError. `npm run fuzz -- models`.

export const parts = ['RetinaUNet2D', 'MaskRCNN2D', 'DetectionUNet2D', 'external'] as const;

const limits = { fileBytes: 2 ** 24, memoryBytes: 2 ** 28, timeMs: 20_000 };

export async function run(
  part: (typeof parts)[number],
  { n, seed, onProgress }: { n: number; seed: number; onProgress: (done: number) => void },
): Promise<string> {
  tf.enableProdMode();
  await tf.setBackend('cpu');
  const dir = mkdtempSync(join(tmpdir(), 'mdt-fuzz-models-'));
  try {
    const kind = part === 'external' ? 'RetinaUNet2D' : part;
    const detector = smallDetectors[kind]!();
    const file = join(dir, 'model.onnx');
    await exportOnnx(detector, file, part === 'external' ? { externalFromBytes: 1000 } : {});
    const patch = new Float32Array(product(detector.patchSize) * detector.inChannels).fill(0.5);
    const whole = Uint8Array.from(readFileSync(file)); // a Buffer's slice would be the same memory
    const random = rng(seed).fork(part);
    const count = { refused: 0, ran: 0 };
    for (let i = 0; i < n; i++) {
      writeFileSync(file, changed(whole, random));
      try {
        const loaded = await loadDetector(file, { limits, threads: 1, sessionOptions: { logSeverityLevel: 4 } });
        try {
          await loaded.detectPatches(patch, 1);
        } finally {
          loaded.dispose();
        }
        count.ran++;
      } catch (error) {
        if (!(error instanceof InputError)) throw new Error(`${part} ${i}: ${String(error)}`, { cause: error });
        count.refused++;
      }
      if (i % 20 === 0) onProgress(i);
    }
    return `${count.refused} refused, ${count.ran} ran`;
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
}

type Random = ReturnType<typeof rng>;

/** A file with bytes changed, left out, doubled or cut off, or one whole in its form with a field that says something else. */
export function changed(whole: Uint8Array, random: Random): Uint8Array {
  const at = random.integer(0, whole.length);
  const length = 1 + Math.floor(random.next() ** 3 * 200);
  switch (random.integer(0, 8)) {
    case 0: {
      const copy = whole.slice();
      for (let k = 0; k < 1 + random.next() * 4; k++) copy[random.integer(0, copy.length)] = random.integer(0, 256);
      return copy;
    }
    case 1:
      return whole.slice(0, at);
    case 2:
      return Uint8Array.from([...whole.subarray(0, at), ...whole.subarray(at + length)]);
    case 3:
      return Uint8Array.from([...whole.subarray(0, at), ...whole.subarray(Math.max(0, at - length))]);
    default:
      return changedField(whole, model, random);
  }
}

/** Fields that are messages themselves, by their numbers in onnx.proto. */
interface Messages {
  readonly [field: number]: Messages;
}
const value: Messages = { 2: { 1: { 2: { 1: {} } } } };
const model: Messages = { 7: { 1: { 5: {} }, 5: { 13: {} }, 11: value, 12: value }, 8: {}, 14: {} };

const hostileIntegers = [0n, 1n, 2n, 7n, 255n, 4096n, 2n ** 31n - 1n, 2n ** 31n, 2n ** 32n, 2n ** 62n, 2n ** 63n, 2n ** 64n - 1n];
const hostileValues = [
  -1,
  0,
  0.5,
  1,
  3,
  17,
  1e6,
  2 ** 31,
  1e308,
  null,
  true,
  '',
  'Conv',
  '../../etc/passwd',
  [],
  [[]],
  {},
  [1, 2, 3],
];

/** A message with one field changed, somewhere inside. */
function changedField(bytes: Uint8Array, messages: Messages, random: Random): Uint8Array {
  const fields = [...fieldsOf(bytes, 'the model')];
  if (fields.length === 0) return bytes;
  const numbers = [...new Set(fields.map(({ number }) => number))];
  // By kind first: a graph has many nodes and one input.
  const alike = fields.filter(({ number }) => number === numbers[random.integer(0, numbers.length)]);
  const chosen = (alike.length > 0 ? alike : fields)[random.integer(0, alike.length || fields.length)];
  const other = fields.filter((field) => field.number === chosen?.number)[0];
  const kind = random.integer(0, 10);
  const written = new MessageWriter();
  for (const field of fields) {
    const { number } = field;
    if (field !== chosen) {
      if ('integer' in field) written.integer(number, field.integer);
      else written.bytes(number, field.bytes);
    } else if ('integer' in field) {
      if (kind > 0)
        written.integer(number, kind < 3 ? field.integer + 1n : hostileIntegers[random.integer(0, hostileIntegers.length)]!);
    } else if (messages[number] && kind > 1) {
      const isText = number === 14 && messages === model;
      written.bytes(number, isText ? changedText(field.bytes, random) : changedField(field.bytes, messages[number], random));
    } else if (kind === 1) {
      for (let k = 0; k < 2; k++) written.bytes(number, field.bytes);
    } else if (kind > 1 && kind < 5 && other && 'bytes' in other) {
      written.bytes(number, other.bytes); // a name or a message in the place of another
    } else if (kind >= 5) {
      written.bytes(
        number,
        field.bytes.map((byte) => (random.next() < 0.2 ? 32 + ((byte + random.integer(0, 90)) % 90) : byte)),
      );
    }
  }
  return written.toBytes();
}

/** An entry of the metadata with one value of its JSON changed. */
function changedText(entry: Uint8Array, random: Random): Uint8Array {
  const [key, text] = [...fieldsOf(entry, 'an entry')].map((field) =>
    'bytes' in field ? new TextDecoder().decode(field.bytes) : '',
  );
  const change = (json: unknown): unknown => {
    const keys = json !== null && typeof json === 'object' ? Object.keys(json) : [];
    if (keys.length === 0 || random.next() < 0.1) return hostileValues[random.integer(0, hostileValues.length)];
    const at = keys[random.integer(0, keys.length)]!;
    const copy = (Array.isArray(json) ? [...json] : { ...(json as object) }) as Record<string, unknown>;
    copy[at] = change(copy[at]);
    return copy;
  };
  return new MessageWriter()
    .text(1, key!)
    .text(2, JSON.stringify(change(JSON.parse(text!))))
    .toBytes();
}
