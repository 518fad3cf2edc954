import { InputError } from '@mdt/core';

/** Reads values of a JSON text that a stranger wrote; every wrong one is named by its place. */
export class JsonReader {
  constructor(
    readonly value: unknown,
    readonly place: string,
  ) {}

  /** @throws InputError `invalid-data` */
  refuse(expected: string): never {
    const text = JSON.stringify(this.value) ?? 'nothing';
    const shown = text.length > 60 ? `${text.slice(0, 57)}…` : text;
    throw new InputError('invalid-data', `${this.place} is ${shown}, expected ${expected}`);
  }

  get isNull(): boolean {
    return this.value === null || this.value === undefined;
  }

  at(key: string): JsonReader {
    const { value } = this;
    if (typeof value !== 'object' || value === null || Array.isArray(value)) this.refuse('an object');
    return new JsonReader(
      Object.hasOwn(value, key) ? (value as Record<string, unknown>)[key] : undefined,
      `${this.place}.${key}`,
    );
  }

  /** The value as `read` gives it, or null where there is none. */
  maybe<T>(read: (reader: JsonReader) => T): T | null {
    return this.isNull ? null : read(this);
  }

  object(): Record<string, unknown> {
    const { value } = this;
    if (typeof value !== 'object' || value === null || Array.isArray(value)) this.refuse('an object');
    return value as Record<string, unknown>;
  }

  text(longest = 1000): string {
    return typeof this.value === 'string' && this.value.length <= longest
      ? this.value
      : this.refuse(`a text of at most ${longest} characters`);
  }

  oneOf<T extends string | number>(known: readonly T[]): T {
    return known.find((one) => one === this.value) ?? this.refuse(known.map((one) => JSON.stringify(one)).join(' or '));
  }

  boolean(): boolean {
    return typeof this.value === 'boolean' ? this.value : this.refuse('true or false');
  }

  number(low: number, high: number): number {
    const { value } = this;
    if (typeof value === 'number' && value >= low && value <= high) return value;
    return this.refuse(`a number from ${low} to ${high}`);
  }

  whole(low: number, high: number): number {
    const { value } = this;
    if (typeof value === 'number' && Number.isInteger(value) && value >= low && value <= high) return value;
    return this.refuse(`a whole number from ${low} to ${high}`);
  }

  list<T>(read: (item: JsonReader) => T, { least = 0, most = 1000 }: { least?: number; most?: number } = {}): T[] {
    const { value } = this;
    if (!Array.isArray(value) || value.length < least || value.length > most) {
      return this.refuse(least === most ? `a list of ${least}` : `a list of ${least} to ${most}`);
    }
    return value.map((item, i) => read(new JsonReader(item, `${this.place}[${i}]`)));
  }
}
