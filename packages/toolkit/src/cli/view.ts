import type { Command } from 'commander';
import { viewSession } from '../view-session.js';
import { exitCodes } from './exit-codes.js';
import { interruptSignal } from './interrupt.js';
import { wholeNumber } from './numbers.js';
import { type CommandContext, output, type Streams } from './output.js';

interface ViewFlags {
  data?: string;
  port: number;
  json?: boolean;
}

export function addView(program: Command, { exit, streams }: CommandContext): void {
  program
    .command('view')
    .description('show images, detections and models in a page of this machine; nothing leaves it')
    .argument('[files...]', 'a run folder, images or folders of slices, a predictions.json, a model (.onnx)')
    .option('--data <dir>', 'data set in which the cases of the predictions are found (default: that of the run)')
    .option('--port <n>', 'port of the loopback address (default: one that is free)', wholeNumber(0), 0)
    .option('--json', 'print the address as a JSON line')
    .addHelpText(
      'after',
      `
Examples:
  $ mdt view runs/nuclei
  $ mdt view scan.nii.gz model.onnx
  $ mdt view results/predictions.json --data data/held-out`,
    )
    .action(async (files: string[], flags: ViewFlags) => exit(await viewCommand(files, flags, streams)));
}

async function viewCommand(files: readonly string[], { data, port, json }: ViewFlags, streams: Streams): Promise<number> {
  const { result, note } = output(json ?? false, streams);
  const session = await viewSession(files, data === undefined ? {} : { data });
  const { startViewer } = await import('@mdt/viewer');
  const viewer = await startViewer({ port, ...((files.length > 0 || data !== undefined) && { session }) });
  const interrupt = interruptSignal();
  try {
    result(viewer.url, { event: 'listening', url: viewer.url });
    note('Open this address in a browser of this machine. Ctrl-C ends it.');
    await new Promise((stop) => interrupt.signal.addEventListener('abort', stop, { once: true }));
    return exitCodes.ok;
  } finally {
    interrupt.release();
    await viewer.close();
  }
}
