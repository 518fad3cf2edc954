import '@tensorflow/tfjs-backend-cpu';
import { type Backbone, fpn, plainEncoder, resNetFpn } from '@mdt/backbone';
import { type Dim, type GroundTruth, type PerAxis, product, rng } from '@mdt/core';
import * as tf from '@tensorflow/tfjs-core';
import { expect, test } from 'vitest';
import {
  DetectionUNet2D,
  type Detector,
  FasterRCNN2D,
  MaskRCNN2D,
  RetinaNet2D,
  RetinaNet3D,
  RetinaUNet2D,
  RetinaUNet3D,
} from '../src/index.js';

const classes = ['round', 'square'] as const;

/** One object in the first of two images of noise. */
function batchOf(detector: Detector) {
  const random = rng('backbones');
  const { dim, inChannels } = detector;
  const size = Array.from(detector.patchSize as readonly number[]);
  const box = [...size.map((n) => n / 4), ...size.map((n) => (3 * n) / 4)];
  const voxels = product(size);
  const instances = Int32Array.from({ length: 2 * voxels }, (_, i) => {
    let rest = i % voxels;
    let inside = i < voxels;
    for (let d = dim - 1; d >= 0; d--) {
      const at = rest % size[d]!;
      rest = (rest - at) / size[d]!;
      inside &&= at >= box[d]! && at < box[dim + d]!;
    }
    return inside ? 1 : 0;
  });
  const pixels = Float32Array.from({ length: 2 * voxels * inChannels }, (_, i) => {
    return random.normal() + 2 * instances[Math.floor(i / inChannels)]!;
  });
  const target = (boxes: number[], labels: number[]) =>
    ({ dim, boxes: Float32Array.from(boxes), labels: Int32Array.from(labels) }) as GroundTruth<Dim>;
  return {
    images: tf.tensor(pixels, [2, ...size, inChannels]),
    targets: [target(box, [1]), target([], [])],
    segmentation: tf.tensor(
      instances.map((v) => 2 * v),
      [2, ...size],
      'int32',
    ),
    instances: tf.tensor(instances, [2, ...size], 'int32'),
  };
}

/** A step gives finite gradients to every variable, and detections lie within the patch. */
async function trainsAndDetects<D extends Dim>(given: Detector<D>): Promise<void> {
  const detector = given as unknown as Detector;
  const size = Array.from(detector.patchSize as readonly number[]);
  const batch = batchOf(detector);
  const variables = detector.variables.map(({ variable }) => variable);
  const { value, grads } = tf.tidy(() => tf.variableGrads(() => detector.loss(batch, rng(0)).total, variables));
  expect(Number.isFinite((await value.data())[0])).toBe(true);
  expect(Object.keys(grads)).toHaveLength(variables.length);
  for (const gradient of Object.values(grads)) expect((await gradient.data()).every(Number.isFinite)).toBe(true);
  const { detections, segmentation, masks } = await detector.detect(batch.images);
  expect(detections).toHaveLength(2);
  for (const { boxes } of detections) {
    boxes.forEach((v, i) => {
      expect(v).toBeGreaterThanOrEqual(0);
      expect(v).toBeLessThanOrEqual(size[i % detector.dim]!);
    });
  }
  if (segmentation) expect(segmentation.shape.slice(0, -1)).toEqual([2, ...size]);
  if (masks) expect(masks.map(({ length }) => length)).toEqual(detections.map(({ labels }) => labels.length * product(size)));
  segmentation?.dispose();
  detector.dispose();
  tf.dispose([value, ...Object.values(grads), batch.images, batch.segmentation, batch.instances]);
}

/** An nnU-Net-style encoder at strides 1 to 8 under a feature pyramid. */
const plain = <D extends Dim>(dim: D, more: object = {}, levels?: string[]): Backbone<D> =>
  fpn(plainEncoder({ dim, startFilters: 2, strides: [1, 2, 2, 2], ...more }), { outChannels: 4, ...(levels && { levels }) });

const planar = { classes, patchSize: [32, 32] as const };

test('each of the five detectors stands on a plain encoder instead of a ResNet', async () => {
  const heads = { headFilters: 4, anchors: { octaves: 1 } };
  const two = { ...heads, proposals: { training: 8, inference: 8 }, boxHead: { filters: 4, poolSize: [3, 3] } };
  await trainsAndDetects(new RetinaNet2D({ ...planar, ...heads, backbone: plain(2, { strides: [2, 2, 2, 2] }) }));
  await trainsAndDetects(new RetinaUNet2D({ ...planar, ...heads, backbone: plain(2) }));
  await trainsAndDetects(new FasterRCNN2D({ ...planar, ...two, backbone: plain(2), segmenter: {} }));
  await trainsAndDetects(new MaskRCNN2D({ ...planar, ...two, backbone: plain(2), maskHead: { poolSize: [4, 4] } }));
  await trainsAndDetects(new DetectionUNet2D({ ...planar, backbone: plain(2, {}, ['P0']) }));
});

test('group norm trains in backbone and heads, in widths that 16 divides and others', async () => {
  const two = { headFilters: 4, proposals: { training: 8, inference: 8 }, boxHead: { filters: 4, poolSize: [3, 3] } };
  const backbone = (startFilters: number) =>
    fpn(plainEncoder({ dim: 2, startFilters, strides: [2, 2, 2], norm: 'group' }), { outChannels: 16 });
  await trainsAndDetects(new FasterRCNN2D({ ...planar, ...two, norm: 'group', backbone: backbone(16) }));
  await trainsAndDetects(new FasterRCNN2D({ ...planar, ...two, norm: 'group', backbone: backbone(3) }));
});

test('strides of one’s own: volumes whose slices are never merged', async () => {
  const inPlane: PerAxis<3> = [1, 2, 2];
  const patchSize = [3, 32, 32] as const;
  const strides = [inPlane, inPlane, inPlane, inPlane, inPlane];
  const backbone = resNetFpn({ dim: 3, startFilters: 2, outChannels: 4, strides });
  expect(backbone.features.map(({ stride }) => Array.from(stride as readonly number[]))).toEqual([
    [1, 4, 4],
    [1, 8, 8],
    [1, 16, 16],
    [1, 32, 32],
  ]);
  await trainsAndDetects(new RetinaNet3D({ classes, patchSize, headFilters: 4, backbone }));
  const fine = plain(3, { strides: [1, inPlane, inPlane] });
  await trainsAndDetects(new RetinaUNet3D({ classes, patchSize, headFilters: 4, backbone: fine }));
});

test('neighbouring slices as channels are channels', async () => {
  const backbone = plain(2, { inChannels: 5, strides: [2, 2, 2] }); // a slice and two on each side of it
  await trainsAndDetects(new RetinaNet2D({ ...planar, headFilters: 4, backbone }));
});
