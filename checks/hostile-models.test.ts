import { expect, test } from 'vitest';
import { parts, run } from '../packages/onnx-export/test/fuzz.js';

// `npm run fuzz -- models` does the same for thousands of files, each part in a process of its own.
test.each(parts)('changed model files (%s) are refused with an InputError, or run within their limits', async (part) => {
  const summary = await run(part, { n: 25, seed: 4, onProgress() {} });
  const [refused, ran] = [...summary.matchAll(/\d+/g)].map(Number);
  expect(refused! + ran!).toBe(25);
  expect(refused).toBeGreaterThan(5);
});
