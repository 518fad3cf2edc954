import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { rng } from '@mdt/core';
import { countsToString, encodeMask } from '@mdt/eval-coco';

export interface CocoFiles {
  groundTruth: string;
  results: string;
}

const numClasses = 80;
const side = 480;

/**
 * Writes COCO files of random images: about 7 objects and 50 detections each, 80 classes, boxes of 8 to 200 pixels, one detection in
 * three near an object. With `masks` the objects are ellipses in their boxes.
 */
export function writeCocoFiles(numImages: number, { masks }: { masks: boolean }): CocoFiles {
  const random = rng(numImages);
  const whole = (low: number, high: number) => random.integer(low, high);
  const images = Array.from({ length: numImages }, (_, i) => ({ id: i + 1, height: side, width: side }));
  const annotations: object[] = [];
  const results: object[] = [];
  const parts = (bbox: number[]) => ({
    bbox,
    ...(masks && { segmentation: { size: [side, side], counts: countsToString(ellipse(bbox).counts) } }),
  });
  for (const { id } of images) {
    const objects = Array.from({ length: whole(2, 13) }, () => {
      const bbox = [whole(0, 280), whole(0, 280), whole(8, 200), whole(8, 200)];
      return { bbox, category: whole(1, numClasses + 1) };
    });
    for (const { bbox, category } of objects) {
      annotations.push({
        id: annotations.length + 1,
        image_id: id,
        category_id: category,
        iscrowd: random.next() < 0.01 ? 1 : 0,
        area: bbox[2]! * bbox[3]! * 0.7,
        ...parts(bbox),
      });
    }
    for (let d = 0; d < 50; d++) {
      const near = d % 3 === 0 ? objects[whole(0, objects.length)]! : undefined;
      const bbox = near
        ? near.bbox.map((v, k) => Math.max(k < 2 ? 0 : 4, v + whole(-6, 7)))
        : [whole(0, 280), whole(0, 280), whole(8, 200), whole(8, 200)];
      const score = Number(random.next().toFixed(6));
      results.push({ image_id: id, category_id: near?.category ?? whole(1, numClasses + 1), score, ...parts(bbox) });
    }
  }
  const categories = Array.from({ length: numClasses }, (_, i) => ({ id: i + 1, name: `class ${i + 1}` }));
  const folder = fileURLToPath(new URL('../.mdt/benchmarks', import.meta.url));
  mkdirSync(folder, { recursive: true });
  const name = `coco-${numImages}${masks ? '-masks' : ''}`;
  const files = { groundTruth: join(folder, `${name}-truth.json`), results: join(folder, `${name}-results.json`) };
  writeFileSync(files.groundTruth, JSON.stringify({ info: {}, images, annotations, categories }));
  writeFileSync(files.results, JSON.stringify(results));
  return files;
}

function ellipse([x, y, w, h]: number[]) {
  const mask = new Uint8Array(side * side);
  for (let row = y!; row < Math.min(side, y! + h!); row++) {
    for (let column = x!; column < Math.min(side, x! + w!); column++) {
      const [u, v] = [(2 * (row - y!) + 1) / h! - 1, (2 * (column - x!) + 1) / w! - 1];
      if (u * u + v * v <= 1) mask[row * side + column] = 1;
    }
  }
  return encodeMask(mask, [side, side]);
}
