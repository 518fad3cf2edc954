import { type Dim, InputError, refuseUnknownKeys, type Volume } from '@mdt/core';

/**
 * How raw intensities become network input, per image and per channel.
 * - `none`: as they are.
 * - `window`: `low` → 0, `high` → 1, with a cut at both ends. Units are those of the image (Hounsfield in CT).
 * - `z-score`: mean 0 and standard deviation 1, after a cut to `clip` where given.
 * - `percentile`: the `low`th percentile → 0, the `high`th → 1, not cut. Defaults 1 and 99.8.
 */
export type Normalisation =
  | { method: 'none' }
  | { method: 'window'; low: number; high: number }
  | { method: 'z-score'; clip?: readonly [number, number] }
  | { method: 'percentile'; low?: number; high?: number };

const knownKeys: Record<Normalisation['method'], string[]> = {
  none: ['method'],
  window: ['method', 'low', 'high'],
  'z-score': ['method', 'clip'],
  percentile: ['method', 'low', 'high'],
};

/** Checks a normalisation that was read from a file. Throws InputError `unknown-option` or `invalid-option`. */
export function checkNormalisation(value: unknown, where: string): Normalisation {
  const refuse = (text: string): never => {
    throw new InputError('invalid-option', `${where}: ${text}`);
  };
  if (typeof value !== 'object' || value === null) refuse(`expected an object with a method, found ${JSON.stringify(value)}`);
  const options = value as Record<string, unknown>;
  const method = options.method as Normalisation['method'];
  if (typeof method !== 'string' || !Object.hasOwn(knownKeys, method)) {
    refuse(`method ${JSON.stringify(method)}, expected one of ${Object.keys(knownKeys).join(', ')}`);
  }
  refuseUnknownKeys(where, options, knownKeys[method]);
  const range = method === 'z-score' ? options.clip : [options.low ?? 1, options.high ?? 99.8];
  if (method === 'window' && (options.low === undefined || options.high === undefined)) refuse('window needs low and high');
  if (method !== 'none' && range !== undefined) {
    const [low, high] =
      Array.isArray(range) && range.length === 2 ? range : refuse(`clip ${JSON.stringify(range)}, expected [low, high]`);
    if (!(Number.isFinite(low) && Number.isFinite(high) && low < high)) refuse(`range ${low} to ${high}, expected low < high`);
    if (method === 'percentile' && !(low >= 0 && high <= 100)) refuse(`percentiles ${low} to ${high}, expected 0 to 100`);
  }
  return value as Normalisation;
}

/** Applies a normalisation; a new volume unless the method is `none`. A constant channel becomes 0. */
export function normalise<D extends Dim>(image: Volume<D, Float32Array>, how: Normalisation): Volume<D, Float32Array> {
  if (how.method === 'none') return image;
  const { channels } = image;
  const data = image.data.slice();
  const voxels = data.length / channels;
  for (let c = 0; c < channels; c++) {
    const channel = new Float32Array(voxels);
    for (let i = 0; i < voxels; i++) channel[i] = data[i * channels + c]!;
    const { shift, scale, low, high } = linearMap(channel, how);
    for (let i = 0; i < voxels; i++) {
      data[i * channels + c] = (Math.min(Math.max(channel[i]!, low), high) - shift) * scale;
    }
  }
  return { ...image, data };
}

interface LinearMap {
  shift: number;
  scale: number;
  /** Values are cut to this range first. */
  low: number;
  high: number;
}

function linearMap(values: Float32Array, how: Exclude<Normalisation, { method: 'none' }>): LinearMap {
  if (how.method === 'window') return { shift: how.low, scale: 1 / (how.high - how.low), low: how.low, high: how.high };
  if (how.method === 'percentile') {
    const sorted = values.slice().sort();
    const shift = percentile(sorted, how.low ?? 1);
    const width = percentile(sorted, how.high ?? 99.8) - shift;
    return { shift, scale: width > 0 ? 1 / width : 0, low: -Infinity, high: Infinity };
  }
  const [low, high] = how.clip ?? [-Infinity, Infinity];
  let sum = 0;
  for (const value of values) sum += Math.min(Math.max(value, low), high);
  const mean = sum / values.length;
  let squares = 0;
  for (const value of values) squares += (Math.min(Math.max(value, low), high) - mean) ** 2;
  const deviation = Math.sqrt(squares / values.length);
  return { shift: mean, scale: deviation > 0 ? 1 / deviation : 0, low, high };
}

/** Linear between the two nearest ranks. */
function percentile(sorted: Float32Array, share: number): number {
  const rank = ((sorted.length - 1) * share) / 100;
  const below = Math.floor(rank);
  const above = Math.min(below + 1, sorted.length - 1);
  return sorted[below]! + (sorted[above]! - sorted[below]!) * (rank - below);
}
