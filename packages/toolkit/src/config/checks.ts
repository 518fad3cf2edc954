import { InputError, nearestName, refuseUnknownKeys } from '@mdt/core';

/** Gives the value when it fits, else throws an InputError `invalid-option` that names the place. */
export type Check<T> = (value: unknown, where: string) => T;

const refuse = (where: string, value: unknown, expected: string): never => {
  throw new InputError('invalid-option', `${where}: expected ${expected}, got ${JSON.stringify(value) ?? String(value)}`);
};

export const number =
  (expected: string, fits: (value: number) => boolean): Check<number> =>
  (value, where) =>
    typeof value === 'number' && fits(value) ? value : refuse(where, value, expected);

export const count = number('a whole number of at least 1', (v) => Number.isSafeInteger(v) && v >= 1);
export const wholeFromZero = number('a whole number of at least 0', (v) => Number.isSafeInteger(v) && v >= 0);
export const positive = number('a number above 0', (v) => v > 0 && Number.isFinite(v));
export const notNegative = number('a number of at least 0', (v) => v >= 0 && Number.isFinite(v));
export const share = number('a number from 0 to 1', (v) => v >= 0 && v <= 1);
export const belowOne = number('a number from 0 up to 1', (v) => v >= 0 && v < 1);
export const finite = number('a number', Number.isFinite);

export const text: Check<string> = (value, where) =>
  typeof value === 'string' && value !== '' ? value : refuse(where, value, 'a text');

export const flag: Check<boolean> = (value, where) =>
  typeof value === 'boolean' ? value : refuse(where, value, 'true or false');

/** A seed: a whole number or a text. */
export const seed: Check<number | string> = (value, where) =>
  typeof value === 'string' || Number.isSafeInteger(value)
    ? (value as number | string)
    : refuse(where, value, 'a whole number or a text');

export const oneOf =
  <const T extends string | number>(...names: readonly T[]): Check<T> =>
  (value, where) => {
    if (names.includes(value as T)) return value as T;
    const near = typeof value === 'string' ? nearestName(value, names.map(String)) : undefined;
    const hint = near === undefined ? '' : `, did you mean '${near}'?`;
    throw new InputError(
      'invalid-option',
      `${where}: expected one of ${names.join(', ')}, got ${JSON.stringify(value) ?? String(value)}${hint}`,
    );
  };

/** A list; `length` bounds it from both sides, `min` from below. */
export const list =
  <T>(item: Check<T>, { length, min = 0 }: { length?: number; min?: number } = {}): Check<readonly T[]> =>
  (value, where) => {
    const expected = length === undefined ? `a list${min > 0 ? ` of at least ${min}` : ''}` : `a list of ${length}`;
    if (!Array.isArray(value) || (length !== undefined ? value.length !== length : value.length < min)) {
      return refuse(where, value, expected);
    }
    return value.map((entry, i) => item(entry, `${where}[${i}]`));
  };

/** `[low, high]`, low not above high. */
export const range: Check<readonly [number, number]> = (value, where) => {
  const [low, high] = list(finite, { length: 2 })(value, where) as [number, number];
  return low <= high ? [low, high] : refuse(where, value, '[low, high] with low ≤ high');
};

/** Any of several checks; the last one's error counts. */
export const either =
  <A, B>(first: Check<A>, second: Check<B>): Check<A | B> =>
  (value, where) => {
    try {
      return first(value, where);
    } catch {
      return second(value, where);
    }
  };

/** A plain object whose every value passes the check. */
export const record =
  <T>(item: Check<T>): Check<Record<string, T>> =>
  (value, where) =>
    Object.fromEntries(Object.entries(plainObject(value, where)).map(([key, entry]) => [key, item(entry, `${where}.${key}`)]));

function plainObject(value: unknown, where: string): Record<string, unknown> {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return refuse(where, value, 'an object');
  return value as Record<string, unknown>;
}

type Fields = Record<string, Check<unknown>>;
type Values<F extends Fields> = { [K in keyof F]: ReturnType<F[K]> };

/** An object of known fields, none of them unknown; those that are absent (or undefined) stay absent. */
export const object =
  <F extends Fields, R extends keyof F = never>(
    fields: F,
    ...required: readonly R[]
  ): Check<Pick<Values<F>, R> & Partial<Omit<Values<F>, R>>> =>
  (value, where) => {
    const given = plainObject(value, where);
    refuseUnknownKeys(where, given, Object.keys(fields));
    const out: Record<string, unknown> = {};
    for (const [key, check] of Object.entries(fields)) {
      if (given[key] !== undefined) out[key] = check(given[key], `${where}.${key}`);
      else if (required.includes(key as unknown as R)) refuse(`${where}.${key}`, undefined, 'a value');
    }
    return out as Pick<Values<F>, R> & Partial<Omit<Values<F>, R>>;
  };
