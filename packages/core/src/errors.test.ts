import { describe, expect, test } from 'vitest';
import { InputError, nearestName, refuseUnknownKeys } from './index.js';

test('an input error is an Error with a code and a cause', () => {
  const cause = new Error('disk');
  const error = new InputError('missing-file', 'scan.nii: no such file', { cause });
  expect(error).toBeInstanceOf(Error);
  expect(error).toMatchObject({ name: 'InputError', code: 'missing-file', message: 'scan.nii: no such file', cause });
});

describe('the nearest name', () => {
  test.each([
    ['patchsize', 'patchSize'],
    ['lerningRate', 'learningRate'],
    ['epoch', 'epochs'],
    ['zebra', undefined],
    ['', undefined],
  ])('to %j is %j', (given, expected) => {
    expect(nearestName(given, ['patchSize', 'learningRate', 'epochs'])).toBe(expected);
  });
});

test('unknown options are refused, with the name that was probably meant', () => {
  expect(() => refuseUnknownKeys('train', { epochs: 3 }, ['epochs'])).not.toThrow();
  expect(() => refuseUnknownKeys('train', { epoch: 3 }, ['epochs'])).toThrow(
    "train: unknown option 'epoch', did you mean 'epochs'?",
  );
  expect(() => refuseUnknownKeys('train', { colour: 3 }, ['epochs'])).toThrow(/unknown option 'colour'$/);
  expect(() => refuseUnknownKeys('train', JSON.parse('{"__proto__": 1}'), ['epochs'])).toThrow("unknown option '__proto__'");
});
