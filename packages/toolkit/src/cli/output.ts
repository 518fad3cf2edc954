import { type Progress, progress } from '../progress.js';

/** Where the command writes; the process's own streams unless a program embeds it. */
export interface Streams {
  stdout: NodeJS.WritableStream;
  stderr: NodeJS.WritableStream;
}

/** What a subcommand gets from the program around it. */
export interface CommandContext {
  streams: Streams;
  /** Takes the exit code. */
  exit(code: number): void;
}

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

export function output(json: boolean, { stdout, stderr }: Streams): Output {
  return {
    json,
    result: (text, event) => stdout.write(json ? `${JSON.stringify(event)}\n` : `${text}\n`),
    note: (text) => stderr.write(`${text}\n`),
    progress: () => (json ? { update() {}, log() {}, stop() {} } : progress({ stream: stderr })),
  };
}
