"""Loads a checkout of the Python medicaldetectiontoolkit on CPU PyTorch, to time it.

Its CUDA operators are replaced by torch ones with the same arithmetic (NMS on inclusive extents, RoIAlign with one sample
at half-pixel positions); a few integer divisions and byte masks, whose meaning changed since PyTorch 0.4, are rewritten in
a temporary copy. Everything else is the checkout's own code.
"""

import atexit
import importlib.util
import os
import re
import shutil
import sys
import tempfile
import types

import numpy as np
import torch

MODERN = [
    (r"keep_ix / fg_probs\.shape\[1\]", "keep_ix // fg_probs.shape[1]"),
    (r"torch\.ByteTensor\(\[True\]\)", "torch.BoolTensor([True])"),
    (r"ixs / (\w+)\.shape\[1\]", r"ixs // \1.shape[1]"),
]


def nms(detections, limit):
    """Rows (box, score) → indices kept, best first."""
    values = detections.detach().double().cpu().numpy()
    columns = ([0, 1], [2, 3]) if values.shape[1] == 5 else ([0, 1, 4], [2, 3, 5])
    low, high = values[:, columns[0]], values[:, columns[1]]
    left = torch.from_numpy(values[:, -1].copy()).sort(0, descending=True)[1].numpy()
    volume = np.prod(high - low + 1, 1)
    kept = []
    while len(left):
        best, left = left[0], left[1:]
        kept.append(best)
        overlap = np.minimum(high[best], high[left]) - np.maximum(low[best], low[left]) + 1
        shared = np.prod(np.clip(overlap, 0, None), 1)
        left = left[shared / (volume[best] + volume[left] - shared) <= limit]
    return torch.as_tensor(np.array(kept, dtype=np.int64))


class CropAndResize:
    def __init__(self, *arguments):
        self.sizes = arguments[:-1]

    def __call__(self, image, boxes, image_index):
        if image.dim() > len(self.sizes) + 2:
            image = image.squeeze(-1)  # masks come with an axis that the kernel ignores
        dim = image.dim() - 2
        axes = []
        for axis, (low, high) in enumerate([(0, 2), (1, 3), (4, 5)][:dim]):
            count, size = self.sizes[axis], image.shape[2 + axis]
            low, high = boxes[:, low], boxes[:, high]
            steps = torch.arange(count, dtype=boxes.dtype)
            if count > 1:
                position = low[:, None] * size + (steps + 0.5) * ((high - low) * size / count)[:, None] - 0.5
            else:
                position = (0.5 * (low + high) * size)[:, None]
            position = position.clamp(0, size - 1)
            axes.append((position.floor().long(), position.ceil().long(), position - position.floor()))
        last = image.permute(0, *range(2, dim + 2), 1)
        first = image_index.long().reshape([-1] + [1] * dim)
        out = 0
        for corner in range(2**dim):
            index, weight = [first], 1
            for axis, (below, above, part) in enumerate(axes):
                upper = (corner >> axis) & 1
                shape = [len(boxes)] + [1] * dim
                shape[1 + axis] = self.sizes[axis]
                index.append((above if upper else below).reshape(shape))
                weight = weight * (part if upper else 1 - part).reshape(shape)
            out = out + last[tuple(index)] * weight[..., None]
        return out.permute(0, dim + 1, *range(1, dim + 1))


def load(checkout):
    """Makes the checkout importable; the path of the copy that runs."""
    folder = tempfile.mkdtemp()
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    source = os.path.join(folder, "original")
    shutil.copytree(checkout, source, ignore=shutil.ignore_patterns(".git"))
    for folder in ("models", "utils", "."):
        for name in os.listdir(os.path.join(source, folder)):
            path = os.path.join(source, folder, name)
            if not name.endswith(".py"):
                continue
            with open(path) as file:
                text = file.read()
            for pattern, replacement in MODERN:
                text = re.sub(pattern, replacement, text)
            with open(path, "w") as file:
                file.write(text)
    sys.path.insert(0, source)
    for name, value in (("int", int), ("float", float), ("bool", bool), ("object", object)):
        if name not in np.__dict__:
            setattr(np, name, value)
    torch.Tensor.cuda = lambda self, *_, **__: self
    torch.nn.Module.cuda = lambda self, *_, **__: self
    for dim in ("2D", "3D"):
        module = types.ModuleType(f"cuda_functions.nms_{dim}.pth_nms")
        module.nms_gpu = nms
        sys.modules[module.__name__] = module
        module = types.ModuleType(f"cuda_functions.roi_align_{dim}.roi_align.crop_and_resize")
        module.CropAndResizeFunction = CropAndResize
        sys.modules[module.__name__] = module
    os.chdir(source)
    return source


def config(source, experiment, dim, model):
    """The experiment's config with dimension and model replaced in its source before it runs."""
    path = f"{source}/experiments/{experiment}/configs.py"
    with open(path) as file:
        text = file.read()
    text = re.sub(r"self\.dim = \d", f"self.dim = {dim}", text, count=1)
    text = re.sub(r"self\.model = '[a-z_0-9]+'", f"self.model = '{model}'", text, count=1)
    names = {"__file__": path, "__name__": "configs"}
    exec(compile(text, path, "exec"), names)
    return names["configs"]()


class Silent:
    def info(self, *_):
        pass


def build(source, settings):
    """The network of a config."""
    settings.backbone_path = f"{source}/models/backbone.py"
    path = f"{source}/models/{settings.model}.py"
    spec = importlib.util.spec_from_file_location(f"original_{settings.model}", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.net(settings, Silent())
