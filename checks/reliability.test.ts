import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { root } from './import-graph.js';

const rows = readFileSync(join(root, 'docs', 'reliability.md'), 'utf8')
  .split('\n')
  .filter((line) => /^\| F\d/.test(line))
  .map((line) => line.split('|').map((cell) => cell.trim()))
  .map(([, id, fault, behaviour, shownBy]) => ({ id: id!, fault: fault!, behaviour: behaviour!, shownBy: shownBy! }));

test('every fault from F01 to F31 has a row', () => {
  expect(rows.map(({ id }) => id)).toEqual(Array.from({ length: 31 }, (_, i) => `F${String(i + 1).padStart(2, '0')}`));
});

test.each(rows)('$id has tests that exist, or a reason why it does not apply', ({ behaviour, shownBy }) => {
  if (shownBy === '') {
    expect(behaviour).toMatch(/^does not apply: .{20}/);
    return;
  }
  const named = [...shownBy.matchAll(/`([^`]+\.test\.ts)` › ([^`]+?)(?=; `|$)/g)];
  expect(named.length).toBeGreaterThan(0);
  for (const [, file, title] of named) {
    expect(existsSync(join(root, file!)), file).toBe(true);
    expect(readFileSync(join(root, file!), 'utf8'), `${file}: ${title}`).toContain(title!);
  }
});
