import type { Command } from 'commander';
import type { CommandContext } from '../output.js';
import { addCheck } from './check.js';
import { addConvert, addInit } from './convert.js';
import { addPrepare } from './prepare.js';
import { addShow } from './show.js';
import { addSynth } from './synth.js';

export function addDataset(program: Command, context: CommandContext): void {
  const dataset = program.command('dataset').description('make, check, prepare and show data sets');
  addInit(dataset, context);
  addConvert(dataset, context);
  addPrepare(dataset, context);
  addCheck(dataset, context);
  addShow(dataset, context);
  addSynth(dataset, context);
}
