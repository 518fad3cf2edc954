// Consolidation alone, without TensorFlow.js: three tiles and two models looked at one lesion and one false alarm.
// Run: npx tsx examples/src/wbc-only.ts
import { type Detections, type PerAxis, planTiles, rows } from '@mdt/core';
import { concatCandidates, softNms, weightedBoxClustering, weightedBoxesFusion, withProvenance } from '@mdt/wbc';

const size: PerAxis<2> = [64, 160];
const tiles = planTiles(size, { patchSize: [64, 64], minOverlap: 16 });
const models = 2;

/** What each forward pass found, in voxels of its tile: the lesion at y 20…30, x 50…62 of the image, a little off every time. */
function foundBy(model: number, tile: number): Detections<2> {
  const left = tiles[tile]!.origin[1];
  const seen = left <= 50 && left + 64 >= 62;
  const boxes = seen ? [20 + model, 50 - left, 30, 62 - left + model] : [];
  const scores = seen ? [0.9 - 0.1 * model] : [];
  if (model === 1 && tile === 2) {
    boxes.push(5, 40, 12, 47); // only one model sees this one
    scores.push(0.7);
  }
  return {
    dim: 2,
    boxes: Float32Array.from(boxes),
    scores: Float32Array.from(scores),
    labels: new Int32Array(scores.length),
  };
}

const candidates = concatCandidates(
  2,
  Array.from({ length: models * tiles.length }, (_, patchId) => {
    const tile = patchId % tiles.length;
    return withProvenance(foundBy(Math.floor(patchId / tiles.length), tile), { patchId, tile: tiles[tile]!, tiles, size });
  }),
);

function show(title: string, detections: Detections): void {
  console.log(`\n${title}`);
  for (const { box, score } of rows(detections))
    console.log(`  [${box.map((v) => v.toFixed(1)).join(', ')}]  ${score.toFixed(3)}`);
}

show('candidates', candidates);
show('weighted box clustering', weightedBoxClustering(candidates, { iouThreshold: 0.1, predictionsPerTile: models }));
const modelOf = candidates.patchIds.map((id) => Math.floor(id / tiles.length));
show('weighted boxes fusion', weightedBoxesFusion(candidates, modelOf, { iouThreshold: 0.3 }));
const soft = softNms(candidates.boxes, candidates.scores, { dim: 2 });
console.log('\nsoft NMS keeps, with falling scores');
soft.kept.forEach((i, k) => {
  console.log(`  candidate ${i}  ${soft.scores[k]!.toFixed(3)}`);
});
