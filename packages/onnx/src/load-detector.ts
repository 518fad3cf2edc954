import { open, realpath, stat } from 'node:fs/promises';
import { basename, dirname, isAbsolute, join, sep } from 'node:path';
import { type Dim, InputError, refuseUnknownKeys } from '@mdt/core';
import { resolveLimits } from './limits.js';
import type { ExternalValues } from './model-part.js';
import { readModel } from './model-reader.js';
import { type LoadedDetector, type OpenModelOptions, openModel, openModelKeys } from './open-model.js';
import type { OnnxRuntime } from './runtime.js';

export interface LoadDetectorOptions<D extends Dim = Dim> extends Omit<OpenModelOptions, 'ort' | 'name'> {
  /** Default onnxruntime-node, loaded now. */
  ort?: OnnxRuntime;
  /** Refuses models of another dimension, and tells the compiler. */
  dim?: D;
}

/**
 * A detector from a model file that `exportOnnx` wrote, on onnxruntime: the same interface as a trained detector, without TensorFlow.js.
 *
 * @throws InputError `missing-file`; else as `openModel`. External data have to lie in the folder of the model.
 */
export async function loadDetector<D extends Dim = Dim>(
  file: string,
  options: LoadDetectorOptions<D> = {},
): Promise<LoadedDetector<D>> {
  refuseUnknownKeys('loadDetector', options, [...openModelKeys, 'dim']);
  const { dim, ort = await nodeRuntime(), ...rest } = options;
  const limits = resolveLimits('loadDetector', options.limits);
  const bytes = await readWhole(file, 0, undefined, limits.fileBytes);
  const external = await readExternal(file, bytes, limits.fileBytes - bytes.length);
  const detector = await openModel(bytes, { ...rest, ort, name: basename(file) }, external);
  if (dim !== undefined && detector.dim !== dim) {
    detector.dispose();
    throw new InputError('shape-mismatch', `${file}: ${detector.kind} has ${detector.dim} axes, expected ${dim}`);
  }
  return detector as LoadedDetector<D>;
}

async function nodeRuntime(): Promise<OnnxRuntime> {
  try {
    return (await import('onnxruntime-node')) as unknown as OnnxRuntime;
  } catch (cause) {
    // Its installation fetches CUDA's libraries, and fails where it cannot: an optional dependency is then left out.
    const text =
      'loadDetector needs onnxruntime-node, which is not installed: npm install onnxruntime-node ' +
      "(with ONNXRUNTIME_NODE_INSTALL=skip in the environment without CUDA's libraries)";
    throw new InputError('missing-file', text, { cause });
  }
}

/** Reads a part of a file, or all of it, after its size was checked. */
async function readWhole(file: string, offset: number, length: number | undefined, most: number): Promise<Uint8Array> {
  let size: number;
  try {
    const info = await stat(file);
    if (!info.isFile()) throw new InputError('unreadable-file', `'${file}' is not a file`);
    size = info.size;
  } catch (cause) {
    if (cause instanceof InputError) throw cause;
    throw new InputError('missing-file', `'${file}' does not exist`, { cause });
  }
  const bytes = length ?? size - offset;
  if (bytes > most)
    throw new InputError('limit-exceeded', `${file}: ${bytes} bytes, more than limits.fileBytes leaves (${most})`);
  if (offset + bytes > size) {
    throw new InputError('unreadable-file', `${file}: bytes ${offset} to ${offset + bytes} of a file of ${size}`);
  }
  const handle = await open(file, 'r');
  try {
    const buffer = new Uint8Array(bytes);
    for (let at = 0; at < bytes; ) {
      const { bytesRead } = await handle.read(buffer, at, Math.min(bytes - at, 2 ** 30), offset + at);
      if (bytesRead === 0) throw new InputError('unreadable-file', `${file}: ends at byte ${offset + at}`);
      at += bytesRead;
    }
    return buffer;
  } finally {
    await handle.close();
  }
}

/** The values outside of a model, read beforehand; only from files of its own folder. */
async function readExternal(file: string, bytes: Uint8Array, most: number): Promise<ExternalValues> {
  const read = new Map<string, Uint8Array>();
  let left = most;
  for (const { name, byteLength, external } of readModel(bytes, basename(file)).initializers.values()) {
    if (!external) continue;
    const path = await insideFolder(file, external.location);
    read.set(name, await readWhole(path, external.offset, byteLength, left));
    left -= byteLength;
  }
  return ({ name }) => read.get(name)!;
}

/** @throws InputError `invalid-data` for a location outside of the model's folder, links included */
async function insideFolder(file: string, location: string): Promise<string> {
  const folder = await realpath(dirname(file));
  const refuse = (): never => {
    throw new InputError('invalid-data', `${file}: external data '${location}' do not lie in the folder of the model`);
  };
  if (location === '' || isAbsolute(location) || location.includes('\0') || /^[a-z]:/i.test(location)) refuse();
  const path = join(folder, location.replaceAll('\\', '/'));
  if (!path.startsWith(folder.endsWith(sep) ? folder : folder + sep)) refuse();
  let real: string;
  try {
    real = await realpath(path);
  } catch (cause) {
    throw new InputError('missing-file', `${file}: its external data '${location}' are missing`, { cause });
  }
  if (!real.startsWith(folder.endsWith(sep) ? folder : folder + sep)) refuse();
  return real;
}
