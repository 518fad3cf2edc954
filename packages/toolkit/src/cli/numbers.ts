import { InvalidArgumentError } from 'commander';

const parse = (text: string, fits: (value: number) => boolean, expected: string): number => {
  const value = Number(text);
  if (text.trim() === '' || !fits(value)) throw new InvalidArgumentError(`Expected ${expected}.`);
  return value;
};

export const wholeNumber =
  (least: number) =>
  (text: string): number =>
    parse(text, (v) => Number.isSafeInteger(v) && v >= least, `a whole number of at least ${least}`);
export const positiveNumber = (text: string): number => parse(text, (v) => v > 0 && Number.isFinite(v), 'a number above 0');
export const fraction = (text: string): number => parse(text, (v) => v >= 0 && v <= 1, 'a number from 0 to 1');
export const numberFromZero = (text: string): number =>
  parse(text, (v) => v >= 0 && Number.isFinite(v), 'a number of at least 0');

/** An option that may come several times. */
export const collected = (text: string, before: readonly string[] = []): string[] => [...before, text];
