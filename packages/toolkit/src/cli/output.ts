import { type Progress, progress } from '../progress.js';

/** Where a command prints: results to standard output, progress and notes to standard error. */
export interface Output {
  /** One event per line as JSON instead of text. */
  readonly json: boolean;
  /** A result, as text or as the fields of an event. */
  result(text: string, event: Record<string, unknown>): void;
  note(text: string): void;
  /** A bar, or nothing with `--json`. */
  progress(): Progress;
}

export function output(json: boolean): Output {
  return {
    json,
    result: (text, event) => process.stdout.write(json ? `${JSON.stringify(event)}\n` : `${text}\n`),
    note: (text) => process.stderr.write(`${text}\n`),
    progress: () => (json ? { update() {}, log() {}, stop() {} } : progress()),
  };
}
