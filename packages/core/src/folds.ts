import { InputError } from './errors.js';
import { rng } from './random.js';

export interface FoldOptions {
  folds: number;
  /** Which part is the test set, 0 … folds − 1. The next one is the validation set. */
  fold: number;
  seed: string | number;
}

export interface Split<T> {
  training: T[];
  validation: T[];
  test: T[];
}

/**
 * Cross-validation by patient: the shuffled list is cut into `folds` parts of equal size (±1); part `fold` is the test set,
 * the part after it the validation set. Every item is tested in exactly one fold.
 */
export function splitFolds<T>(items: readonly T[], { folds, fold, seed }: FoldOptions): Split<T> {
  if (!(Number.isInteger(folds) && folds >= 3))
    throw new InputError('invalid-option', `splitFolds: folds is ${folds}, expected 3 or more`);
  if (!(Number.isInteger(fold) && fold >= 0 && fold < folds)) {
    throw new InputError('invalid-option', `splitFolds: fold is ${fold}, expected 0 to ${folds - 1}`);
  }
  if (items.length < folds) {
    throw new InputError('invalid-data', `splitFolds: ${items.length} patients cannot fill ${folds} folds`);
  }
  const order = rng(seed).fork('folds').choose(items.length, items.length);
  const split: Split<T> = { training: [], validation: [], test: [] };
  order.forEach((index, place) => {
    const part = Math.floor((place * folds) / items.length);
    const to = part === fold ? split.test : part === (fold + 1) % folds ? split.validation : split.training;
    to.push(items[index]!);
  });
  return split;
}
