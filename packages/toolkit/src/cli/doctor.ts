import type { Command } from 'commander';
import { doctor } from '../doctor.js';
import { exitCodes } from './exit-codes.js';
import { shared } from './options.js';
import { type CommandContext, output } from './output.js';

export function addDoctor(program: Command, { exit, streams }: CommandContext): void {
  program
    .command('doctor')
    .description('look at what training needs: Node, engine, native ops, memory, disk')
    .addOption(shared.json())
    .addHelpText('after', '\nExamples:\n  $ mdt doctor')
    .action(async ({ json }: { json?: boolean }) => {
      const findings = await doctor();
      const lines = findings.map(({ name, level, text }) => `${level.padEnd(8)} ${name.padEnd(11)} ${text}`);
      output(json ?? false, streams).result(lines.join('\n'), { event: 'doctor', findings });
      exit(findings.some(({ level }) => level === 'error') ? exitCodes.resources : exitCodes.ok);
    });
}
