#!/usr/bin/env node
import { bearClosedReader } from './cli/closed-reader.js';
import { runCli } from './cli/run-cli.js';

for (const stream of [process.stdout, process.stderr]) bearClosedReader(stream);
process.exitCode = await runCli(process.argv.slice(2));
