import { InputError } from '@mdt/core';

/**
 * The wire format of protocol buffers, as far as ONNX files need it: variable-length integers, 32-bit floats, and
 * length-prefixed bytes (texts, packed lists, messages). https://protobuf.dev/programming-guides/encoding/
 */
export class MessageWriter {
  readonly #parts: Uint8Array[] = [];
  #length = 0;

  /** Bytes written so far. */
  get length(): number {
    return this.#length;
  }

  /** What was written, in order; large arrays are referred to, not copied. */
  get parts(): readonly Uint8Array[] {
    return this.#parts;
  }

  integer(field: number, value: number | bigint): this {
    this.#tag(field, 0);
    return this.#append(varint(BigInt(value)));
  }

  float(field: number, value: number): this {
    this.#tag(field, 5);
    const bytes = new Uint8Array(4);
    new DataView(bytes.buffer).setFloat32(0, value, true);
    return this.#append(bytes);
  }

  bytes(field: number, value: Uint8Array): this {
    this.#tag(field, 2);
    this.#append(varint(BigInt(value.length)));
    return this.#append(value);
  }

  text(field: number, value: string): this {
    return this.bytes(field, new TextEncoder().encode(value));
  }

  message(field: number, value: MessageWriter): this {
    this.#tag(field, 2);
    this.#append(varint(BigInt(value.#length)));
    for (const part of value.#parts) this.#append(part);
    return this;
  }

  integers(field: number, values: Iterable<number | bigint>): this {
    for (const value of values) this.integer(field, value);
    return this;
  }

  /** Everything in one array. */
  toBytes(): Uint8Array {
    const all = new Uint8Array(this.#length);
    let at = 0;
    for (const part of this.#parts) {
      all.set(part, at);
      at += part.length;
    }
    return all;
  }

  #tag(field: number, wireType: number): void {
    this.#append(varint(BigInt(field * 8 + wireType)));
  }

  #append(part: Uint8Array): this {
    this.#parts.push(part);
    this.#length += part.length;
    return this;
  }
}

function varint(value: bigint): Uint8Array {
  const bytes: number[] = [];
  let rest = BigInt.asUintN(64, value);
  do {
    const low = Number(rest & 0x7fn);
    rest >>= 7n;
    bytes.push(rest > 0n ? low | 0x80 : low);
  } while (rest > 0n);
  return Uint8Array.from(bytes);
}

/** One field of a message: an integer, or a view of its bytes (a float's four included). */
export type Field = { readonly number: number } & ({ readonly integer: bigint } | { readonly bytes: Uint8Array });

/**
 * The fields of a message, in order. Nothing is allocated by what the bytes claim: lengths are checked against what is there.
 *
 * @throws InputError `unreadable-file`
 */
export function* fieldsOf(bytes: Uint8Array, what: string): Generator<Field> {
  const fail = (why: string, at: number): never => {
    throw new InputError('unreadable-file', `${what}: ${why} at byte ${at} of ${bytes.length}`);
  };
  let at = 0;
  const readVarint = (): bigint => {
    let value = 0n;
    for (let shift = 0n; shift < 70n; shift += 7n) {
      const byte = bytes[at];
      if (byte === undefined) fail('the file ends within a number', at);
      at++;
      value |= BigInt(byte! & 0x7f) << shift;
      if (byte! < 0x80) return BigInt.asUintN(64, value);
    }
    return fail('a number of more than 10 bytes', at);
  };
  const take = (length: number): Uint8Array => {
    if (length > bytes.length - at) fail(`a field claims ${length} bytes, ${bytes.length - at} are left,`, at);
    const view = bytes.subarray(at, at + length);
    at += length;
    return view;
  };
  while (at < bytes.length) {
    const tag = readVarint();
    const number = Number(tag >> 3n);
    if (number < 1 || number > 0x1fffffff) fail(`field number ${number}`, at);
    switch (Number(tag & 7n)) {
      case 0:
        yield { number, integer: readVarint() };
        break;
      case 1:
        yield { number, bytes: take(8) };
        break;
      case 2: {
        const length = readVarint();
        if (length > BigInt(Number.MAX_SAFE_INTEGER)) fail(`a field claims ${length} bytes,`, at);
        yield { number, bytes: take(Number(length)) };
        break;
      }
      case 5:
        yield { number, bytes: take(4) };
        break;
      default:
        fail(`unknown wire type ${tag & 7n}`, at);
    }
  }
}
