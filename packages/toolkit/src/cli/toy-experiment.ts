import { nearestName } from '@mdt/core';
import { type Command, InvalidArgumentError, Option } from 'commander';
import { type DetectorKind, detectorKinds } from '../config/detector-schema.js';
import { type ToyTask, toyTasks } from '../data/toy.js';
import { selectEngine } from '../engine.js';
import { runToyExperiment, toyDetectors } from '../toy-experiment.js';
import { toyTable } from '../toy-table.js';
import { type TrainingPrecision, trainingPrecisions } from '../training-precisions.js';
import { exitCodes } from './exit-codes.js';
import { interruptSignal } from './interrupt.js';
import { positiveNumber, wholeNumber } from './numbers.js';
import { shared } from './options.js';
import { type CommandContext, output } from './output.js';

interface ToyFlags {
  out: string;
  detectors: DetectorKind[];
  tasks: ToyTask[];
  seeds: number | number[];
  precision: TrainingPrecision;
  minutes?: number;
  full?: boolean;
  threads?: number;
  json?: boolean;
}

export function addToyExperiment(program: Command, { exit, streams }: CommandContext): void {
  program
    .command('toy-experiment')
    .description("the paper's toy experiment: five detectors on three tasks, with seeds, as a table")
    .option('--out <dir>', 'folder of data, runs and table; what is done there is kept', 'runs/toy-experiment')
    .option('--detectors <names>', 'with commas between; also those in 3D', namesOf(detectorKinds), [...toyDetectors])
    .option('--tasks <names>', 'with commas between', namesOf(toyTasks), [...toyTasks])
    .option('--seeds <n>', 'trainings of each detector on each task, or their seeds, as in 3,4', seedsOf, 3)
    .addOption(
      new Option('--precision <type>', 'of convolutions and matrix products').choices(trainingPrecisions).default('float32'),
    )
    .option('--minutes <n>', 'time for all trainings together (default: as many epochs as each needs)', positiveNumber)
    .option('--full', "the original's images, networks and epochs: for a GPU")
    .addOption(shared.threads())
    .addOption(shared.json())
    .addHelpText(
      'after',
      `
Examples:
  $ mdt toy-experiment --seeds 1
  $ mdt toy-experiment --detectors RetinaNet3D,FasterRCNN3D --tasks donuts_shape
  $ mdt toy-experiment --full --seeds 3 --out runs/paper`,
    )
    .action(async ({ json, threads, precision, ...options }: ToyFlags) => {
      const { note, result } = output(json ?? false, streams);
      const engine = await selectEngine({ onFallback: note, precision, ...(threads !== undefined && { threads }) });
      const interrupt = interruptSignal();
      try {
        const rows = await runToyExperiment({ ...options, engine, signal: interrupt.signal, onNote: note });
        result(toyTable(rows), { event: 'end', rows });
        exit(exitCodes.ok);
      } catch (error) {
        if (!interrupt.signal.aborted) throw error;
        exit(exitCodes.interrupted);
      } finally {
        interrupt.release();
      }
    });
}

/** A number of seeds, or with a comma the seeds themselves. */
const seedsOf = (text: string): number | number[] =>
  text.includes(',') ? text.split(',').map(wholeNumber(0)) : wholeNumber(1)(text);

/** A list of names, none of them unknown. */
const namesOf =
  <T extends string>(known: readonly T[]) =>
  (text: string): T[] => {
    const names = text.split(',').map((name) => name.trim());
    const unknown = names.find((name) => !(known as readonly string[]).includes(name));
    if (unknown === undefined) return names as T[];
    const near = nearestName(unknown, known);
    throw new InvalidArgumentError(
      `'${unknown}'${near ? `, did you mean '${near}'?` : `: expected some of ${known.join(', ')}.`}`,
    );
  };
