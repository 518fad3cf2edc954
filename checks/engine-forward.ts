import { product, rng, type SafeTensor } from '@mdt/core';
import {
  DetectionUNet2D,
  DetectionUNet3D,
  FasterRCNN2D,
  FasterRCNN3D,
  MaskRCNN2D,
  MaskRCNN3D,
  type Network,
  RetinaNet,
  RetinaNet2D,
  RetinaNet3D,
  RetinaUNet2D,
  RetinaUNet3D,
  type TrainBatch,
} from '@mdt/detectors';
import * as tf from '@tensorflow/tfjs-core';

const common = { classes: ['a', 'b'], startFilters: 2, outChannels: 4 } as const;
const planar = { ...common, patchSize: [32, 64] } as const;
const volumetric = { ...common, patchSize: [8, 32, 32] } as const;
const two = { headFilters: 4, norm: 'instance' } as const;
const second = { 2: { poolSize: [3, 3], filters: 8 }, 3: { poolSize: [2, 3, 3], filters: 8 } } as const;

/** One of each detector, small; what differs between engines is all in them: norms, activations, poolings, transposed convolutions. */
export const smallDetectors: Readonly<Record<string, () => Network<2, string> | Network<3, string>>> = {
  RetinaNet2D: () => new RetinaNet2D({ ...planar, headFilters: 4, norm: 'batch' }),
  RetinaNet3D: () => new RetinaNet3D({ ...volumetric, headFilters: 4 }),
  RetinaUNet2D: () => new RetinaUNet2D({ ...planar, headFilters: 4, activation: 'leakyRelu' }),
  RetinaUNet3D: () => new RetinaUNet3D({ ...volumetric, headFilters: 4 }),
  MaskRCNN2D: () => new MaskRCNN2D({ ...planar, ...two, boxHead: second[2], maskHead: { poolSize: [4, 4] } }),
  MaskRCNN3D: () => new MaskRCNN3D({ ...volumetric, ...two, boxHead: second[3], maskHead: { poolSize: [2, 4, 4] } }),
  FasterRCNN2D: () => new FasterRCNN2D({ ...planar, ...two, boxHead: second[2] }),
  FasterRCNN3D: () => new FasterRCNN3D({ ...volumetric, ...two, boxHead: second[3], segmenter: {} }),
  DetectionUNet2D: () => new DetectionUNet2D(planar),
  DetectionUNet3D: () => new DetectionUNet3D(volumetric),
};

/** Noise in the shape of a detector's images. */
export function noiseFor({ patchSize, inChannels }: Network<2, string> | Network<3, string>): Float32Array {
  const random = rng('engines');
  return Float32Array.from({ length: 2 * product(patchSize) * inChannels }, () => random.normal());
}

/** Everything that one forward pass of a detector gives on the active backend, by name; the second stage on fixed boxes. */
export async function forwardPass(name: string, weights?: ReadonlyMap<string, SafeTensor>) {
  const detector = smallDetectors[name]!() as Network<2, string>;
  try {
    detector.build(rng('engines'));
    if (weights) detector.setWeights(weights);
    const images = tf.tensor(noiseFor(detector), [2, ...detector.patchSize, detector.inChannels]);
    const outputs = tf.tidy(() => {
      if (detector instanceof DetectionUNet2D || detector instanceof DetectionUNet3D) {
        return [detector.forward(images, 'predict').segmentation];
      }
      if (detector instanceof RetinaNet) {
        const { logits, deltas, segmentation } = detector.forward(images, 'predict');
        return [...logits, ...deltas, ...(segmentation ? [segmentation] : [])];
      }
      const staged = detector as unknown as FasterRCNN2D | MaskRCNN2D;
      const first = staged.forward(images, 'predict');
      const side = Math.min(...detector.patchSize);
      const box = Array.from({ length: 2 * detector.dim }, (_, i) => (i < detector.dim ? 1.5 : side - 1.25));
      const boxes = Float32Array.from([...box, ...box.map((v) => v / 2)]);
      const where = Int32Array.of(0, 1);
      const head = staged.runBoxHead(first.features, boxes, where, 'predict');
      const masks = staged instanceof MaskRCNN2D || staged instanceof MaskRCNN3D;
      const mask = masks ? [(staged as MaskRCNN2D).runMaskHead(first.features, boxes, where, 'predict')] : [];
      const map = first.segmentation ? [first.segmentation] : [];
      return [...first.logits, ...first.deltas, head.logits, head.deltas, ...mask, ...map];
    });
    const values = await Promise.all(outputs.map(async (output) => Float32Array.from(await output.data())));
    tf.dispose([images, outputs]);
    return { values, weights: await detector.weights() };
  } finally {
    detector.dispose();
  }
}

/** One training step: the loss and the norm of all gradients. */
export async function trainingStep(
  name: string,
  weights: ReadonlyMap<string, SafeTensor>,
): Promise<[loss: number, norm: number]> {
  const detector = smallDetectors[name]!() as Network<2, string>;
  detector.setWeights(weights);
  const { patchSize, dim, inChannels } = detector;
  const images = tf.tensor(noiseFor(detector), [2, ...patchSize, inChannels]);
  const box = Array.from({ length: 2 * dim }, (_, i) => (i < dim ? 1 : Math.min(7, ...patchSize)));
  const targets = [Float32Array.from(box), new Float32Array(0)].map((boxes) => ({
    ...{ dim, boxes },
    labels: new Int32Array(boxes.length / (2 * dim)),
  }));
  const segmentation = tf.zeros([2, ...patchSize], 'int32');
  const batch = { images, targets, segmentation, instances: segmentation } as TrainBatch<2>;
  const { value, grads } = tf.variableGrads(() => detector.loss(batch, rng('draws')).total);
  const all = await Promise.all(Object.values(grads).map((grad) => grad.data()));
  const squares = all.reduce((sum, grad) => sum + (grad as Float32Array).reduce((s, v) => s + v * v, 0), 0);
  const [loss] = await value.data();
  tf.dispose([value, grads, images, segmentation]);
  detector.dispose();
  return [loss!, Math.sqrt(squares)];
}

/** The largest difference between two passes as a share of each output's largest value. */
export function largestDifference(ours: readonly Float32Array[], theirs: readonly Float32Array[]): number {
  if (ours.length !== theirs.length) return Number.NaN;
  return Math.max(
    ...ours.map((values, i) => {
      const other = theirs[i]!;
      if (values.length !== other.length) return Number.NaN;
      let worst = 0;
      let largest = 1e-12;
      for (let k = 0; k < values.length; k++) {
        const off = Math.abs(values[k]! - other[k]!);
        if (!(off <= worst)) worst = off; // takes NaN
        largest = Math.max(largest, Math.abs(other[k]!));
      }
      return worst / largest;
    }),
  );
}
