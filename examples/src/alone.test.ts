import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';

const root = fileURLToPath(new URL('../..', import.meta.url));

/** What an example prints when a reader runs it from the root of the repository. */
function run(file: string, ...options: string[]): string {
  const args = ['--import', 'tsx', `examples/src/${file}`, ...options];
  const { stdout, stderr, status } = spawnSync(process.execPath, args, { cwd: root, encoding: 'utf8', maxBuffer: 2 ** 26 });
  expect(status, stderr).toBe(0);
  return stdout;
}

// Two tiles saw the lesion, each with both models: (0.9 + 0.8) / 2, weighted. One of two models saw the other box: half of 0.7.
test('WBC alone: four candidates of one lesion become one box, and what one model missed keeps half its score', () => {
  const clusters = run('wbc-only.ts').split('weighted box clustering\n')[1]!.split('\n').slice(0, 2);
  expect(clusters).toEqual(['  [20.4, 50.0, 30.0, 62.4]  0.855', '  [5.0, 136.0, 12.0, 143.0]  0.350']);
}, 60_000);

// The first of pycocotools' twelve numbers of these public files.
test.each([
  ['boxes', [], '0.505'],
  ['masks', ['--masks'], '0.320'],
] as const)(
  'COCO evaluation alone: %s',
  (_, options, ap) => {
    const text = run('evaluation-only.ts', ...options);
    expect(text).toContain(`Average Precision  (AP) @[ IoU=0.50:0.95 | area=   all | maxDets=100 ] = ${ap}`);
    expect(text).toContain('The first image, detection by detection');
    expect(text).not.toMatch(/NaN|undefined/);
  },
  60_000,
);

test('LIDC: 6,859 marks of 1,018 scans; the more of the others saw a nodule, the more likely a reader did', () => {
  const text = run('lidc-readers.ts');
  expect(text).toContain('1018 scans of 1010 patients, 6859 marks');
  const lists = /with 0 to 4 lists: (.*); with more, left out: (\d+)/.exec(text)!;
  const counts = [...lists[1]!.split(', '), lists[2]!].map(Number);
  expect(counts.reduce((sum, count) => sum + count)).toBe(1018);
  const sensitivities = Array.from(text.matchAll(/sensitivity ([\d.]+) \(/g), ([, value]) => Number(value));
  expect(sensitivities).toHaveLength(3);
  expect(sensitivities).toEqual(sensitivities.toSorted((a, b) => a - b));
}, 120_000);
