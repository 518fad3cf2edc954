import { nearestName } from '@mdt/core';
import { type Command, InvalidArgumentError } from 'commander';
import type { DetectorKind } from '../config/detector-schema.js';
import { type ToyTask, toyTasks } from '../data/toy.js';
import { selectEngine } from '../engine.js';
import { runToyExperiment, toyDetectors, toyTable } from '../toy-experiment.js';
import { exitCodes } from './exit-codes.js';
import { interruptSignal } from './interrupt.js';
import { positiveNumber, wholeNumber } from './numbers.js';
import { shared } from './options.js';
import { type CommandContext, output } from './output.js';

interface ToyFlags {
  out: string;
  detectors: DetectorKind[];
  tasks: ToyTask[];
  seeds: number;
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
    .option('--detectors <names>', 'with commas between', namesOf(toyDetectors), [...toyDetectors])
    .option('--tasks <names>', 'with commas between', namesOf(toyTasks), [...toyTasks])
    .option('--seeds <n>', 'trainings of each detector on each task', wholeNumber(1), 3)
    .option('--minutes <n>', 'time for all trainings together (default: 20 short epochs each)', positiveNumber)
    .option('--full', "the original's images, networks and epochs: for a GPU")
    .addOption(shared.threads())
    .addOption(shared.json())
    .addHelpText(
      'after',
      `
Examples:
  $ mdt toy-experiment --minutes 120 --seeds 1
  $ mdt toy-experiment --full --seeds 3 --out runs/paper`,
    )
    .action(async ({ json, threads, ...options }: ToyFlags) => {
      const { note, result } = output(json ?? false, streams);
      const engine = await selectEngine({ onFallback: note, ...(threads !== undefined && { threads }) });
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
