"""Our CUDA ops beside PyTorch's and torchvision's on the same GPU: python3 bench.py NODE

Ours run in a Node process on arrays of the host, so their times hold the copies across the bus; torch's do too.
"""

import json
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import torch

OPS = Path(__file__).resolve().parents[2] / "packages/native-ops/dist/index.js"

OURS = """
import { readFileSync } from 'node:fs';
const { nonMaximumSuppression, roiAlign } = await import(process.argv[1]);
const { op, repeat, ...task } = JSON.parse(readFileSync(0, 'utf8'));
function floats(name) {
  const bytes = readFileSync(`${task.folder}/${name}`);
  return new Float32Array(bytes.buffer, bytes.byteOffset, bytes.length / 4).slice();
}
const boxes = floats('boxes');
const values = floats(op === 'nms' ? 'scores' : 'map');
const run = op === 'nms'
  ? () => nonMaximumSuppression(boxes, values, { dim: 2, iouThreshold: 0.5, device: 'cuda' }).length
  : () => roiAlign({ values, size: task.size }, boxes, { ...task.options, device: 'cuda' }).length;
let outcome = run();
const times = [];
for (let i = 0; i < repeat; i++) {
  const started = performance.now();
  outcome = run();
  times.push(performance.now() - started);
}
console.log(JSON.stringify({ milliseconds: times.sort((a, b) => a - b)[repeat >> 1], outcome }));
"""


def ours(folder, **task):
    command = [sys.argv[1], "--input-type=module", "--eval", OURS, OPS.as_uri()]
    done = subprocess.run(command, input=json.dumps({"folder": str(folder), "repeat": 20, **task}), capture_output=True, text=True)
    if done.returncode != 0:
        raise SystemExit(done.stderr)
    return json.loads(done.stdout)


def theirs(run):
    outcome = run()
    times = []
    for _ in range(20):
        torch.cuda.synchronize()
        started = time.perf_counter()
        outcome = run()
        torch.cuda.synchronize()
        times.append(1000 * (time.perf_counter() - started))
    return sorted(times)[len(times) // 2], outcome


def save(folder, **arrays):
    for name, array in arrays.items():
        np.ascontiguousarray(array, np.float32).tofile(folder / name)


def main(folder):
    try:
        from torchvision import ops
    except ImportError:
        print("python3 has no torchvision: nothing to compare with")
        return
    random = np.random.default_rng(0)
    for count in [1000, 10_000, 100_000]:
        low = random.uniform(0, 30 * count**0.5, (count, 2))
        boxes = np.concatenate([low, low + random.uniform(5, 60, (count, 2))], axis=1).astype(np.float32)
        scores = random.random(count, np.float32)
        save(folder, boxes=boxes, scores=scores)
        mine = ours(folder, op="nms")
        milliseconds, kept = theirs(lambda: ops.nms(torch.from_numpy(boxes).cuda(), torch.from_numpy(scores).cuda(), 0.5).cpu())
        print(f"nms 2d {count}: ours {mine['milliseconds']:.3f} ms (kept {mine['outcome']}), torchvision {milliseconds:.3f} ms (kept {len(kept)}), copies counted")
    features = random.standard_normal((80, 80, 256), np.float32)
    low = random.uniform(0, 40, (1000, 2))
    boxes = np.concatenate([low, low + random.uniform(2, 40, (1000, 2))], axis=1).astype(np.float32)
    save(folder, boxes=boxes, map=features)
    options = {"dim": 2, "channels": 256, "poolSize": [7, 7], "samplingRatio": 2}
    mine = ours(folder, op="roiAlign", size=[80, 80], options=options)
    rois = np.concatenate([np.zeros((1000, 1), np.float32), boxes[:, [1, 0, 3, 2]]], axis=1)

    def align():
        values = torch.from_numpy(features).cuda().permute(2, 0, 1)[None].contiguous()
        return ops.roi_align(values, torch.from_numpy(rois).cuda(), 7, 1.0, 2, True).cpu()

    milliseconds, _ = theirs(align)
    print(f"roi_align 2d 1000 of 7x7 256-80x80: ours {mine['milliseconds']:.3f} ms, torchvision {milliseconds:.3f} ms, copies counted")


if __name__ == "__main__":
    import tempfile

    with tempfile.TemporaryDirectory() as place:
        main(Path(place))
