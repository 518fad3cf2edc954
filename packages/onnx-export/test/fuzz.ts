import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { InputError, product, rng } from '@mdt/core';
import { loadDetector } from '@mdt/onnx';
import * as tf from '@tensorflow/tfjs-core';
import '@tensorflow/tfjs-backend-cpu';
import { smallDetectors } from '../../detectors/test/small-detectors.js';
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
    const whole = readFileSync(file);
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

/** A file with bytes changed, left out, doubled, cut off, or a number of its metadata replaced. */
function changed(whole: Uint8Array, random: ReturnType<typeof rng>): Uint8Array {
  const at = Math.floor(random.next() * whole.length);
  const length = 1 + Math.floor(random.next() ** 3 * 200);
  switch (Math.floor(random.next() * 5)) {
    case 0: {
      const copy = whole.slice();
      for (let k = 0; k < 1 + random.next() * 4; k++) copy[Math.floor(random.next() * copy.length)] = random.next() * 256;
      return copy;
    }
    case 1:
      return whole.slice(0, at);
    case 2:
      return Uint8Array.from([...whole.subarray(0, at), ...whole.subarray(at + length)]);
    case 3:
      return Uint8Array.from([...whole.subarray(0, at), ...whole.subarray(Math.max(0, at - length))]);
    default: {
      // A digit of the description, of the same length so that the message stays whole.
      const copy = whole.slice();
      const start = copy.length - Math.floor(random.next() * 6000);
      for (let k = Math.max(0, start); k < copy.length; k++) {
        if (copy[k]! < 48 || copy[k]! > 57) continue;
        copy[k] = 48 + Math.floor(random.next() * 10);
        break;
      }
      return copy;
    }
  }
}
