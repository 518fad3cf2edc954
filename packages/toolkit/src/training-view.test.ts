import { expect, test } from 'vitest';
import type { EpochReport, StepEvent } from './train/train.js';
import { describeLive, trainingView } from './training-view.js';

const step = (number: number): StepEvent => ({
  ...{ epoch: 1, step: number, steps: 4, learningRate: 0.1, seconds: number, secondsPerStep: 1, secondsLeft: 65 },
  ...{ losses: { total: 1.5, class: 1, box: 0.5 }, imagesPerSecond: 12.34, waitShare: 0.254 },
});
const epoch = { index: 1, metrics: { ap: 0.5, 'ap@0.1': 0.5 }, score: 0.5, best: true } as unknown as EpochReport;

const control = '\x1b';

/** A stream that collects, and what a terminal shows of it. */
function screen(isTTY: boolean) {
  let text = '';
  const write = (chunk: string) => {
    text += chunk;
    return true;
  };
  const lines = () => {
    const rows: string[] = [''];
    for (const part of text.split(new RegExp(`(${control}\\[\\d+A${control}\\[0J|\\n)`))) {
      const up = part.startsWith(control) ? /\d+/.exec(part)![0] : undefined;
      if (up) rows.splice(rows.length - 1 - Number(up), Number(up) + 1, '');
      else if (part === '\n') rows.push('');
      else rows[rows.length - 1] += part;
    }
    return rows;
  };
  const stream = { isTTY, columns: 60, write } as unknown as NodeJS.WritableStream & { isTTY: boolean };
  return { stream, text: () => text, lines };
}

test('a terminal shows one block of four lines, which is drawn anew, below lines that stay', () => {
  const { stream, lines } = screen(true);
  const view = trainingView({ stream, epochs: 3 });
  view.step(step(1));
  expect(lines()).toHaveLength(5);
  expect(lines()[0]).toMatch(/25 % {2}epoch 1\/3 {2}step 1\/4/);
  expect(lines()[1]).toBe('  loss 1.500  class 1.000  box 0.500');
  expect(lines()[3]).toMatch(/12\.3 images\/s {2}waiting 25 % {2}memory \d+\.\d GiB {2}1 min/);
  view.log('epoch 1: done', epoch);
  view.step(step(4));
  expect(lines()[0]).toBe('epoch 1: done');
  expect(lines()[3]).toBe('  ap 0.500  ap@0.1 0.500  best: 0.500 at epoch 1');
  expect(lines()).toHaveLength(6);
  view.stop();
  expect(lines()).toEqual(['epoch 1: done', '']);
});

test('elsewhere there are plain lines, as often as asked, without control characters', () => {
  const { stream, text } = screen(false);
  const view = trainingView({ stream, epochs: 3, every: 0 });
  view.step(step(2));
  view.log('epoch 1: done', epoch);
  view.stop();
  expect(text()).not.toContain(control);
  expect(text().split('\n')).toHaveLength(3);
  expect(text()).toMatch(/^epoch 1\/3 {2}step 2\/4 {2}loss 1\.500/);
  const quiet = screen(false);
  trainingView({ stream: quiet.stream, epochs: 3, every: 3600 }).step(step(1));
  expect(quiet.text()).toBe('');
});

test('a line on the present step has losses, speed, wait, memory and time left', () => {
  expect(describeLive({ ...step(2), epochs: 3, memoryBytes: 2 ** 30 })).toBe(
    'epoch 1/3  step 2/4  loss 1.500  class 1.000  box 0.500  12.3 images/s  waiting 25 %  memory 1.0 GiB  1 min 05 s left',
  );
});
