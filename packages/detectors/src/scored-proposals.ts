import type { BoxArray } from '@mdt/core';
import type { Proposals } from '@mdt/decode';

/** The proposals of all images in one list, each with the index of its image. */
export function flatten(proposals: readonly Proposals[]): { boxes: Float32Array; images: Int32Array } {
  const boxes = new Float32Array(proposals.reduce((sum, one) => sum + one.boxes.length, 0));
  const images = new Int32Array(proposals.reduce((sum, one) => sum + one.scores.length, 0));
  let box = 0;
  let row = 0;
  proposals.forEach((one, image) => {
    boxes.set(one.boxes, box);
    images.fill(image, row, row + one.scores.length);
    box += one.boxes.length;
    row += one.scores.length;
  });
  return { boxes, images };
}

/** The best probability of a foreground class, per proposal; `outputs` values each, the classes last. */
export function highestForeground(probabilities: BoxArray, outputs: number, classes: number): Float64Array {
  return Float64Array.from({ length: probabilities.length / outputs }, (_, i) => {
    const end = (i + 1) * outputs;
    return Math.max(...probabilities.subarray(end - classes, end));
  });
}
