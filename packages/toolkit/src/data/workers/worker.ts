import { parentPort, workerData } from 'node:worker_threads';
import { type JobMessage, sentError, type WorkerMessage } from './messages.js';
import { type TaskName, tasks } from './tasks.js';

const { task, init } = workerData as { task: TaskName; init: unknown };
const port = parentPort!;
const say = (message: WorkerMessage) => port.postMessage(message);

let caseId: string | undefined;
const atCase = (id: string): void => {
  caseId = id;
  say({ kind: 'case', caseId: id });
};
// What cannot be opened is the error of the first job, not of the thread.
const open = tasks[task] as (init: unknown, atCase: (id: string) => void) => Promise<(job: unknown) => Promise<unknown>>;
const work = Promise.resolve().then(() => open(init, atCase));
work.catch(() => {});

port.on('message', async ({ id, job }: JobMessage) => {
  caseId = undefined;
  try {
    const run = await work;
    say({ kind: 'done', id, result: await run(job) });
  } catch (error) {
    say({ kind: 'failed', id, error: sentError(error, caseId) });
  }
});
