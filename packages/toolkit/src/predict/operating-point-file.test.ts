import { writeFile } from 'node:fs/promises';
import { expect, test } from 'vitest';
import { temporaryFolder } from '../../test/support.js';
import { readOperatingPoint, writeOperatingPoint } from './operating-point-file.js';

test('a point is stored with the model and read again; anything else is refused', async () => {
  const dir = await temporaryFolder();
  const setting = { method: 'wbc' as const, iouThreshold: 0.1, minCandidateScore: 0.2, minSide: 3 };
  const best = { ...setting, ap: 0.75, minScore: 0.5, f1: null };
  await writeOperatingPoint(dir, best);
  expect(await readOperatingPoint(dir)).toEqual(best);
  await writeFile(`${dir}/operating-point.json`, '{"method":"wbc"}');
  await expect(readOperatingPoint(dir)).rejects.toMatchObject({ code: 'invalid-data' });
  await writeFile(`${dir}/operating-point.json`, JSON.stringify({ ...best, method: 'vote' }));
  await expect(readOperatingPoint(dir)).rejects.toThrow("method is 'vote', expected one of wbc, nms, soft-nms, wbf");
});
