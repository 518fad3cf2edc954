import { inflateSync } from 'node:zlib';
import { volume } from '@mdt/core';
import { describe, expect, test } from 'vitest';
import { ticks } from './chart.js';
import { plotPrecisionRecall, plotTraining } from './curves.js';
import { contrastWindow, pictureOf } from './image.js';
import { plotImage, plotMontage } from './overlay.js';
import { encodePng, renderPng } from './png.js';
import { document, element, escapeXml, text } from './svg.js';

const sizeOf = (png: Uint8Array) => {
  const view = new DataView(png.buffer, png.byteOffset);
  return [view.getUint32(16), view.getUint32(20)];
};

describe('pictures', () => {
  test('a PNG holds the pixels that went in', () => {
    const png = Buffer.from(encodePng(Uint8Array.of(1, 2, 3, 4, 5, 6), 3, 2));
    const at = png.indexOf('IDAT');
    const data = inflateSync(png.subarray(at + 4, at + 4 + png.readUInt32BE(at - 4)));
    expect(Array.from(data)).toEqual([0, 1, 2, 3, 0, 4, 5, 6]);
    expect(sizeOf(png)).toEqual([3, 2]);
    expect(() => encodePng(new Uint8Array(5), 3, 2)).toThrow('expected 6');
  });

  test('the window maps its ends to black and white', () => {
    const image = volume({ dim: 2, size: [1, 4], data: Float32Array.of(-5, 0, 5, 20) });
    expect(Array.from(pictureOf(image, 0, [0, 10]).pixels)).toEqual([0, 0, 128, 255]);
  });

  test('a constant image has a window and a picture', () => {
    const image = volume({ dim: 2, size: [2, 2], data: new Float32Array(4).fill(7) });
    expect(contrastWindow(image)).toEqual([7, 8]);
    expect(Array.from(pictureOf(image).pixels)).toEqual([0, 0, 0, 0]);
  });

  test('slice z of a volume is shown, three channels as colours', () => {
    const data = Float32Array.from({ length: 2 * 1 * 2 * 3 }, (_, i) => i);
    const image = volume({ dim: 3, size: [2, 1, 2], channels: 3, data });
    expect(pictureOf(image, 1, [0, 255])).toMatchObject({ channels: 3, pixels: Uint8Array.of(6, 7, 8, 9, 10, 11) });
  });
});

test('ticks are round numbers within the range', () => {
  expect(ticks(0, 1, 5)).toEqual([0, 0.2, 0.4, 0.6, 0.8, 1]);
  expect(ticks(3, 97, 4)).toEqual([50]);
  expect(ticks(-1, 1, 4)).toEqual([-1, -0.5, 0, 0.5, 1]);
});

test('text becomes XML that cannot break out', () => {
  expect(escapeXml('<a b="c">&\u0007')).toBe('&#60;a b=&#34;c&#34;&#62;&#38;\ufffd');
  const svg = plotTraining([{ index: 1, losses: { '<script>': 1 } }], { title: '</svg>' });
  expect(svg).not.toContain('<script>');
  expect(svg.match(/<\/svg>/g)).toHaveLength(1);
});

test('letters are drawn without any font on the machine', () => {
  const page = (content: string) =>
    document(60, 20, element('rect', { width: 60, height: 20, fill: '#fff' }), text(content, { x: 5, y: 15 }));
  expect(renderPng(page('0.953')).length).toBeGreaterThan(renderPng(page('')).length + 100);
});

describe('curves', () => {
  const epochs = [
    { index: 1, losses: { total: 2, class: 1.5 }, metrics: { ap: 0.2 } },
    { index: 2, losses: { total: 1, class: 0.7 }, metrics: {} },
    { index: 3, losses: { total: 0.5, class: 0.3 }, metrics: { ap: 0.8 } },
  ];
  test('show every part of the loss and mark the best epoch', () => {
    const svg = plotTraining(epochs, { best: 'ap' });
    for (const word of ['total', 'class', 'AP, mean', '0.800 at epoch 3']) expect(svg).toContain(`>${word}<`);
    expect(sizeOf(renderPng(svg, { scale: 1 }))[0]).toBe(860);
  });
  test('can be drawn from one epoch, from losses that are not finite, and from no validation', () => {
    for (const losses of [{ total: 1 }, { total: Number.NaN }, { total: 0 }]) {
      expect(plotTraining([{ index: 1, losses }])).not.toContain('NaN');
    }
  });
  test('precision and recall carry their AP; an empty curve is an empty frame', () => {
    const curve = { name: 'IoU 0.5', recall: [0, 0.5], precision: [1, 0.9], ap: 0.4567 };
    expect(plotPrecisionRecall([curve])).toContain('IoU 0.5: AP 0.457');
    expect(plotPrecisionRecall([{ name: 'none', recall: [], precision: [] }])).not.toContain('NaN');
  });
});

describe('overlays', () => {
  const image = volume({ dim: 2, size: [20, 30], data: new Float32Array(600).map((_, i) => i % 7) });
  const groundTruth = { dim: 2 as const, boxes: Float32Array.of(2, 3, 8, 9), labels: Int32Array.of(0) };
  const detections = {
    dim: 2 as const,
    boxes: Float32Array.of(2, 3, 8, 10, 0, 0, 5, 5),
    scores: Float32Array.of(0.87, 0.02),
    labels: Int32Array.of(0, 0),
  };

  test('draw truth and every detection above the least score, with its score', () => {
    const svg = plotImage(image, { groundTruth, detections, zoom: 10 });
    expect(svg).toContain('>.87<');
    expect(svg).not.toContain('>.02<');
    expect(svg).toContain('x="30" y="20" width="60" height="60"'); // the truth: x 3…9, y 2…8, ten times as large
    expect(svg).toContain('1 detections, score ≥ 0.1');
  });

  test('an image without objects and detections is just the image', () => {
    expect(sizeOf(renderPng(plotImage(image), { scale: 1 }))[0]).toBeGreaterThan(400);
  });

  test('a montage shows the slices that hold objects, boxes only where they are cut', () => {
    const stack = volume({ dim: 3, size: [10, 20, 30], data: new Float32Array(6000) });
    const truth = { dim: 3 as const, boxes: Float32Array.of(3, 2, 3, 6, 8, 9), labels: Int32Array.of(0) };
    const svg = plotMontage(stack, { groundTruth: truth });
    expect([...svg.matchAll(/>z (\d+)</g)].map((match) => Number(match[1]))).toEqual([3, 4, 5]);
    const chosen = plotMontage(stack, { groundTruth: truth, slices: [0, 4], columns: 1 });
    expect(chosen.match(/stroke-width="3"/g)).toHaveLength(1);
  });

  test('boxes of another dimension and slices that are not there are refused', () => {
    const stack = volume({ dim: 3, size: [2, 4, 4], data: new Float32Array(32) });
    expect(() => plotMontage(stack, { groundTruth })).toThrow('dim 2');
    expect(() => plotMontage(stack, { slices: [2] })).toThrow('slice 2');
  });
});

test('losses of the validation are drawn with those of the training, dashed, and no metric among the scores', () => {
  const svg = plotTraining(
    [1, 2].map((index) => ({ index, losses: { total: 2, box: 1 }, metrics: { loss: 3, 'loss:box': 2, 'ap:a': 0.5 } })),
  );
  const texts = Array.from(svg.matchAll(/<text[^>]*>([^<]*)<\/text>/g), ([, content]) => content);
  expect(texts.filter((content) => /total|box|AP/.test(content!))).toEqual([
    'total',
    'box',
    'total, validation',
    'box, validation',
    'AP, a',
  ]);
  expect(svg.match(/<path [^>]*stroke-dasharray="6 4"/g)).toHaveLength(2);
});
