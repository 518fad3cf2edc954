import { writeFileSync } from 'node:fs';
import { type Dim, type PerAxis, product, rng, volume } from '@mdt/core';
import { describe, expect, test } from 'vitest';
import type { ReportCase } from './case-viewer.js';
import { htmlReport } from './report.js';
import { confusion } from './tables.js';

const classes = ['benign', 'malignant'];

/** Noise with bright boxes, most of them found nearly right, a few false ones. */
function madeUp<D extends Dim>(dim: D, size: readonly number[], seed: number, id: string): ReportCase<D> {
  const random = rng(seed);
  const count = random.integer(1, 4);
  const box = () => {
    const low = size.map((n) => random.integer(0, n - Math.min(12, n - 1)));
    return [...low, ...low.map((v, d) => v + random.integer(2, Math.min(12, size[d]!)))];
  };
  const objects = Array.from({ length: count }, box);
  const labels = objects.map(() => random.integer(0, 2));
  const found = [
    ...objects.filter(() => random.next() < 0.8).map((row) => row.map((v) => v + random.uniform(-1, 1))),
    ...Array.from({ length: 2 }, box),
  ];
  const voxels = product(size);
  const inside = (flat: number) => {
    let rest = flat;
    const at = [...size].reverse().map((n) => {
      const v = rest % n;
      rest = Math.floor(rest / n);
      return v;
    });
    at.reverse();
    return objects.some((row) => at.every((v, d) => v >= row[d]! && v < row[dim + d]!));
  };
  const data = Float32Array.from({ length: voxels }, (_, i) => random.normal() + (inside(i) ? 4 : 0));
  const map = new Float32Array(2 * voxels);
  for (let i = 0; i < voxels; i++) map[2 * i + (inside(i) ? 1 : 0)] = 1;
  return {
    id,
    image: volume({ dim, size, data }),
    groundTruth: { dim, boxes: Float32Array.from(objects.flat()), labels: Int32Array.from(labels) },
    detections: {
      dim,
      boxes: Float32Array.from(found.flat()),
      scores: Float32Array.from(found, (_, i) => (i < found.length - 2 ? random.uniform(0.5, 1) : random.uniform(0.1, 0.6))),
      labels: Int32Array.from(found, (_, i) => labels[i] ?? random.integer(0, 2)),
    },
    segmentation: { size: size as unknown as PerAxis<D>, classes: 2, data: map },
  };
}

describe.each([
  [2, [96, 128]],
  [3, [12, 64, 80]],
] as const)('a report in %iD', async (dim, size) => {
  const cases = Array.from({ length: 8 }, (_, i) => madeUp<Dim>(dim, size, i, `case <${i}>`));
  const training = [1, 2, 3].map((index) => ({ index, losses: { total: 1 / index }, metrics: { ap: index / 4 } }));
  const html = await htmlReport({
    title: `Demo & test in ${dim}D`,
    classes,
    cases,
    viewed: cases.slice(0, 2),
    training,
    resamples: 20,
  });
  if (process.env.MDT_REPORT_DIR) writeFileSync(`${process.env.MDT_REPORT_DIR}/report-${dim}d.html`, html);

  test('needs nothing from outside and escapes what is not its own', () => {
    expect(html).not.toMatch(/(src|href)="(?!data:)|url\(|@import|https?:\/\/(?!www\.w3\.org\/2000\/svg)/);
    expect(html).toContain('Demo &#38; test');
    expect(html).toContain('<figcaption>case &#60;0&#62;</figcaption>');
    expect(html).not.toContain('case <0>');
  });

  test('has its tables, curves and viewers', () => {
    for (const heading of ['Objects', 'Patients', 'Curves', 'Confusion', 'Training', 'Cases'])
      expect(html).toContain(`<h2>${heading}`);
    for (const title of ['Precision and recall', 'FROC', 'ROC, patients', 'Scores, benign', 'Scores, malignant']) {
      expect(html).toContain(title);
    }
    expect(html.match(/class="viewer"/g)).toHaveLength(2);
  });

  test('intervals are tinted areas: two classes in three charts, and all classes in the FROC', () => {
    expect(html.match(/<polygon [^>]*fill-opacity/g)!.length).toBeGreaterThanOrEqual(5);
    expect(html).toContain('all classes');
    for (const rate of ['1/8', '1/4', '1/2']) expect(html).toContain(`>${rate}</text>`);
  });

  test('viewers are added until the page is full, and no further image is loaded', async () => {
    let loaded = 0;
    async function* stream() {
      for (const item of cases) {
        loaded++;
        yield item;
      }
    }
    const shown = async (viewerLimit: number) => {
      loaded = 0;
      const page = await htmlReport({ title: 'x', classes, cases, viewed: stream(), viewerLimit, resamples: 2 });
      return [page.match(/class="viewer"/g)!.length, loaded, /The first \d of 8 cases/.exec(page)?.[0]];
    };
    expect(await shown(1)).toEqual([1, 2, 'The first 1 of 8 cases']);
    expect(await shown(2 ** 25)).toEqual([8, 8, undefined]);
  });

  test('every viewer has a picture for each slice and all boxes', () => {
    const texts = [...html.matchAll(/<script type="application\/json">(.*?)<\/script>/g)].map(([, json]) => JSON.parse(json!));
    expect(texts).toHaveLength(2);
    texts.forEach((data, i) => {
      expect(data.slices).toHaveLength(dim === 3 ? 12 : 1);
      expect(data.segmentation).toHaveLength(data.slices.length);
      expect(data.slices[0]).toMatch(/^data:image\/png;base64,/);
      expect(data.truth).toHaveLength(cases[i]!.groundTruth.labels.length);
      expect(data.detections).toHaveLength(cases[i]!.detections.labels.length);
    });
  });
});

test('the confusion table counts classes, misses and detections on nothing', () => {
  const square = [0, 0, 10, 10];
  const far = [30, 30, 40, 40];
  const item = {
    id: 'a',
    groundTruth: { dim: 2 as const, boxes: Float32Array.of(...square, 60, 60, 70, 70), labels: Int32Array.of(0, 1) },
    detections: {
      dim: 2 as const,
      boxes: Float32Array.of(...square, ...far, ...far),
      scores: Float32Array.of(0.9, 0.8, 0.1),
      labels: Int32Array.of(1, 1, 0),
    },
  };
  expect(confusion([item], { classes, iouThreshold: 0.1, minScore: Math.fround(0.8) })).toEqual([
    [0, 1, 0], // a benign object taken for malignant
    [0, 0, 1], // missed
    [0, 1, 0], // a detection on nothing; the weak one does not count, the one at the least score does
  ]);
});

test('where nothing was hit the page shows all that was found, and says why a number is missing', async () => {
  const item = {
    id: 'a',
    groundTruth: { dim: 2 as const, boxes: Float32Array.of(0, 0, 9, 9), labels: Int32Array.of(0) },
    detections: {
      dim: 2 as const,
      boxes: Float32Array.of(30, 30, 40, 40),
      scores: Float32Array.of(0.3),
      labels: Int32Array.of(0),
    },
  };
  const html = await htmlReport({ title: 'x', classes, cases: [item], resamples: 2 });
  expect(html).toContain('1 case, 1 patient.');
  expect(html).not.toContain('Best F1');
  expect(html).toContain('Confusion, scores from 0 on');
  expect(html).toContain('– (no object of class &#39;malignant&#39; counts in the cases evaluated)');
});
