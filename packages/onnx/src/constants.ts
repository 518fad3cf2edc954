import type { ReadInitializer, ReadNode } from './model-reader.js';
import { type Field, fieldsOf } from './wire.js';

/** The values of a small constant: sizes, axes, scales. Undefined for other types, and for more than `most`. */
export function smallConstant({ bytes, shape, type, external }: ReadInitializer, most = 64): number[] | undefined {
  const count = shape.reduce((a, b) => a * b, 1);
  if (external || count > most || ![1, 6, 7].includes(type)) return undefined;
  const out: number[] = [];
  for (const field of fieldsOf(bytes, 'a constant')) {
    if (field.number === 9 && 'bytes' in field) {
      const { buffer, byteOffset, byteLength } = field.bytes;
      const view = new DataView(buffer, byteOffset, byteLength);
      for (let i = 0; i < count; i++) {
        if (type === 1) out.push(view.getFloat32(4 * i, true));
        else out.push(type === 6 ? view.getInt32(4 * i, true) : Number(view.getBigInt64(8 * i, true)));
      }
    } else if (field.number === 4 && type === 1) out.push(...floatsIn(field));
    else if ((field.number === 5 && type === 6) || (field.number === 7 && type === 7)) out.push(...integersIn(field));
  }
  return out.slice(0, count);
}

function floatsIn(field: Field): number[] {
  if (!('bytes' in field)) return [];
  const view = new DataView(field.bytes.buffer, field.bytes.byteOffset, field.bytes.byteLength);
  return Array.from({ length: Math.floor(field.bytes.length / 4) }, (_, i) => view.getFloat32(4 * i, true));
}

/** Whole numbers of a field, one or a packed list. */
export function integersIn(field: Field): number[] {
  if ('integer' in field) return [Number(BigInt.asIntN(64, field.integer))];
  const out: number[] = [];
  let value = 0n;
  let shift = 0n;
  for (const byte of field.bytes) {
    if (shift > 63n) return [];
    value |= BigInt(byte & 0x7f) << shift;
    shift += 7n;
    if (byte < 0x80) {
      out.push(Number(BigInt.asIntN(64, value)));
      value = 0n;
      shift = 0n;
    }
  }
  return out;
}

/** A whole number of a node, or its default. */
export const integerAttribute = (node: ReadNode, name: string, fallback: number): number =>
  listAttribute(node, name, 3)?.[0] ?? fallback;

/** A list of whole numbers of a node; undefined where it has none of that name. */
export function listAttribute({ attributes }: ReadNode, name: string, number = 8): number[] | undefined {
  const fields = attributes.get(name)?.filter((field) => field.number === number);
  return fields && fields.length > 0 ? fields.flatMap(integersIn) : undefined;
}

/** A text of a node. */
export function textAttribute({ attributes }: ReadNode, name: string): string | undefined {
  const field = attributes.get(name)?.find(({ number }) => number === 4);
  return field && 'bytes' in field ? new TextDecoder().decode(field.bytes) : undefined;
}
