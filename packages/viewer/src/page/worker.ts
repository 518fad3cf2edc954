// The part of the page that reads files and detects, away from what is drawn.
import { type Dim, InputError } from '@mdt/core';
import { encodeNifti } from '@mdt/formats';
import { boxesAsLabelMap, predictionsCsv, predictionsJson } from '@mdt/predictor';
import { labelNifti, niftiOf, type OpenImage, readImage, readLabels } from './images.js';
import { type OpenModel, openModel } from './model.js';
import {
  type Call,
  type CallName,
  type Calls,
  detectionsOf,
  type ExportRequest,
  type Refusal,
  type Reply,
  rowsOf,
} from './protocol.js';

const scope = globalThis as unknown as {
  postMessage(reply: Reply, transfer?: Transferable[]): void;
  onmessage: (event: MessageEvent<Call>) => void;
};

let image: OpenImage | undefined;
let model: OpenModel | undefined;
let running: AbortController | undefined;

type Answers = { [K in CallName]: (ask: Calls[K]['ask'], id: number) => Promise<Calls[K]['answer']> };

const answers: Answers = {
  async openImage({ files, limits, place }) {
    image = await readImage(files, limits, place);
    return { info: image.info, nifti: niftiOf(image.stored) };
  },
  async showChannel({ channel }) {
    return { nifti: niftiOf(opened(image, 'image').stored, channel) };
  },
  async openLabels({ files, limits }) {
    const shown = opened(image, 'image');
    return readLabels(shown, await readImage(files, limits, { dim: shown.info.dim }));
  },
  async openModel({ files }) {
    await model?.close();
    model = undefined;
    model = await openModel(files);
    return model.info;
  },
  async detect({ minScore, mostSeconds, mostBytes }, id) {
    const { info, stored } = opened(image, 'image');
    const detector = opened(model, 'model');
    const started = performance.now();
    running = new AbortController();
    const signal = AbortSignal.any([running.signal, AbortSignal.timeout(mostSeconds * 1000)]);
    try {
      const { detections, segmentationLabels } = await detector.detect(stored, info, {
        signal,
        ...{ minScore, mostBytes },
        onProgress: (done, total) => scope.postMessage({ id, progress: { done, total } }),
      });
      const seconds = (performance.now() - started) / 1000;
      return {
        found: rowsOf(detections),
        seconds,
        ...(segmentationLabels && { segmentation: labelNifti(segmentationLabels, info) }),
      };
    } finally {
      running = undefined;
    }
  },
  async cancel() {
    running?.abort(new DOMException('cancelled', 'AbortError'));
    return {};
  },
  async export(request) {
    return { bytes: exported(request) };
  },
};

function opened<T>(value: T | undefined, what: string): T {
  if (value === undefined) throw new InputError('missing-file', `no ${what} is open`);
  return value;
}

function exported({ format, id, classes, image: info, found }: ExportRequest): Uint8Array {
  const { dim, ...place } = info;
  const item = { id, detections: detectionsOf(found, dim as Dim), geometry: { dim, ...place } } as unknown as Parameters<
    typeof boxesAsLabelMap
  >[0];
  if (format === 'nifti') return encodeNifti(boxesAsLabelMap(item), { gzip: true });
  const text = format === 'json' ? predictionsJson([item], { classes }) : predictionsCsv([item], { classes, dim: dim as Dim });
  return new TextEncoder().encode(text);
}

/** What JavaScript, WebAssembly and onnxruntime say when there is no memory left. */
const outOfMemory = /bad_alloc|out of memory|allocation failed|could not allocate|Aborted\(|memory access out of bounds/i;

/** A sentence for whatever went wrong. */
function refusalOf(error: unknown): Refusal {
  const { name, message } = error as Error;
  if (error instanceof InputError && !outOfMemory.test(message)) return { code: error.code, message };
  if (name === 'AbortError') return { code: 'cancelled', message: 'cancelled' };
  if (name === 'TimeoutError') return { code: 'time', message: 'stopped at the time limit of the settings' };
  if (outOfMemory.test(message) || (name === 'RangeError' && /array length|buffer/i.test(message)))
    return {
      code: 'memory',
      message: `too large for the memory of this tab (${message}): run \`mdt predict\`, or close other tabs`,
    };
  return { code: 'failed', message: message || String(error) };
}

scope.onmessage = async ({ data: { id, name, ask } }) => {
  try {
    const answer = await (answers[name] as (ask: unknown, id: number) => Promise<object>)(ask, id);
    scope.postMessage({ id, answer }, transferable(answer));
  } catch (error) {
    scope.postMessage({ id, refusal: refusalOf(error) });
  }
};

/** Buffers that are given away rather than copied. */
function transferable(answer: object): Transferable[] {
  return Object.values(answer).flatMap((value: unknown): Transferable[] => {
    if (value instanceof Uint8Array) return [value.buffer as ArrayBuffer];
    return value !== null && typeof value === 'object' && !Array.isArray(value) ? transferable(value) : [];
  });
}
