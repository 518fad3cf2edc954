// Our side of benchmarks/onnx.ts: a model file through `loadDetector` and the predictor, or the detector that it came from on 'torch'.
import { type Dim, type PatchDetector, product, rng, volume } from '@mdt/core';
import { loadDetector } from '@mdt/onnx';
import { createPredictor } from '@mdt/predictor';
import { useTorch } from '@mdt/tfjs-torch';
import { type OnnxCase, tileCount } from './onnx-case.js';
import { detectorOf } from './onnx-detector.js';
import { serve, type Work } from './serve.js';

await serve(async (aCase: OnnxCase): Promise<Work> => {
  const { dim, patchSize, size, work, engine, threads, model } = aCase;
  if (engine === 'torch') await useTorch({ threads });
  const detector: PatchDetector<Dim> =
    engine === 'torch' ? await detectorOf(aCase) : await loadDetector(model, { threads, executionProviders: ['cpu'] });
  const random = rng('onnx benchmark');
  const noise = (shape: readonly number[]) => Float32Array.from({ length: product(shape) }, () => random.normal());
  if (work === 'patient') {
    const patient = volume<Dim, Float32Array>({ dim, size, data: noise(size) });
    const predictor = createPredictor<Dim>([detector], { batchSize: 1 });
    return {
      async run() {
        const { detections, timings } = await predictor.predict(patient);
        const { tileMs, consolidateMs } = timings;
        return `${detections.labels.length} detections, tiles ${tileMs.toFixed(0)} ms, consolidation ${consolidateMs.toFixed(0)} ms`;
      },
    };
  }
  if (!('network' in detector)) throw new RangeError('onnx-ours: bare forward passes are those of model files');
  const { network } = detector as Awaited<ReturnType<typeof loadDetector>>;
  const patch = noise(patchSize);
  const passes = work === 'tiles' ? tileCount(aCase) : 1;
  return {
    async run() {
      for (let i = 0; i < passes; i++) await network.dense(patch, 1, { segmentation: false });
      return `${passes} passes`;
    },
  };
});
