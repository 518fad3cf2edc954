import { type Dim, InputError } from '@mdt/core';
import type { Detector } from '@mdt/detectors';
import type { DetectorConfig } from '../config/config.js';
import { createDetector } from '../config/create-detector.js';
import { type Checkpoint, listCheckpoints, readCheckpoint } from './checkpoint.js';

export interface LoadDetectorsOptions<D extends Dim> {
  /** How many of the best checkpoints to load; fewer when there are not that many. Default 1. */
  best?: number;
  /** Refuses detectors of another dimension, and tells the compiler. */
  dim?: D;
  /** Makes an empty detector. Default: from the configuration that is stored with the checkpoint. */
  create?: (config: unknown) => Detector<D>;
}

/** Puts the weights of one checkpoint folder into a detector. Nothing changes when the checkpoint is damaged or of another network. */
export async function loadWeights(detector: Detector, checkpoint: string): Promise<void> {
  const { weights } = await readCheckpoint(checkpoint);
  detector.setWeights(weights);
}

/**
 * The detectors of the best checkpoints of a run, best first, ready for `createPredictor`. A run that was stopped before its
 * first validation gives its last state.
 *
 * @throws InputError `missing-file` when there is no checkpoint, `invalid-checkpoint` when one is damaged
 */
export async function loadDetectors<D extends Dim = Dim>(
  runDir: string,
  { best = 1, dim, create = fromConfig }: LoadDetectorsOptions<D> = {},
): Promise<Detector<D>[]> {
  if (!(Number.isInteger(best) && best >= 1)) {
    throw new InputError('invalid-option', `loadDetectors: best is ${best}, expected a whole number of at least 1`);
  }
  const entries = (await listCheckpoints(runDir)).slice(0, best);
  if (entries.length === 0)
    throw new InputError('missing-file', `'${runDir}' has no checkpoints: expected a folder that training wrote`);
  const detectors: Detector<D>[] = [];
  try {
    for (const { path } of entries) {
      const { config, weights } = await readCheckpoint(path);
      const detector = create(config);
      detectors.push(detector);
      if (dim !== undefined && detector.dim !== dim) {
        throw new InputError('shape-mismatch', `'${path}': ${detector.kind} has ${detector.dim} axes, expected ${dim}`);
      }
      detector.setWeights(weights);
    }
  } catch (error) {
    for (const detector of detectors) detector.dispose();
    throw error;
  }
  return detectors;
}

function fromConfig<D extends Dim>(config: Checkpoint['config']): Detector<D> {
  const detector = (config as { detector?: DetectorConfig } | null)?.detector;
  if (!detector) {
    throw new InputError('invalid-checkpoint', 'the checkpoint stores no detector configuration: pass `create` to loadDetectors');
  }
  return createDetector(detector);
}
