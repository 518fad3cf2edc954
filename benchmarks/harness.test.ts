import { expect, test } from 'vitest';
import { duration, formatRows, rowOf } from './harness.js';

test('a row takes the minima, and the spread of the ratios of the single repetitions', () => {
  expect(rowOf('nms 3d 1000', 'numpy', [2, 1, 3], [4, 5, 4])).toEqual({
    case: 'nms 3d 1000',
    ours: 1,
    peer: 4,
    peerName: 'numpy',
    ratio: 0.25,
    spread: (0.75 - 0.2) / 0.2, // the ratios are 0.5, 0.2 and 0.75
    repetitions: 3,
  });
});

test('times that do not pair up are refused', () => {
  expect(() => rowOf('a', 'peer', [1, 2], [1])).toThrow('2 times of ours and 1 of peer');
  expect(() => rowOf('a', 'peer', [], [])).toThrow(RangeError);
});

test('the table has a line for each row and shows memory where it is known', () => {
  const row = { ...rowOf('wbc 3d 10000', 'the original', [0.012], [0.078]), oursPeakBytes: 1.5e9 };
  const [head, line] = formatRows([row]).split('\n');
  expect(head).toMatch(/^case +ours +peer +ours \/ peer/);
  expect(line).toMatch(/^wbc 3d 10000 +12\.0 ms +78\.0 ms +0\.154 +0 % +1\.50 GB +the original$/);
});

test('durations have three digits and a fitting unit', () => {
  expect([12.34, 0.0123, 4.5e-6].map(duration)).toEqual(['12.3 s', '12.3 ms', '4.50 µs']);
});
