import fc from 'fast-check';
import { expect, test } from 'vitest';
import { splitFolds } from './index.js';

test('every patient is tested in exactly one fold, and each fold parts the whole list', () => {
  fc.assert(
    fc.property(fc.integer({ min: 3, max: 7 }), fc.integer({ min: 0, max: 40 }), fc.string(), (folds, extra, seed) => {
      const items = Array.from({ length: folds + extra }, (_, i) => i);
      const tested: number[] = [];
      for (let fold = 0; fold < folds; fold++) {
        const { training, validation, test: held } = splitFolds(items, { folds, fold, seed });
        tested.push(...held);
        expect([...training, ...validation, ...held].toSorted((a, b) => a - b)).toEqual(items);
        for (const part of [validation, held]) {
          expect(Math.abs(part.length - items.length / folds)).toBeLessThan(1);
        }
      }
      expect(tested.toSorted((a, b) => a - b)).toEqual(items);
    }),
  );
});

test('the validation set of a fold is the test set of the next', () => {
  const items = [...'abcdefghij'];
  const at = (fold: number) => splitFolds(items, { folds: 5, fold, seed: 0 });
  expect(at(0).validation).toEqual(at(1).test);
  expect(at(4).validation).toEqual(at(0).test);
});

test('the seed decides, and nothing else', () => {
  const items = Array.from({ length: 30 }, (_, i) => i);
  const at = (seed: number) => splitFolds(items, { folds: 3, fold: 0, seed }).test;
  expect(at(1)).toEqual(at(1));
  expect(at(1)).not.toEqual(at(2));
});

test.each([
  [{ folds: 2, fold: 0 }, 'folds is 2, expected 3 or more'],
  [{ folds: 3, fold: 3 }, 'fold is 3, expected 0 to 2'],
  [{ folds: 3, fold: 0.5 }, 'fold is 0.5'],
  [{ folds: 9, fold: 0 }, '5 patients cannot fill 9 folds'],
])('refuses %o', (options, message) => {
  expect(() => splitFolds([1, 2, 3, 4, 5], { ...options, seed: 0 })).toThrow(message);
});
