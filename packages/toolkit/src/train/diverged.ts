/** The loss became NaN or infinite. The step was not applied; checkpoints on disk are untouched. */
export class TrainingDivergedError extends Error {
  override readonly name = 'TrainingDivergedError';
  readonly code = 'diverged';
  constructor(
    /** The step, counted from 1, whose loss is not a number. */
    readonly step: number,
    readonly epoch: number,
    /** Every part of the loss at that step, and the total. */
    readonly losses: Readonly<Record<string, number>>,
    /** The cases that the step's patches were cut from. */
    readonly cases: readonly string[] = [],
  ) {
    const parts = Object.entries(losses).map(([name, value]) => `${name} ${value}`);
    super(
      `training diverged at step ${step} (epoch ${epoch}): the loss is not finite (${parts.join(', ')})` +
        `${cases.length > 0 ? `, patches of ${cases.join(', ')}` : ''}. ` +
        'Lower the learning rate, warm up, clip the gradients, or look for non-finite voxels',
    );
  }
}
