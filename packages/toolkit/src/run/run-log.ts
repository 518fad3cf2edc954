import { appendFileSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { runFiles } from './run-folder.js';

/** Adds a line with the time to `log.txt` of a run folder. Line breaks in it become spaces, so that no text can forge a line. */
export type RunLog = (line: string) => void;

/** The log of a run, for people: it is not synced, and where it cannot be written the work goes on. */
export function runLog(out: string): RunLog {
  const path = join(out, runFiles.log);
  return (line) => {
    try {
      mkdirSync(out, { recursive: true });
      appendFileSync(path, `${new Date().toISOString()} ${line.replace(/\p{Cc}+/gu, ' ')}\n`);
    } catch {
      // a full disk will stop the run where it matters
    }
  };
}
