import { type FileHandle, open } from 'node:fs/promises';
import { InputError, product } from '@mdt/core';
import { type NpyHeader, npyHeaderLimit, parseNpyHeader } from '@mdt/formats';
import type { Window } from '../case-reader.js';
import { missing } from '../input-file.js';

const arrays = { float32: Float32Array, uint16: Uint16Array, int32: Int32Array } as const;
export type ArrayFileType = keyof typeof arrays;

const machineIsLittle = new Uint8Array(Uint16Array.of(1).buffer)[0] === 1;

/**
 * A window of a `.npy` file, without the rest of it: one read per slice, from the first of its rows to the last, at its place in the
 * file. Node has no mapped memory; the pages that are read stay in the system's cache, which all workers and processes share.
 *
 * @param channels values per voxel, the last axis of the file where there is more than one
 * @returns `[...size, channels]`; `fill` outside the array
 * @throws InputError where the file is not the array that it is said to be
 */
export async function readWindow<T extends ArrayFileType>(
  path: string,
  type: T,
  { size, channels = 1 }: { size: ArrayLike<number>; channels?: number },
  window: Window,
  fill = 0,
): Promise<InstanceType<(typeof arrays)[T]>> {
  const dim = size.length;
  const ArrayType = arrays[type];
  const result = new ArrayType(product(window.size) * channels).fill(fill) as InstanceType<(typeof arrays)[T]>;
  const from = Array.from({ length: dim }, (_, d) => Math.max(0, window.start[d]!));
  const to = Array.from({ length: dim }, (_, d) => Math.min(size[d]!, window.start[d]! + window.size[d]!));
  if (from.some((low, d) => low >= to[d]!)) return result;
  let file: FileHandle | undefined;
  try {
    file = await open(path);
    const header = await headerOf(file, path, type, [...Array.from(size), ...(channels > 1 ? [channels] : [])]);
    const width = ArrayType.BYTES_PER_ELEMENT;
    const [rows, columns] = [dim - 2, dim - 1];
    const run = (to[columns]! - from[columns]!) * channels;
    const line = size[columns]! * channels;
    // From the first value of the first row to the last value of the last one.
    const block = Buffer.alloc(((to[rows]! - from[rows]! - 1) * line + run) * width);
    const values = new ArrayType(block.buffer, block.byteOffset, block.length / width);
    const at = from.slice(0, rows); // the slices, one after the other
    for (;;) {
      const slice = at.reduce((index, i, d) => index * size[d]! + i, 0);
      const target = at.reduce((index, i, d) => index * window.size[d]! + i - window.start[d]!, 0);
      const first = ((slice * size[rows]! + from[rows]!) * size[columns]! + from[columns]!) * channels;
      await readFully(file, block, header.offset + first * width, path);
      if (!machineIsLittle && width === 4) block.swap32();
      if (!machineIsLittle && width === 2) block.swap16();
      for (let row = from[rows]!; row < to[rows]!; row++) {
        const source = (row - from[rows]!) * line;
        const place =
          ((target * window.size[rows]! + row - window.start[rows]!) * window.size[columns]! +
            from[columns]! -
            window.start[columns]!) *
          channels;
        result.set(values.subarray(source, source + run), place);
      }
      let axis = rows - 1;
      while (axis >= 0 && ++at[axis]! >= to[axis]!) at[axis] = from[axis--]!;
      if (axis < 0) return result;
    }
  } catch (cause) {
    throw missing(path, cause);
  } finally {
    await file?.close();
  }
}

async function headerOf(file: FileHandle, path: string, type: string, shape: readonly number[]): Promise<NpyHeader> {
  const { size } = await file.stat();
  const head = Buffer.alloc(Math.min(npyHeaderLimit, size));
  await readFully(file, head, 0, path);
  const header = parseNpyHeader(head, size, path);
  if (header.type === type && !header.fortranOrder && header.shape.join() === shape.join()) return header;
  throw new InputError(
    'shape-mismatch',
    `${path}: ${header.shape.join('x')} values of ${header.type}, expected ${shape.join('x')} of ${type}`,
  );
}

async function readFully(file: FileHandle, into: Buffer, position: number, path: string): Promise<void> {
  for (let done = 0; done < into.length; ) {
    const { bytesRead } = await file.read(into, done, into.length - done, position + done);
    if (bytesRead === 0) throw new InputError('unreadable-file', `${path}: became shorter while it was read`);
    done += bytesRead;
  }
}
