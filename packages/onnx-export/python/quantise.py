"""An ONNX file with weights and activations of 8 bits, by onnxruntime's own tools (static quantisation, QDQ).

    python3 quantise.py MODEL OUT CALIBRATION

CALIBRATION is a JSON file: `feeds`, a list of what one run takes, by input `{"shape": […], "offset": bytes}`, and `values`, the
file with the float32 values. The texts that the model says of itself stay, but for its precision.
"""

import json
import os
import sys
import tempfile

import numpy as np
import onnx
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static


class Feeds(CalibrationDataReader):
    def __init__(self, path):
        with open(path) as file:
            told = json.load(file)
        self.feeds = iter(told["feeds"])
        self.values = np.memmap(told["values"], dtype="<f4", mode="r")

    def get_next(self):
        feed = next(self.feeds, None)
        if feed is None:
            return None
        return {name: self.tensor(**where) for name, where in feed.items()}

    def tensor(self, shape, offset):
        start = offset // 4
        return np.array(self.values[start : start + int(np.prod(shape))]).reshape(shape)


def main(model, out, calibration):
    external = os.path.exists(f"{model}.data")
    told = {prop.key: prop.value for prop in onnx.load(model, load_external_data=False).metadata_props}
    with tempfile.TemporaryDirectory(dir=os.path.dirname(os.path.abspath(out))) as folder:
        inferred = os.path.join(folder, "inferred.onnx")
        if external:
            onnx.save(onnx.load(model), inferred, save_as_external_data=True, location="inferred.data")
        else:
            onnx.shape_inference.infer_shapes_path(model, inferred)  # what has no shape would stay float32
        quantize_static(
            inferred,
            out,
            Feeds(calibration),
            quant_format=QuantFormat.QDQ,
            op_types_to_quantize=["Conv", "MatMul", "Gemm"],
            per_channel=True,
            activation_type=QuantType.QInt8,
            weight_type=QuantType.QInt8,
            reduce_range=True,  # 7 bits: CPUs without VNNI add two products in 16 bits, which 8 bits overflow
            use_external_data_format=external,
        )
    quantised = onnx.load(out, load_external_data=False)
    del quantised.metadata_props[:]
    onnx.helper.set_model_props(quantised, {**told, "mdt.precision": json.dumps("int8")})
    onnx.save(quantised, out)


if __name__ == "__main__":
    main(*sys.argv[1:])
