import { readFileSync } from 'node:fs';
import { createInterface } from 'node:readline';
import type { Answer, Request } from './process-contestant.js';

/** What a process does for its benchmark. */
export interface Work {
  /** One repetition; may say what came out, or give a function that does, which is called when the clock has stopped. */
  run(): Promise<string | (() => string) | undefined>;
  /** How often `run` does the work; a repetition's time is divided by it. Default 1. */
  calls?: number;
  /** Lines for the reader, after the last repetition. */
  notes?(): string[];
  /** The most bytes that tensors held. */
  allocated?(): number;
}

/** Answers the requests of a benchmark on stdin, one line each; `prepare` gives the work of a case. */
export async function serve(prepare: (aCase: never) => Promise<Work>): Promise<void> {
  let work: Work | undefined;
  const answer = async (request: Request): Promise<Answer> => {
    if (request.do === 'prepare') {
      work = await prepare(request.case as never);
      return {};
    }
    if (!work) throw new Error(`'${request.do}' before 'prepare'`);
    if (request.do === 'memory') {
      const allocated = work.allocated?.();
      return { bytes: peakBytes(), ...(allocated && { allocated }) };
    }
    if (request.do === 'notes') return { notes: work.notes?.() ?? [] };
    const started = performance.now();
    const result = await work.run();
    const seconds = (performance.now() - started) / 1000 / (work.calls ?? 1);
    const outcome = typeof result === 'function' ? result() : result;
    return outcome === undefined ? { seconds } : { seconds, outcome };
  };
  for await (const line of createInterface({ input: process.stdin })) {
    const reply = await answer(JSON.parse(line) as Request).catch((error: unknown) => ({ error: String(error) }));
    process.stdout.write(`${JSON.stringify(reply)}\n`);
  }
}

/** The most memory this process ever held. */
function peakBytes(): number {
  const kilobytes = /^VmHWM:\s+(\d+) kB/m.exec(readFileSync('/proc/self/status', 'utf8'))?.[1];
  return Number(kilobytes) * 1024;
}
