import { InputError } from '@mdt/core';
import { Command, CommanderError } from 'commander';
import { TrainingDivergedError } from '../train/diverged.js';
import { exitCodeOf, exitCodes, isOutOfResources } from './exit-codes.js';
import type { CommandContext, Streams } from './output.js';

/** Every command's module is loaded when it is named (or all of them, for the help): not every command needs all that others do. */
const commands: Readonly<Record<string, () => Promise<(program: Command, context: CommandContext) => void>>> = {
  create: async () => (await import('./create.js')).addCreate,
  train: async () => (await import('./train.js')).addTrain,
  'train-test': async () => (await import('./train.js')).addTrainTest,
  test: async () => (await import('./test.js')).addTest,
  sweep: async () => (await import('./sweep.js')).addSweep,
  analyse: async () => (await import('./test.js')).addAnalyse,
  predict: async () => (await import('./predict.js')).addPredict,
  evaluate: async () => (await import('./evaluate.js')).addEvaluate,
  export: async () => (await import('./export.js')).addExport,
  status: async () => (await import('./status.js')).addStatus,
  compare: async () => (await import('./status.js')).addCompare,
  dataset: async () => (await import('./dataset/dataset.js')).addDataset,
  view: async () => (await import('./view.js')).addView,
  'toy-experiment': async () => (await import('./toy-experiment.js')).addToyExperiment,
  doctor: async () => (await import('./doctor.js')).addDoctor,
  completion: async () => (await import('./completion.js')).addCompletion,
};

/** Runs the `mdt` command with the arguments behind its name; gives the exit code. Errors that a user can mend are one line. */
export async function runCli(args: readonly string[], streams: Streams = process): Promise<number> {
  const { stdout, stderr } = streams;
  let code: number = exitCodes.ok;
  const context: CommandContext = {
    streams,
    exit(value) {
      code = value;
    },
  };
  const program = new Command('mdt')
    .description('2D and 3D object detection in medical images')
    .configureHelp({ showGlobalOptions: true })
    .addHelpText(
      'after',
      `
Examples:
  $ mdt create toy && mdt train-test toy.config.ts --dev
  $ mdt train nuclei.config.ts --minutes 10
  $ mdt status runs/nuclei --serve
  $ mdt compare runs/nuclei runs/other

Exit codes: 0 done, 2 usage or configuration, 3 data, 4 checkpoint, 5 training diverged, 6 disk full or failing,
8 run folder in use, 130 interrupted, 1 anything else`,
    );
  // Subcommands inherit this only when it is set before they are added.
  program.exitOverride().configureOutput({ writeOut: (text) => stdout.write(text), writeErr: (text) => stderr.write(text) });
  const named = args.find((argument) => !argument.startsWith('-')) ?? '';
  const alone = Object.hasOwn(commands, named) && named !== 'completion'; // which completes them all
  for (const load of alone ? [commands[named]!] : Object.values(commands)) {
    (await load())(program, context);
  }
  try {
    await program.parseAsync(args, { from: 'user' });
    return code;
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? exitCodes.ok : exitCodes.usage; // it has printed its line
    if (error instanceof InputError || error instanceof TrainingDivergedError || isOutOfResources(error))
      stderr.write(`error: ${error.message}\n`);
    else stderr.write(`${error instanceof Error ? (error.stack ?? error.message) : String(error)}\n`);
    return exitCodeOf(error);
  }
}
