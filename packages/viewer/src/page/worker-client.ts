import type { Call, CallName, Calls, Refusal, Reply } from './protocol.js';

/** An answer of the worker that says no. */
export class Refused extends Error {
  readonly code: string;

  constructor({ code, message }: Refusal) {
    super(message);
    this.code = code;
  }
}

interface Waiting {
  done(answer: unknown): void;
  fail(error: Error): void;
  progress?: ((done: number, total: number) => void) | undefined;
}

/** The page's end of the line to the worker. */
export class WorkerClient {
  #worker: Worker | undefined;
  #next = 0;
  readonly #waiting = new Map<number, Waiting>();

  /** Whether there is a worker, with what it was given; one that ended has lost that. */
  get isRunning(): boolean {
    return this.#worker !== undefined;
  }

  /** Asks the worker; what it refuses is thrown as `Refused`. */
  ask<K extends CallName>(
    name: K,
    ask: Calls[K]['ask'],
    progress?: (done: number, total: number) => void,
  ): Promise<Calls[K]['answer']> {
    this.#worker ??= this.#start();
    const id = this.#next++;
    const call = { id, name, ask } as unknown as Call;
    return new Promise((done, fail) => {
      this.#waiting.set(id, { done: done as (answer: unknown) => void, fail, progress });
      this.#worker!.postMessage(call);
    });
  }

  /** Ends the worker and all that it holds; the next call starts another one. */
  stop(reason: Refusal): void {
    this.#worker?.terminate();
    this.#worker = undefined;
    for (const { fail } of this.#waiting.values()) fail(new Refused(reason));
    this.#waiting.clear();
  }

  #start(): Worker {
    // A worker of a blob is under the policy of the page, whatever headers the page's server sends.
    const script = `import ${JSON.stringify(new URL('worker.js', document.baseURI).href)};`;
    const url = URL.createObjectURL(new Blob([script], { type: 'text/javascript' }));
    const worker = new Worker(url, { type: 'module', name: 'detector' });
    worker.onmessage = ({ data }: MessageEvent<Reply>) => {
      URL.revokeObjectURL(url);
      const waiting = this.#waiting.get(data.id);
      if (!waiting) return;
      if ('progress' in data) return waiting.progress?.(data.progress.done, data.progress.total);
      this.#waiting.delete(data.id);
      if ('refusal' in data) waiting.fail(new Refused(data.refusal));
      else waiting.done(data.answer);
    };
    worker.onerror = (event) => {
      event.preventDefault();
      this.stop({
        code: 'worker',
        message: `the part of the page that reads and detects stopped: ${event.message || 'no memory left?'}`,
      });
    };
    return worker;
  }
}
