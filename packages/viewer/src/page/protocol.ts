import type { Detections, Dim } from '@mdt/core';

/** What an image is shown and measured by. Arrays are in array order. */
export interface ImageInfo {
  /** Name of its file, without ending. */
  id: string;
  dim: Dim;
  size: number[];
  channels: number;
  spacing: number[];
  origin: number[];
  direction?: number[];
  /** Whether the file says how large a voxel is; else lengths are in voxels. */
  inMillimetres: boolean;
}

/** What a model says of itself. */
export interface ModelInfo {
  name: string;
  dim: Dim;
  classes: string[];
  inChannels: number;
  patchSize: number[];
  /** Score of the model's own operating point, where it has one. */
  score?: number;
  /** Where the network runs, as `wasm, 4 threads`. */
  runsOn: string;
}

/** Boxes in voxels, as of `predictions.json`. */
export interface DetectionRows {
  boxes: number[][];
  scores: number[];
  labels: number[];
}

/** Names of classes, and where the boxes lie. */
export interface ExportRequest {
  format: 'json' | 'csv' | 'nifti';
  id: string;
  classes: string[];
  image: Omit<ImageInfo, 'id' | 'channels' | 'inMillimetres'>;
  found: DetectionRows;
}

export interface DetectOptions {
  minScore: number;
  /** Stops after so many seconds. */
  mostSeconds: number;
  /** Bytes of the image as the model wants it. */
  mostBytes: number;
}

/** Limits of one image. */
export interface ImageLimits {
  /** Bytes of its voxels as 32-bit numbers. */
  mostBytes: number;
  /** Voxels along one axis that the graphics can show. */
  mostPerAxis: number;
}

/** What is known of an image besides its files, for those that do not say it. */
export interface ImagePlace {
  id?: string;
  dim?: Dim;
  spacing?: number[];
}

/** What the worker can be asked for, and what it answers. Image bytes are NIfTI files for the display. */
export interface Calls {
  openImage: { ask: { files: File[]; limits: ImageLimits; place?: ImagePlace }; answer: { info: ImageInfo; nifti: Uint8Array } };
  showChannel: { ask: { channel: number }; answer: { nifti: Uint8Array } };
  openLabels: {
    ask: { files: File[]; limits: ImageLimits };
    answer: { nifti: Uint8Array; most: number; objects: DetectionRows };
  };
  openModel: { ask: { files: File[] }; answer: ModelInfo };
  detect: {
    ask: DetectOptions;
    answer: { found: DetectionRows; seconds: number; segmentation?: { nifti: Uint8Array; most: number } };
  };
  cancel: { ask: Record<string, never>; answer: Record<string, never> };
  export: { ask: ExportRequest; answer: { bytes: Uint8Array } };
}

export type CallName = keyof Calls;
export type Call = { [K in CallName]: { id: number; name: K; ask: Calls[K]['ask'] } }[CallName];

/** Why a call failed, in one sentence for a person. */
export interface Refusal {
  code: string;
  message: string;
}

export type Reply =
  | { id: number; answer: unknown }
  | { id: number; refusal: Refusal }
  | { id: number; progress: { done: number; total: number } };

/** Detections as rows that every message and file can hold. */
export function rowsOf({ dim, boxes, scores, labels }: Detections): DetectionRows {
  const width = 2 * dim;
  return {
    boxes: Array.from(labels, (_, i) => Array.from(boxes.subarray(i * width, (i + 1) * width))),
    scores: Array.from(scores),
    labels: Array.from(labels),
  };
}

/** Undoes `rowsOf`. */
export const detectionsOf = <D extends Dim>({ boxes, scores, labels }: DetectionRows, dim: D): Detections<D> => ({
  dim,
  boxes: Float32Array.from(boxes.flat()),
  scores: Float32Array.from(scores),
  labels: Int32Array.from(labels),
});
