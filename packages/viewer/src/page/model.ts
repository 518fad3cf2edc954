import { InputError } from '@mdt/core';
import { floatVolume, type StoredVolume } from '@mdt/formats';
import { createModelPredictor, type LoadedDetector, type OnnxRuntime, openModel as open, readModel } from '@mdt/onnx';
import type { ImagePrediction } from '@mdt/predictor';
import * as ort from 'onnxruntime-web/webgpu';
import type { ImageInfo, ModelInfo } from './protocol.js';

export interface DetectCall {
  signal: AbortSignal;
  minScore: number;
  /** Of the image with the model's spacing. */
  mostBytes: number;
  onProgress: (done: number, total: number) => void;
}

/** A model that is ready to detect. */
export interface OpenModel {
  info: ModelInfo;
  detect(image: StoredVolume, info: ImageInfo, call: DetectCall): Promise<ImagePrediction>;
  close(): Promise<void>;
}

/** Memory of one forward pass: a tab has 4 GiB of WebAssembly. */
const limits = { fileBytes: 2 ** 31, memoryBytes: 2 ** 32 };

// The files of onnxruntime lie beside the page's own, and nowhere else.
ort.env.wasm.wasmPaths = new URL('ort/', import.meta.url).href;
ort.env.wasm.numThreads = crossOriginIsolated ? Math.min(navigator.hardwareConcurrency, 8) : 1;
ort.env.logLevel = 'error';

/**
 * Opens a model and, where it has them, the files of its external data.
 *
 * @throws InputError as `openModel` of `@mdt/onnx`
 */
export async function openModel(files: readonly File[]): Promise<OpenModel> {
  const main = files.find(({ name }) => name.toLowerCase().endsWith('.onnx'));
  if (!main) throw new InputError('missing-file', 'no file that ends in .onnx among the files of the model');
  if (main.size > limits.fileBytes)
    throw new InputError('limit-exceeded', `${main.name}: ${main.size} bytes, expected at most ${limits.fileBytes}`);
  const bytes = new Uint8Array(await main.arrayBuffer());
  const external = await externalValues(bytes, main.name, files);
  const providers = (await hasWebGpu()) ? ['webgpu', 'wasm'] : ['wasm'];
  const options = { ort: ort as unknown as OnnxRuntime, name: main.name, limits };
  let detector: LoadedDetector;
  try {
    detector = await open(bytes, { ...options, executionProviders: providers }, external);
  } catch (error) {
    // Some graphics cards lack an operation or the memory: the processor has both.
    if (providers.length === 1 || error instanceof InputError) throw error;
    providers.shift();
    detector = await open(bytes, { ...options, executionProviders: providers }, external);
  }
  const { description } = detector;
  const { dim, classes, channels, patchSize, operatingPoints } = description;
  const [point] = operatingPoints;
  const info: ModelInfo = {
    name: main.name,
    dim,
    classes: [...classes],
    inChannels: channels,
    patchSize: [...patchSize],
    ...(point && { score: point.minScore }),
    runsOn:
      providers[0] === 'webgpu'
        ? 'WebGPU'
        : `the processor, ${ort.env.wasm.numThreads} thread${ort.env.wasm.numThreads === 1 ? '' : 's'}`,
  };
  return {
    info,
    detect: (image, place, call) => detect(detector, image, place, call),
    close: async () => detector.dispose(),
  };
}

async function hasWebGpu(): Promise<boolean> {
  const { gpu } = navigator as { gpu?: { requestAdapter(): Promise<unknown> } };
  try {
    return Boolean(await gpu?.requestAdapter());
  } catch {
    return false;
  }
}

/** The values that a model keeps in other files, read from those that came with it. */
async function externalValues(bytes: Uint8Array, name: string, files: readonly File[]) {
  const read = new Map<string, Uint8Array>();
  let left = limits.fileBytes - bytes.length;
  for (const { name: value, byteLength, external } of readModel(bytes, name).initializers.values()) {
    if (!external) continue;
    const wanted = external.location.slice(external.location.lastIndexOf('/') + 1);
    const file = files.find((other) => other.name === wanted);
    if (!file) throw new InputError('missing-file', `${name}: its weights lie in '${wanted}', which was not chosen with it`);
    const part = file.slice(external.offset, external.offset + byteLength);
    if (part.size !== byteLength)
      throw new InputError('unreadable-file', `${wanted}: ${file.size} bytes, expected ${external.offset + byteLength} or more`);
    left -= byteLength; // many constants may name the same bytes
    if (left < 0) throw new InputError('limit-exceeded', `${name}: its weights take more than ${limits.fileBytes} bytes`);
    read.set(value, new Uint8Array(await part.arrayBuffer()));
  }
  return ({ name: value }: { name: string }) => read.get(value)!;
}

async function detect(
  detector: LoadedDetector,
  stored: StoredVolume,
  { id, inMillimetres }: ImageInfo,
  { signal, minScore, mostBytes, onProgress }: DetectCall,
): Promise<ImagePrediction> {
  const predictor = createModelPredictor([detector], { segmentation: true, minScore, mostBytes });
  return predictor.predict(floatVolume(stored, id), { signal, onProgress, isPlaced: inMillimetres });
}
