import { duration } from './progress.js';
import type { LiveState } from './run/live.js';
import type { EpochReport, StepEvent } from './train/train.js';

/** What a training shows of itself: a block of lines that is drawn anew in a terminal, plain lines now and then elsewhere. */
export interface TrainingView {
  step(event: StepEvent): void;
  /** A line that stays; with an epoch's report, its metrics stay in the block. */
  log(line: string, epoch?: EpochReport): void;
  stop(): void;
}

export interface TrainingViewOptions {
  stream: NodeJS.WritableStream & { isTTY?: boolean; columns?: number };
  /** Planned. */
  epochs: number;
  /** Seconds between lines where the output is no terminal. Default 15. */
  every?: number;
}

export function trainingView({ stream, epochs, every = 15 }: TrainingViewOptions): TrainingView {
  return stream.isTTY ? liveBlock(stream, epochs) : plainLines(stream, epochs, every);
}

type Shown = Pick<StepEvent, 'epoch' | 'step' | 'steps' | 'losses' | 'imagesPerSecond' | 'waitShare' | 'secondsLeft'>;

/** Losses, speed, wait, memory and time left. */
function numbers(
  { losses, imagesPerSecond, waitShare, secondsLeft }: Shown,
  memoryBytes: number,
): { losses: string; speed: string } {
  const { total, ...parts } = losses;
  const named = Object.entries(parts).map(([name, value]) => `${name} ${value.toFixed(3)}`);
  return {
    losses: [`loss ${total!.toFixed(3)}`, ...named].join('  '),
    speed: [
      `${imagesPerSecond.toFixed(1)} images/s`,
      `waiting ${Math.round(100 * waitShare)} %`,
      `memory ${(memoryBytes / 2 ** 30).toFixed(1)} GiB`,
      `${duration(secondsLeft)} left`,
    ].join('  '),
  };
}

/** One line on where a training is, for `mdt status` and for outputs that are no terminal. */
export function describeLive(state: Shown & Pick<LiveState, 'epochs' | 'memoryBytes'>): string {
  const { losses, speed } = numbers(state, state.memoryBytes);
  return `epoch ${state.epoch}/${state.epochs}  step ${state.step}/${state.steps}  ${losses}  ${speed}`;
}

function plainLines(stream: NodeJS.WritableStream, epochs: number, every: number): TrainingView {
  let last = performance.now();
  return {
    step(event) {
      const now = performance.now();
      if (now - last < every * 1000) return;
      last = now;
      stream.write(`${describeLive({ ...event, epochs, memoryBytes: process.memoryUsage().rss })}\n`);
    },
    log: (line) => void stream.write(`${line}\n`),
    stop() {},
  };
}

/** Milliseconds between two pictures of the block: quick enough for the eye. */
const drawEvery = 100;

function liveBlock(stream: TrainingViewOptions['stream'], epochs: number): TrainingView {
  let drawn = 0;
  let last = Number.NEGATIVE_INFINITY;
  let metrics = 'not validated yet';
  let best = '';
  let lines: string[] = [];
  const up = () => (drawn > 0 ? `\x1b[${drawn}A\x1b[0J` : ''); // to the block's first line; clear what follows
  const draw = (above = '') => {
    const width = Math.max(20, (stream.columns ?? 80) - 1);
    const block = lines.map((line) => `${line.slice(0, width)}\n`).join('');
    stream.write(`${up()}${above}${block}`);
    drawn = lines.length;
  };
  return {
    step(event) {
      const now = performance.now();
      if (now - last < drawEvery && event.step < event.steps) return;
      last = now;
      const { losses, speed } = numbers(event, process.memoryUsage().rss);
      const done = event.step / event.steps;
      const bar = '█'.repeat(Math.floor(24 * done)).padEnd(24, '░');
      const where = `epoch ${event.epoch}/${epochs}  step ${event.step}/${event.steps}`;
      lines = [`${bar} ${Math.floor(100 * done)} %  ${where}`, `  ${losses}`, `  ${metrics}${best}`, `  ${speed}`];
      draw();
    },
    log(line, epoch) {
      if (epoch && Object.keys(epoch.metrics).length > 0) {
        metrics = Object.entries(epoch.metrics)
          .map(([name, value]) => `${name} ${value.toFixed(3)}`)
          .join('  ');
        if (epoch.best) best = `  best: ${epoch.score?.toFixed(3)} at epoch ${epoch.index}`;
      }
      draw(`${line}\n`);
    },
    stop() {
      if (drawn === 0) return;
      stream.write(up());
      [drawn, lines] = [0, []];
    },
  };
}
