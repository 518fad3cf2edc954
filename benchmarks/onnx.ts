// A model file on onnxruntime-node through our predictor, beside Python's onnxruntime on the same file, and the engine 'torch'.
//
// Retina U-Net as the original configures it, float32, untrained. `patch`: one forward pass through `loadDetector`; `patient`: a volume
// of four tiles from array to detections, beside the bare forward passes of its tiles, ours and Python's.
// MDT_BENCH_TINY=1 shrinks the patches, to see that everything runs.
import { execFileSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import type { Dim } from '@mdt/core';
import { benchmark, type Case, threads } from './harness.js';
import { type OnnxCase, tileCount } from './onnx-case.js';
import { nodeProcess, pythonPeer } from './process-contestant.js';
import { sharedPath } from './retina-case.js';

const tiny = process.env.MDT_BENCH_TINY === '1';
const settings: { dim: Dim; patchSize: number[]; size: number[] }[] = [
  tiny ? { dim: 3, patchSize: [16, 64, 64], size: [16, 96, 96] } : { dim: 3, patchSize: [64, 128, 128], size: [64, 220, 220] }, // as the original's LIDC experiment
  tiny ? { dim: 2, patchSize: [64, 64], size: [96, 96] } : { dim: 2, patchSize: [320, 320], size: [600, 600] }, // its toy experiment
];

const written = new Set<string>();

/** Starts a contestant once the model file is there. */
const withModel =
  <T>(aCase: OnnxCase, start: () => Promise<T>) =>
  (): Promise<T> => {
    if (!written.has(aCase.model)) {
      const script = fileURLToPath(new URL('onnx-write.ts', import.meta.url));
      execFileSync(process.execPath, [...process.execArgv, script, JSON.stringify(aCase)], { stdio: 'inherit' });
      written.add(aCase.model);
    }
    return start();
  };

const cases = settings.flatMap((setting): Case[] => {
  const { dim, patchSize } = setting;
  const model = sharedPath(`onnx-${dim}d${tiny ? '-tiny' : ''}.onnx`);
  const base = { ...setting, threads, model };
  const ours = (name: string, work: OnnxCase['work'], engine: OnnxCase['engine'] = 'onnxruntime') => {
    const aCase: OnnxCase = { ...base, work, engine };
    return withModel(aCase, nodeProcess(name, 'onnx-ours.ts', aCase));
  };
  const python = (work: 'patch' | 'tiles') => {
    const passes = work === 'tiles' ? tileCount(setting) : 1;
    return pythonPeer(`Python's onnxruntime, ${work}`, ['onnx_peer.py'], { ...base, passes });
  };
  const name = `retina_unet ${dim}d ${patchSize.join('x')}`;
  return [
    { name: `${name} patch`, ours: ours('ours', 'patch'), peers: [python('patch')] },
    {
      name: `${name} patient of ${tileCount(setting)} tiles`,
      ours: ours('ours', 'patient'),
      peers: [ours('forward passes of the tiles', 'tiles'), python('tiles'), ours("engine 'torch'", 'patient', 'torch')],
    },
  ];
});

await benchmark('onnx', cases, { repeat: 5 });
