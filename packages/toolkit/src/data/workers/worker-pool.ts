import { createRequire } from 'node:module';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { Worker } from 'node:worker_threads';
import { type JobMessage, receivedError, type WorkerMessage } from './messages.js';
import type { TaskName } from './tasks.js';

export interface WorkerPoolOptions {
  workers: number;
  /** A job that takes longer is reported. Default 60. */
  stallSeconds?: number;
  /** Gets a sentence about a job that takes long, again and again while it does. Default: a warning of the process. */
  onStall?: (sentence: string) => void;
}

interface Pending {
  job: unknown;
  resolve(result: unknown): void;
  reject(reason: unknown): void;
}

interface Member {
  worker: Worker;
  /** Counted from 1, for people. */
  number: number;
  pending?: Pending;
  since: number;
  reported: number;
  caseId?: string;
}

/**
 * Threads that do jobs of one kind, first come, first served. A job that fails rejects with the worker's own error: its case in the
 * message, its stack in the stack. A worker that dies fails its job and is replaced. Idle threads do not keep the process alive.
 */
export class WorkerPool<Job, Result> {
  private readonly members: Member[] = [];
  private readonly queue: Pending[] = [];
  private readonly timer: NodeJS.Timeout;
  private closed: unknown;
  private count = 0;

  constructor(
    private readonly task: TaskName,
    private readonly init: unknown,
    private readonly options: WorkerPoolOptions,
  ) {
    for (let i = 0; i < options.workers; i++) this.start();
    this.timer = setInterval(() => this.lookForStalls(), 1000);
    this.timer.unref();
  }

  run(job: Job): Promise<Result> {
    if (this.closed !== undefined) return Promise.reject(this.closed);
    return new Promise((resolve, reject) => {
      this.queue.push({ job, resolve: resolve as (result: unknown) => void, reject });
      this.next();
    });
  }

  /** Ends the threads, in the middle of their work if need be; jobs that are not done fail with the reason. */
  async close(reason: unknown = new Error('the workers were closed')): Promise<void> {
    this.closed ??= reason;
    clearInterval(this.timer);
    for (const { reject } of this.queue.splice(0)) reject(this.closed);
    const members = this.members.splice(0);
    for (const { pending } of members) pending?.reject(this.closed);
    await Promise.all(members.map(({ worker }) => worker.terminate()));
  }

  private start(): void {
    const member: Member = { worker: startWorker(this.task, this.init), number: ++this.count, since: 0, reported: 0 };
    const { worker } = member;
    this.members.push(member);
    worker.unref();
    worker.on('message', (message: WorkerMessage) => this.heard(member, message));
    worker.on('error', (error) => this.lost(member, error));
    worker.on('exit', (code) => this.lost(member, new Error(`the thread ended with code ${code}`)));
  }

  private next(): void {
    for (const member of this.members) {
      if (member.pending) continue;
      const pending = this.queue.shift();
      if (!pending) return;
      Object.assign(member, { pending, since: performance.now(), reported: 0 });
      delete member.caseId;
      member.worker.ref();
      member.worker.postMessage({ id: 0, job: pending.job } satisfies JobMessage);
    }
  }

  private heard(member: Member, message: WorkerMessage): void {
    if (message.kind === 'case') {
      member.caseId = message.caseId;
      return;
    }
    const { pending } = member;
    delete member.pending;
    member.worker.unref();
    if (message.kind === 'done') pending?.resolve(message.result);
    else pending?.reject(receivedError(message.error, member.number));
    this.next();
  }

  private lost(member: Member, error: Error): void {
    const place = this.members.indexOf(member);
    if (place < 0) return; // closed, or heard of already
    this.members.splice(place, 1);
    const { name, message, stack = '' } = error;
    const { caseId, number } = member;
    member.pending?.reject(receivedError({ name, message, stack, ...(caseId !== undefined && { caseId }) }, number));
    if (member.pending === undefined) {
      // It died before it had work: what it was started with is wrong, and the next one would die as well.
      void this.close(receivedError({ name, message, stack }, number));
      return;
    }
    this.start();
    this.next();
  }

  private lookForStalls(): void {
    const { stallSeconds = 60, onStall = (sentence: string) => process.emitWarning(sentence, 'StallWarning') } = this.options;
    for (const member of this.members) {
      if (!member.pending) continue;
      const seconds = (performance.now() - member.since) / 1000;
      const turns = Math.floor(seconds / stallSeconds);
      if (turns <= member.reported) continue;
      member.reported = turns;
      const at = member.caseId === undefined ? '' : `, now at case '${member.caseId}'`;
      onStall(`worker ${member.number} has been at one job for ${Math.floor(seconds)} s${at}`);
    }
  }
}

/** A thread that runs the task; from the sources, where these run, through tsx. */
function startWorker(task: TaskName, init: unknown): Worker {
  const workerData = { task, init };
  if (!import.meta.url.endsWith('.ts')) return new Worker(new URL('./worker.js', import.meta.url), { workerData });
  const required = createRequire(import.meta.url).resolve('tsx/esm/api'); // its CommonJS twin
  const tsx = new URL('./index.mjs', pathToFileURL(required)).href;
  const entry = new URL('./worker.ts', import.meta.url).href;
  const tsconfig = fileURLToPath(new URL('../../../../../tsconfig.json', import.meta.url));
  const options = JSON.stringify({ parentURL: entry, tsconfig });
  // A thread's first file is loaded before any hook is there, so the thread begins with this line.
  const start = `import(${JSON.stringify(tsx)}).then(({ tsImport }) => tsImport(${JSON.stringify(entry)}, ${options}))`;
  return new Worker(start, { eval: true, workerData });
}
