import { InvalidArgumentError, Option } from 'commander';
import { collected, wholeNumber } from './numbers.js';

/** Options that several commands share, each described in one place. */
export const shared = {
  json: () => new Option('--json', 'print one JSON line per event'),
  threads: () => new Option('--threads <n>', 'CPU threads').argParser(wholeNumber(1)),
  out: (text: string) => new Option('--out <dir>', text),
  folds: () => new Option('--folds <list>', 'folds of the cross-validation, with commas between, or all').argParser(foldList),
  run: () =>
    new Option('--run <dir>', 'run folder, or that of a cross-validation; several times for an ensemble').argParser(collected),
  point: () => new Option('--operating-point <file>', 'of another `mdt sweep` (default: that of the run, if it was swept)'),
  noPoint: () => new Option('--no-operating-point', 'consolidate as configured'),
  set: () =>
    new Option('--set <key=value...>', 'change a value of the configuration, as in training.epochs=3')
      .argParser(collected)
      .default([] as string[]),
  dev: () => new Option('--dev', 'the whole path in a minute: one short epoch on a sliver of the data'),
  best: () => new Option('--best <n>', 'checkpoints of each run (default: as configured)').argParser(wholeNumber(1)),
  noMirror: () => new Option('--no-mirror', 'without test-time mirroring: faster, a little worse'),
};

function foldList(text: string): 'all' | number[] {
  if (text === 'all') return 'all';
  const folds = text.split(',').map(Number);
  if (text.trim() === '' || !folds.every((fold) => Number.isSafeInteger(fold) && fold >= 0)) {
    throw new InvalidArgumentError('Expected all, or whole numbers from 0 on with commas between.');
  }
  return [...new Set(folds)];
}
