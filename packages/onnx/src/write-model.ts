import { randomBytes } from 'node:crypto';
import { type FileHandle, mkdir, open, rename, rm } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import type { ExternalData, Model } from './model-proto.js';
import { encodeModel } from './model-proto.js';

export interface WriteOptions {
  /**
   * Bytes of constants from which on they go to a second file, `<name>.data`, as ONNX wants it for what a protocol buffer cannot
   * hold. Default 2^31 − 2^20: just under the limit.
   */
  externalFromBytes?: number;
}

/** Constants below this stay in the model even when the large ones move out. */
const smallConstant = 1024;

/**
 * Writes a model, and its constants beside it when they are too large for one file. Each file appears whole or not at all, the
 * model last.
 *
 * @returns the files written, the model first
 */
export async function writeModel(file: string, model: Model, options: WriteOptions = {}): Promise<string[]> {
  const { externalFromBytes = 2 ** 31 - 2 ** 20 } = options;
  const constants = model.graph.initializers.reduce((sum, { data }) => sum + data.byteLength, 0);
  const location = `${basename(file)}.data`;
  const external: ExternalData | undefined = constants >= externalFromBytes ? { location, fromBytes: smallConstant } : undefined;
  const encoded = encodeModel(model, external);
  await mkdir(dirname(file), { recursive: true });
  const written = [file];
  if (external) {
    written.push(join(dirname(file), location));
    await writeWhole(written[1]!, encoded.external);
  }
  await writeWhole(file, encoded.message.parts);
  return written;
}

async function writeWhole(file: string, parts: Iterable<Uint8Array>): Promise<void> {
  const temporary = join(dirname(file), `.${basename(file)}.${process.pid}-${randomBytes(4).toString('hex')}.tmp`);
  let handle: FileHandle | undefined;
  try {
    handle = await open(temporary, 'w');
    for (const chunk of gathered(parts)) await handle.writeFile(chunk);
    await handle.sync();
    await handle.close();
    handle = undefined;
    await rename(temporary, file);
  } catch (error) {
    await handle?.close();
    await rm(temporary, { force: true });
    throw error;
  }
}

/** The many small parts of a message as a few of a mebibyte; large ones are passed on as they are. */
function* gathered(parts: Iterable<Uint8Array>): Generator<Uint8Array> {
  const buffer = new Uint8Array(2 ** 20);
  let used = 0;
  for (const part of parts) {
    if (used + part.length > buffer.length) {
      yield buffer.slice(0, used);
      used = 0;
    }
    if (part.length > buffer.length) {
      yield part;
    } else {
      buffer.set(part, used);
      used += part.length;
    }
  }
  yield buffer.slice(0, used);
}
