/** A loss or a gradient became NaN or infinite. The step was not applied; checkpoints on disk are untouched. */
export class TrainingDivergedError extends Error {
  override readonly name = 'TrainingDivergedError';
  readonly code = 'diverged';
  constructor(
    /** The step, counted from 1, whose loss or gradient is not a number. */
    readonly step: number,
    readonly epoch: number,
    /** Every part of the loss at that step, and the total. */
    readonly losses: Readonly<Record<string, number>>,
    /** The cases that the step's patches were cut from. */
    readonly cases: readonly string[] = [],
    /** The variables whose gradients are not finite, where the losses are. */
    readonly variables: readonly string[] = [],
  ) {
    const parts = Object.entries(losses).map(([name, value]) => `${name} ${value}`);
    const what = variables.length === 0 ? 'the loss' : `the gradient of ${someOf(variables)}`;
    super(
      `training diverged at step ${step} (epoch ${epoch}): ${what} is not finite (${variables.length === 0 ? '' : 'losses: '}${parts.join(', ')})` +
        `${cases.length > 0 ? `, patches of ${cases.join(', ')}` : ''}. ` +
        'Lower the learning rate, warm up, clip the gradients, or look for non-finite voxels',
    );
  }
}

const someOf = (names: readonly string[]): string =>
  names.length > 3 ? `${names.slice(0, 3).join(', ')} and ${names.length - 3} more` : names.join(', ');
