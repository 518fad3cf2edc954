import { MultiBar, Presets, type SingleBar } from 'cli-progress';
import type { StepEvent } from './train/train.js';

/** A bar in a terminal; plain lines now and then where the output is a file or a pipe. */
export interface Progress {
  /** Shows how far the work is; the text stands behind the bar. */
  update(done: number, total: number, text: string): void;
  /** Prints a line above the bar. */
  log(line: string): void;
  stop(): void;
}

export interface ProgressOptions {
  /** Default standard error, so that standard output stays clean for results. */
  stream?: NodeJS.WritableStream & { isTTY?: boolean };
  /** Seconds between lines where the output is no terminal. Default 15. */
  every?: number;
}

/** Starts a progress display. */
export function progress({ stream = process.stderr, every = 15 }: ProgressOptions = {}): Progress {
  return stream.isTTY ? terminalBar(stream as NodeJS.WriteStream) : plainLines(stream, every);
}

function terminalBar(stream: NodeJS.WriteStream): Progress {
  const bars = new MultiBar(
    { stream, format: '{bar} {percentage}%  {text}', hideCursor: true, clearOnComplete: true, barsize: 28, gracefulExit: false },
    Presets.shades_classic,
  );
  let bar: SingleBar | undefined;
  return {
    update(done, total, text) {
      bar ??= bars.create(total, 0, { text });
      if (bar.getTotal() !== total) bar.setTotal(total);
      bar.update(done, { text });
    },
    log: (line) => bars.log(`${line}\n`),
    stop: () => bars.stop(),
  };
}

function plainLines(stream: NodeJS.WritableStream, every: number): Progress {
  let last = performance.now();
  return {
    update(done, total, text) {
      const now = performance.now();
      if (now - last < every * 1000) return;
      last = now;
      stream.write(`${Math.floor((100 * done) / Math.max(1, total))}%  ${text}\n`);
    },
    log: (line) => stream.write(`${line}\n`),
    stop() {},
  };
}

/** Seconds for people: `8 s`, `2 min 05 s`, `1 h 02 min`. */
export function duration(seconds: number): string {
  const whole = Math.round(seconds);
  if (whole < 60) return `${whole} s`;
  const pad = (value: number) => String(value).padStart(2, '0');
  if (whole < 3600) return `${Math.floor(whole / 60)} min ${pad(whole % 60)} s`;
  return `${Math.floor(whole / 3600)} h ${pad(Math.floor((whole % 3600) / 60))} min`;
}

/** One line on a training step: loss, speed, time left. */
export function describeStep({ step, steps, losses, secondsPerStep, secondsLeft }: StepEvent): string {
  const speed =
    secondsPerStep >= 1 ? `${secondsPerStep.toFixed(1)} s/step` : `${(1 / Math.max(secondsPerStep, 1e-6)).toFixed(1)} steps/s`;
  return `step ${step}/${steps}  loss ${losses.total!.toFixed(3)}  ${speed}  ${duration(secondsLeft)} left`;
}
