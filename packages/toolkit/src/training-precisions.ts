import type { Precision } from '@mdt/tfjs-torch';

/** The types in which a detector can be trained. */
export const trainingPrecisions = ['float32', 'bfloat16'] as const satisfies readonly Precision[];
export type TrainingPrecision = (typeof trainingPrecisions)[number];
