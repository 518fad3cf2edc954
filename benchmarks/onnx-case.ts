import type { Dim, PerAxis } from '@mdt/core';
import { planTiles } from '@mdt/core';

/** What a contestant of the benchmark of model files is told. */
export interface OnnxCase {
  dim: Dim;
  /** z y x, or y x. */
  patchSize: readonly number[];
  /** Voxels per axis of the patient. */
  size: readonly number[];
  /** What is timed: one forward pass of one patch, those of all tiles after one another, or the prediction of the whole patient. */
  work: 'patch' | 'tiles' | 'patient';
  engine: 'onnxruntime' | 'torch';
  threads: number;
  /** Path of the model file. */
  model: string;
}

/** Tiles of the patient, as the predictor plans them. */
export const tileCount = ({ size, patchSize }: Pick<OnnxCase, 'size' | 'patchSize'>): number =>
  planTiles(size as unknown as PerAxis, { patchSize: patchSize as unknown as PerAxis }).length;
