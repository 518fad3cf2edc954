import { Option } from 'commander';
import type { ResolvedConfig } from '../config/config.js';
import type { Engine } from '../engine.js';
import { type TrainingPrecision, trainingPrecisions } from '../training-precisions.js';

/** How the engine of a command is to compute. */
export interface EngineFlags {
  threads?: number;
  precision?: TrainingPrecision;
}

/** `--precision`, for commands that use a trained run. */
export const precisionOption = (): Option =>
  new Option('--precision <type>', 'type of convolutions and matrix products (default: as trained)').choices(trainingPrecisions);

/** The engine that flags ask for; what they leave open is as the run is trained. */
export async function engineOf(
  { threads, precision }: EngineFlags,
  trained: ResolvedConfig['training'],
  onFallback: (line: string) => void,
): Promise<Engine> {
  const { selectEngine } = await import('../engine.js'); // TensorFlow.js, which a model file does without
  const { deterministic } = trained;
  return selectEngine({
    precision: precision ?? trained.precision,
    deterministic,
    onFallback,
    ...(threads !== undefined && { threads }),
  });
}
