import { readdirSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { roiAlignParity } from './parity/roi-align.js';

const folder = fileURLToPath(new URL('../reference/', import.meta.url));
const recordings = readdirSync(folder).filter((name) => roiAlignParity.handles(name));

test.each(recordings)('%s: output and gradient are those of the original', async (name) => {
  const comparisons = [];
  for await (const comparison of roiAlignParity.compare(folder + name)) comparisons.push(comparison);
  expect(comparisons).toHaveLength(2);
  expect(comparisons.filter(({ passed }) => !passed)).toEqual([]);
});

test('there are recordings in 2D and 3D', () => expect(recordings.length).toBeGreaterThanOrEqual(3));
