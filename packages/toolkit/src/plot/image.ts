import { type Dim, product, type Volume } from '@mdt/core';

/** One slice, ready to be shown: 8-bit grey or RGB, row-major. */
export interface Picture {
  readonly pixels: Uint8Array;
  readonly width: number;
  readonly height: number;
  readonly channels: 1 | 3;
}

/** The values that are shown as black and as white. */
export type Window = readonly [low: number, high: number];

/** Window between two quantiles of the finite values, from an even sample of at most 100 000 of them. Default 0.5 % to 99.7 %. */
export function contrastWindow(image: Volume, quantiles: readonly [number, number] = [0.005, 0.997]): Window {
  const step = Math.max(1, Math.floor(image.data.length / 100_000));
  const values: number[] = [];
  for (let i = 0; i < image.data.length; i += step) {
    const value = image.data[i]!;
    if (Number.isFinite(value)) values.push(value);
  }
  if (values.length === 0) return [0, 1];
  values.sort((a, b) => a - b);
  const at = (q: number) => values[Math.min(values.length - 1, Math.floor(q * values.length))]!;
  const low = at(quantiles[0]);
  const high = at(quantiles[1]);
  return high > low ? [low, high] : [low, low + 1];
}

/** Slice `z` of a volume (or a whole 2D image) as 8-bit pixels: three channels as RGB, otherwise the first channel as grey. */
export function pictureOf(image: Volume<Dim>, z = 0, window: Window = contrastWindow(image)): Picture {
  const [height, width] = Array.from(image.size).slice(-2) as [number, number];
  const area = product([height, width]);
  const channels = image.channels === 3 ? 3 : 1;
  const pixels = new Uint8Array(area * channels);
  const start = image.dim === 3 ? z * area * image.channels : 0;
  const gain = 255 / (window[1] - window[0]);
  for (let i = 0; i < area; i++) {
    for (let c = 0; c < channels; c++) {
      const value = (image.data[start + i * image.channels + c]! - window[0]) * gain;
      pixels[i * channels + c] = Math.max(0, Math.min(255, Math.round(value) || 0));
    }
  }
  return { pixels, width, height, channels };
}
