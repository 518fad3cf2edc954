import { InputError } from '@mdt/core';
import { Command, CommanderError } from 'commander';
import { TrainingDivergedError } from '../train/diverged.js';
import { exitCodeOf, exitCodes, isOutOfResources } from './exit-codes.js';
import type { CommandContext, Streams } from './output.js';

/** Every command's module is loaded when it is named (or all of them, for the help): not every command needs all that others do. */
const commands: Readonly<Record<string, () => Promise<(program: Command, context: CommandContext) => void>>> = {
  train: async () => (await import('./train.js')).addTrain,
  predict: async () => (await import('./predict.js')).addPredict,
  evaluate: async () => (await import('./evaluate.js')).addEvaluate,
  export: async () => (await import('./export.js')).addExport,
  dataset: async () => (await import('./dataset/dataset.js')).addDataset,
  view: async () => (await import('./view.js')).addView,
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
Exit codes: 0 done, 2 usage or configuration, 3 data, 4 checkpoint, 5 training diverged, 6 disk full or failing,
8 run folder in use, 130 interrupted, 1 anything else`,
    );
  // Subcommands inherit this only when it is set before they are added.
  program.exitOverride().configureOutput({ writeOut: (text) => stdout.write(text), writeErr: (text) => stderr.write(text) });
  const named = args.find((argument) => !argument.startsWith('-')) ?? '';
  for (const load of Object.hasOwn(commands, named) ? [commands[named]!] : Object.values(commands)) {
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
