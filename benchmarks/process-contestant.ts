import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import type { Contestant } from './harness.js';

/** A request to a contestant's process: one JSON object on one line; it answers with one line. */
export type Request = { do: 'prepare'; case: unknown } | { do: 'run' | 'memory' | 'notes' };

export interface Answer {
  error?: string;
  seconds?: number;
  /** What a run gave, in words. */
  outcome?: string;
  /** Peak of resident memory. */
  bytes?: number;
  /** Peak of what tensors held. */
  allocated?: number;
  notes?: string[];
}

interface ProcessContestant extends Contestant {
  ask(request: Request): Promise<Answer>;
}

/** A contestant in a process of its own that lives as long as its case: start-up and imports are not counted. */
export async function startProcess(
  name: string,
  [command, ...args]: readonly string[],
  aCase: unknown,
): Promise<ProcessContestant> {
  const child = spawn(command!, args, { stdio: ['pipe', 'pipe', 'inherit'] });
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const ended = new Promise<void>((resolve) => child.once('close', () => resolve()));
  const failure = new Promise<never>((_, reject) => child.once('error', reject));
  failure.catch(() => {}); // it is seen by the request that waits
  child.stdin.on('error', () => {}); // a dead process shows as a missing answer
  const ask = async (request: Request): Promise<Answer> => {
    child.stdin.write(`${JSON.stringify(request)}\n`);
    const { value, done } = await Promise.race([lines.next(), failure]);
    if (done) throw new Error(`${name}: the process ended before it answered '${request.do}'`);
    const answer = JSON.parse(value) as Answer;
    if (answer.error !== undefined) throw new Error(`${name}: ${answer.error}`);
    return answer;
  };
  const close = async () => {
    child.stdin.end();
    await ended;
  };
  try {
    await ask({ do: 'prepare', case: aCase });
  } catch (error) {
    await close();
    throw error;
  }
  return {
    name,
    run: async () => {
      const { seconds, outcome } = await ask({ do: 'run' });
      return { seconds: seconds!, ...(outcome === undefined ? {} : { outcome }) };
    },
    memory: async () => {
      const { bytes, allocated } = await ask({ do: 'memory' });
      return { residentBytes: bytes!, ...(allocated && { allocatedBytes: allocated }) };
    },
    ask,
    close,
  };
}

/** A peer of benchmarks/peers, run by python3. */
export const pythonPeer =
  (name: string, [script, ...args]: readonly [string, ...string[]], aCase: unknown) =>
  (): Promise<Contestant> =>
    startProcess(name, ['python3', fileURLToPath(new URL(`peers/${script}`, import.meta.url)), ...args], aCase);

/** A script of this folder, run by this Node as this process is. */
export const nodeProcess =
  (name: string, script: string, aCase: unknown, args: readonly string[] = []) =>
  async (): Promise<Contestant> => {
    const path = fileURLToPath(new URL(script, import.meta.url));
    const { ask, ...contestant } = await startProcess(name, [process.execPath, ...process.execArgv, path, ...args], aCase);
    return { ...contestant, notes: async () => (await ask({ do: 'notes' })).notes ?? [] };
  };

/** A process that takes one case after the other, for benchmarks of many short cases; its memory is that of all of them. */
export class SharedProcess {
  #started: Promise<ProcessContestant> | undefined;

  private constructor(
    private readonly name: string,
    private readonly command: readonly string[],
  ) {}

  /** A peer of benchmarks/peers, run by python3. */
  static ofPython(name: string, [script, ...args]: readonly [string, ...string[]]): SharedProcess {
    return new SharedProcess(name, ['python3', fileURLToPath(new URL(`peers/${script}`, import.meta.url)), ...args]);
  }

  /** A script of this folder, run by this Node as this process is. */
  static ofNode(name: string, script: string, args: readonly string[] = []): SharedProcess {
    const path = fileURLToPath(new URL(script, import.meta.url));
    return new SharedProcess(name, [process.execPath, ...process.execArgv, path, ...args]);
  }

  /** Takes a case on; the process starts with the first. */
  contestant(aCase: unknown): () => Promise<Contestant> {
    return async () => {
      if (this.#started) await (await this.#started).ask({ do: 'prepare', case: aCase });
      else this.#started = startProcess(this.name, this.command, aCase);
      const { ask, run } = await this.#started;
      return {
        name: this.name,
        run,
        notes: async () => (this.command[0] === process.execPath ? ((await ask({ do: 'notes' })).notes ?? []) : []),
        close: async () => {},
      };
    };
  }

  async close(): Promise<void> {
    await (await this.#started)?.close();
  }
}
