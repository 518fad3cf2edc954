import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

const cli = fileURLToPath(new URL('../../packages/toolkit/dist/cli.js', import.meta.url));
const faults = new URL('./faults.mjs', import.meta.url).href;

export interface Trouble {
  /** As `faults.mjs` understands it: `kill:17`. */
  fault?: string;
  /** SIGKILL so many milliseconds after the process started, or after it said that the training starts. */
  killAfter?: { ms: number; from: 'process' | 'training' };
  saveEverySeconds?: number;
  workers?: number;
}

/** What one step of a training computed. */
export interface Step {
  step: number;
  losses: Record<string, number>;
  learningRate: number;
}

export interface Ending {
  code: number | null;
  signal: NodeJS.Signals | null;
  err: string;
  /** Milliseconds from the start of the process to that of the training, and to the end. */
  startMs: number;
  ms: number;
  steps: Step[];
}

/** Trains into a folder, or goes on there, in a process of its own that may meet trouble. */
export function trainInProcess(config: string, out: string, trouble: Trouble = {}): Promise<Ending> {
  const { fault, killAfter, saveEverySeconds = 0, workers = 0 } = trouble;
  const env = {
    ...process.env,
    ...(fault !== undefined && { MDT_FAULT: fault }),
    MDT_FAULT_DIR: out,
  };
  const options = [
    ...['--out', out, '--resume', '--threads', '1', '--json'],
    ...['--save-every', String(saveEverySeconds), '--set', `training.workers=${workers}`],
  ];
  const preload = fault === undefined ? [] : ['--import', faults];
  const started = performance.now();
  // A process lives for a second or two: optimising its code takes an eighth of its time and gives nothing back.
  const child = spawn(process.execPath, ['--no-opt', ...preload, cli, 'train', config, ...options], {
    env,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const steps: Step[] = [];
  let [err, startMs] = ['', 0];
  let timer: NodeJS.Timeout | undefined;
  const killFrom = (moment: 'process' | 'training') => {
    if (killAfter?.from === moment) timer = setTimeout(() => child.kill('SIGKILL'), killAfter.ms);
  };
  killFrom('process');
  createInterface(child.stdout).on('line', (line) => {
    if (!line.endsWith('}')) return; // cut off by the kill
    const { event, step, losses, learningRate } = JSON.parse(line) as Step & { event: string };
    if (event === 'step') steps.push({ step, losses, learningRate });
    if (event !== 'start') return;
    startMs = performance.now() - started;
    killFrom('training');
  });
  child.stderr.on('data', (chunk) => {
    err += chunk;
  });
  return new Promise((resolve) => {
    child.on('close', (code, signal) => {
      clearTimeout(timer);
      resolve({ code, signal, err, startMs, ms: performance.now() - started, steps });
    });
  });
}
