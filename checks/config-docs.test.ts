import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { configReference } from '@mdt/toolkit';
import { expect, test } from 'vitest';
import { root } from './import-graph.js';

test('docs/config.md is what `npm run docs:config` makes of the table', () => {
  expect(readFileSync(join(root, 'docs', 'config.md'), 'utf8')).toBe(configReference());
});

test('every key of the table has a row of its own, with its meaning', () => {
  const rows = configReference()
    .split('\n')
    .filter((line) => line.startsWith('| `'));
  expect(rows.length).toBeGreaterThan(100);
  for (const row of rows) expect(row.split(/(?<!\\)\|/)[4]!.trim(), row).not.toBe('');
});
