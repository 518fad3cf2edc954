"""The peer of benchmarks/onnx.ts: a model file in Python's onnxruntime, one forward pass of a patch, or of as many tiles as a patient has."""

import numpy as np
import onnxruntime
from serve import serve


def prepare(case):
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = case["threads"]
    session = onnxruntime.InferenceSession(case["model"], options, providers=["CPUExecutionProvider"])
    wanted = [output.name for output in session.get_outputs() if output.name != "segmentation"]
    patch = np.random.default_rng(0).standard_normal((1, *case["patchSize"], 1)).astype(np.float32)

    def run():
        for _ in range(case["passes"]):
            session.run(wanted, {"images": patch})
        return f"{case['passes']} passes"

    return run


if __name__ == "__main__":
    serve(prepare)
