import { InputError, nearestName, refuseUnknownKeys } from '@mdt/core';

/** Gives the value when it fits, else throws an InputError `invalid-option` that names the place. */
export interface Check<T> {
  (value: unknown, where: string): T;
  /** What fits, for people: `a number above 0`. */
  readonly expected: string;
  /** Of an object: the checks of its keys, and which of them must be there. */
  readonly fields?: Readonly<Record<string, Check<unknown>>>;
  readonly required?: readonly string[];
  /** Of a key of the configuration: what it does, its default, and its name in the original toolkit. */
  readonly doc?: FieldDoc;
}

export interface FieldDoc {
  readonly text: string;
  readonly standard?: unknown;
  readonly original?: string;
}

/** A default that depends on the number of axes. */
export class PerDim {
  constructor(
    readonly in2D: unknown,
    readonly in3D: unknown,
  ) {}
}

/** A default that follows from other values or from the data, in words. */
export class Derived {
  constructor(readonly text: string) {}
}

const refuse = (where: string, value: unknown, expected: string): never => {
  throw new InputError('invalid-option', `${where}: expected ${expected}, got ${JSON.stringify(value) ?? String(value)}`);
};

export const checkOf = <T>(expected: string, check: (value: unknown, where: string) => T): Check<T> =>
  Object.assign((value: unknown, where: string) => check(value, where), { expected });

/** A check as a key of the configuration: with what the reference page says of it. */
export const field = <T>(check: Check<T>, text: string, standard?: unknown, original?: string): Check<T> => {
  const { expected, fields, required } = check;
  const doc: FieldDoc = {
    text,
    ...(standard !== undefined && { standard }),
    ...(original !== undefined && { original }),
  };
  const own: Check<T> = Object.assign((value: unknown, where: string) => check(value, where), { expected, doc });
  return Object.assign(own, fields && { fields }, required && { required });
};

/** The defaults of an object's keys for a number of axes; keys without one, or with a derived one, are left out. */
export function defaultsOf(check: Check<unknown>, dim: 2 | 3): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(check.fields ?? {}).flatMap(([key, { doc }]) => {
      const standard = doc?.standard;
      if (standard === undefined || standard instanceof Derived) return [];
      return [[key, standard instanceof PerDim ? (dim === 2 ? standard.in2D : standard.in3D) : standard]];
    }),
  );
}

export const number = (expected: string, fits: (value: number) => boolean): Check<number> =>
  checkOf(expected, (value, where) => (typeof value === 'number' && fits(value) ? value : refuse(where, value, expected)));

export const count = number('a whole number of at least 1', (v) => Number.isSafeInteger(v) && v >= 1);
export const wholeFromZero = number('a whole number of at least 0', (v) => Number.isSafeInteger(v) && v >= 0);
export const positive = number('a number above 0', (v) => v > 0 && Number.isFinite(v));
export const notNegative = number('a number of at least 0', (v) => v >= 0 && Number.isFinite(v));
export const share = number('a number from 0 to 1', (v) => v >= 0 && v <= 1);
export const belowOne = number('a number from 0 up to 1', (v) => v >= 0 && v < 1);
export const finite = number('a number', Number.isFinite);

export const text: Check<string> = checkOf('a text', (value, where) =>
  typeof value === 'string' && value !== '' ? value : refuse(where, value, 'a text'),
);

export const flag: Check<boolean> = checkOf('true or false', (value, where) =>
  typeof value === 'boolean' ? value : refuse(where, value, 'true or false'),
);

/** A seed: a whole number or a text. */
export const seed: Check<number | string> = checkOf('a whole number or a text', (value, where) =>
  typeof value === 'string' || Number.isSafeInteger(value)
    ? (value as number | string)
    : refuse(where, value, 'a whole number or a text'),
);

/** One of several names or numbers. */
export const oneOf = <const T extends string | number>(...names: readonly T[]): Check<T> =>
  checkOf(`one of ${names.join(', ')}`, (value, where) => {
    if (names.includes(value as T)) return value as T;
    const near = typeof value === 'string' ? nearestName(value, names.map(String)) : undefined;
    const hint = near === undefined ? '' : `, did you mean '${near}'?`;
    throw new InputError(
      'invalid-option',
      `${where}: expected one of ${names.join(', ')}, got ${JSON.stringify(value) ?? String(value)}${hint}`,
    );
  });

/** A list; `length` bounds it from both sides, `min` from below. */
export const list = <T>(item: Check<T>, { length, min = 0 }: { length?: number; min?: number } = {}): Check<readonly T[]> => {
  const size = length === undefined ? `a list${min > 0 ? ` of at least ${min}` : ''}` : `a list of ${length}`;
  return checkOf(`${size}: ${item.expected}`, (value, where) => {
    if (!Array.isArray(value) || (length !== undefined ? value.length !== length : value.length < min)) {
      return refuse(where, value, size);
    }
    return value.map((entry, i) => item(entry, `${where}[${i}]`));
  });
};

/** `[low, high]`, low not above high. */
export const range: Check<readonly [number, number]> = checkOf('[low, high]', (value, where) => {
  const [low, high] = list(finite, { length: 2 })(value, where) as [number, number];
  return low <= high ? [low, high] : refuse(where, value, '[low, high] with low ≤ high');
});

/** Any of several checks; the last one's error counts. */
export const either = <A, B>(first: Check<A>, second: Check<B>): Check<A | B> => {
  const either = checkOf<A | B>(`${first.expected}, or ${second.expected}`, (value, where) => {
    try {
      return first(value, where);
    } catch {
      return second(value, where);
    }
  });
  return second.fields ? Object.assign(either, { fields: second.fields }) : either;
};

/** A plain object whose every value passes the check. */
export const record = <T>(item: Check<T>): Check<Record<string, T>> =>
  checkOf(`an object of names and for each ${item.expected}`, (value, where) =>
    Object.fromEntries(Object.entries(plainObject(value, where)).map(([key, entry]) => [key, item(entry, `${where}.${key}`)])),
  );

function plainObject(value: unknown, where: string): Record<string, unknown> {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return refuse(where, value, 'an object');
  return value as Record<string, unknown>;
}

type Fields = Record<string, Check<unknown>>;
type Values<F extends Fields> = { [K in keyof F]: ReturnType<F[K]> };

/** An object of known fields, none of them unknown; those that are absent (or undefined) stay absent. */
export const object = <F extends Fields, R extends keyof F = never>(
  fields: F,
  ...required: readonly R[]
): Check<Pick<Values<F>, R> & Partial<Omit<Values<F>, R>>> =>
  Object.assign(
    checkOf('an object', (value, where) => {
      const given = plainObject(value, where);
      refuseUnknownKeys(where, given, Object.keys(fields));
      const out: Record<string, unknown> = {};
      for (const [key, check] of Object.entries(fields)) {
        if (given[key] !== undefined) out[key] = check(given[key], `${where}.${key}`);
        else if (required.includes(key as unknown as R)) refuse(`${where}.${key}`, undefined, 'a value');
      }
      return out as Pick<Values<F>, R> & Partial<Omit<Values<F>, R>>;
    }),
    { fields, required: required as readonly string[] },
  );
