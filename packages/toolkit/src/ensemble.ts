import { type Dim, InputError } from '@mdt/core';
import type { Detector } from '@mdt/detectors';
import type { ResolvedConfig } from './config/config.js';
import { readRunConfig } from './run/run-folder.js';
import { listCheckpoints } from './train/checkpoint.js';
import { loadDetectors } from './train/load-detectors.js';

/** Trained runs that predict together: the folds of a cross-validation, or one run alone. */
export interface Ensemble {
  /** Of the first run; what decides how an image is prepared is the same in all. */
  readonly config: ResolvedConfig;
  /** Of every run, in their order. */
  readonly configs: readonly ResolvedConfig[];
  /**
   * The best checkpoints of every run: `best` of each, fewer where a run has fewer. The predictor counts what was loaded, so an object
   * that all of these found keeps its score. Wants an engine.
   */
  load(options?: { best?: number }): Promise<Detector<Dim>[]>;
}

/**
 * Opens run folders that training wrote and checks that they fit together, without starting an engine.
 *
 * @throws InputError `missing-file`, `invalid-checkpoint`; `invalid-option` for runs that prepare images differently, have other classes
 * or another kind of detector, and for a run that is named twice
 */
export async function openEnsemble(runs: readonly string[]): Promise<Ensemble> {
  if (runs.length === 0) throw new InputError('invalid-option', 'openEnsemble: no run folder was given');
  const twice = runs.find((run, i) => runs.indexOf(run) < i);
  if (twice !== undefined) throw new InputError('invalid-option', `the run '${twice}' is named twice`);
  const configs: ResolvedConfig[] = [];
  for (const run of runs) {
    configs.push(await readRunConfig(run));
    await listCheckpoints(run); // a damaged run is found before an engine starts
  }
  const config = configs[0]!;
  const decisive = ({ data, detector }: ResolvedConfig) => ({
    'data.normalise': data.normalise,
    'detector.kind': detector.kind,
    'detector.classes': detector.classes,
    'detector.patchSize': detector.patchSize,
  });
  for (const [i, other] of configs.entries()) {
    const expected = decisive(config);
    for (const [key, value] of Object.entries(decisive(other))) {
      const first = JSON.stringify(expected[key as keyof typeof expected]);
      if (JSON.stringify(value) !== first) {
        const text = `the runs '${runs[0]}' and '${runs[i]}' differ in ${key}: ${first} and ${JSON.stringify(value)}`;
        throw new InputError('invalid-option', text);
      }
    }
  }
  async function load({ best = config.prediction.best }: { best?: number } = {}): Promise<Detector<Dim>[]> {
    const detectors: Detector<Dim>[] = [];
    try {
      for (const run of runs) detectors.push(...(await loadDetectors(run, { best })));
      return detectors;
    } catch (error) {
      for (const detector of detectors) detector.dispose();
      throw error;
    }
  }
  return { config, configs, load };
}
