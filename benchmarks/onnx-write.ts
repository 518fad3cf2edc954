// node onnx-write.ts CASE: writes the model file of a case of benchmarks/onnx.ts, in a process of its own.
import { exportOnnx } from '@mdt/onnx-export';
import { useTorch } from '@mdt/tfjs-torch';
import type { OnnxCase } from './onnx-case.js';
import { detectorOf } from './onnx-detector.js';

const aCase = JSON.parse(process.argv[2]!) as OnnxCase;
await useTorch({ threads: aCase.threads });
await exportOnnx(await detectorOf(aCase), aCase.model);
