import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { InputError } from '@mdt/core';
import { loadDetector } from '@mdt/onnx';
import { beforeAll, describe, expect, test } from 'vitest';
import { exportOnnx, quantiseOnnx } from '../src/index.js';
import { kinds, noise, small, temporaryFolder, useCpu } from './support.js';

// Python's onnx and onnxruntime, which set-up puts into .mdt/onnx-tools.

useCpu();
const dir = await temporaryFolder();
const packages = fileURLToPath(new URL('../../../.mdt/onnx-tools', import.meta.url));

beforeAll(() => {
  if (!existsSync(packages)) throw new Error(`${packages} is missing: npm test puts it there`);
});

function python(script: string, ...args: string[]): unknown {
  const { status, stdout, stderr } = spawnSync('python3', ['-c', script, ...args], {
    env: { ...process.env, PYTHONPATH: packages },
    encoding: 'utf8',
  });
  if (status !== 0) throw new Error(stderr);
  return JSON.parse(stdout);
}

// The checker with shape inference, and every graph run by Python's onnxruntime; the first also by ONNX's own reference evaluator.
const check = `
import json, sys
import numpy as np, onnx, onnxruntime
from onnx.reference import ReferenceEvaluator
out = {}
for n, path in enumerate(sys.argv[1:]):
    onnx.checker.check_model(path, full_check=True)
    model = onnx.load(path)
    rng = np.random.default_rng(0)
    feeds = {i.name: rng.standard_normal([a.dim_value or 1 for a in i.type.tensor_type.shape.dim]).astype("float32") for i in model.graph.input}
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    results = session.run(None, feeds)
    declared = [[a.dim_value or 1 for a in o.type.tensor_type.shape.dim] for o in model.graph.output]
    off = 0.0
    if "2D" in path and n % 2 == 0:
        for got, expected in zip(ReferenceEvaluator(model).run(None, feeds), results):
            off = max(off, float(np.abs(got - expected).max() / max(1, np.abs(expected).max())))
    ops = sorted({node.op_type for node in model.graph.node})
    out[path.split("/")[-1]] = {
        "off": off, "ops": ops, "inputs": sorted(feeds), "finite": all(bool(np.isfinite(r).all()) for r in results),
        "ranks": [len(d) for d in declared] == [r.ndim for r in results],
    }
print(json.dumps(out))
`;

test('ONNX checker, shape inference, other runtimes: all ten files are what they say', async () => {
  const files: string[] = [];
  for (const kind of kinds) {
    const detector = small(kind);
    for (const options of kind === 'MaskRCNN2D' ? [{}, { precision: 'float16' as const }, { size: 'free' as const }] : [{}]) {
      files.push(join(dir, `${kind}${Object.values(options)[0] ?? ''}.onnx`));
      await exportOnnx(detector, files.at(-1)!, options);
    }
    detector.dispose();
  }
  const found = python(check, ...files) as Record<
    string,
    { off: number; ops: string[]; inputs: string[]; finite: boolean; ranks: boolean }
  >;
  expect(Object.keys(found)).toHaveLength(12);
  for (const [name, { off, ops, inputs, finite, ranks }] of Object.entries(found)) {
    expect(off, name).toBeLessThan(1e-4);
    expect([finite, ranks], name).toEqual([true, true]);
    expect(ops, name).not.toContain('ConvTranspose');
    const heads = /MaskRCNN/.test(name)
      ? ['boxPooled', 'images', 'maskPooled']
      : /FasterRCNN/.test(name)
        ? ['boxPooled', 'images']
        : ['images'];
    expect(inputs, name).toEqual(heads);
  }
}, 120_000);

describe('int8 by the tools of onnxruntime', () => {
  test.each(['RetinaUNet2D', 'MaskRCNN3D'])(
    '%s: loads, keeps what it says of itself, gives nearly the same',
    async (kind) => {
      const detector = small(kind);
      const [file, out] = [join(dir, `${kind}-float.onnx`), join(dir, `${kind}-int8.onnx`)];
      await exportOnnx(detector, file, { licence: 'MIT' });
      const one = noise(detector, 1);
      expect(await quantiseOnnx(file, out, [one, one.map((v) => -v)], { packages })).toEqual([out]);
      const [plain, loaded] = [await loadDetector(file), await loadDetector(out)];
      expect(loaded.description).toEqual({ ...plain.description, precision: 'int8' });
      const wanted = { segmentation: true };
      const [expected, got] = [await plain.network.dense(one, 1, wanted), await loaded.network.dense(one, 1, wanted)];
      expected.logits.forEach((level, l) => {
        const rms = (values: Float32Array) => Math.sqrt(values.reduce((sum, v) => sum + v * v, 0) / values.length);
        const off = rms(level.map((v, i) => v - got.logits[l]![i]!)) / rms(level);
        expect(off).toBeGreaterThan(0); // it is another network
        expect(off).toBeLessThan(0.2);
      });
      expect((await loaded.detectPatches(one, 1)).detections).toHaveLength(1);
      expect((await readdir(dir)).filter((name) => name.startsWith('.quantise'))).toEqual([]);
      for (const other of [plain, loaded]) other.dispose();
    },
    120_000,
  );

  test('without Python, without patches, twice: a clear refusal, and nothing is left', async () => {
    const file = join(dir, 'RetinaUNet2D-float.onnx');
    const out = join(dir, 'never.onnx');
    const refused = quantiseOnnx(file, out, [], { python: 'no-such-python' });
    await expect(refused).rejects.toMatchObject({ code: 'missing-file' });
    await expect(refused).rejects.toThrow('-m pip install --target .mdt/onnx-tools -r ');
    await expect(quantiseOnnx(file, out, [], { packages })).rejects.toMatchObject({ code: 'empty-dataset' });
    const again = quantiseOnnx(join(dir, 'RetinaUNet2D-int8.onnx'), out, [], { packages });
    await expect(again).rejects.toThrow('is int8, expected float32');
    await expect(quantiseOnnx(file, out, [], { pythn: '' } as never)).rejects.toBeInstanceOf(InputError);
    expect((await readdir(dir)).filter((name) => /never|quantise/.test(name))).toEqual([]);
  });
});
