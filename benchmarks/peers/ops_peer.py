"""Peers of the op benchmark: python3 ops_peer.py numpy | tree | scipy | scipy-labels | torch | torchvision | monai"""

import ctypes
import os
import subprocess
import sys
import tempfile

import numpy as np

import safetensors_numpy
from serve import serve


def nms_numpy(case, tensors):
    """The usual vectorised loop: each box that stays is compared with all that are left, at once."""
    boxes = tensors["boxes"].astype(np.float64)
    order = np.argsort(-tensors["scores"], kind="stable")

    def run():
        left = boxes[order]
        sizes = np.prod(left[:, 3:] - left[:, :3], axis=1)
        kept = 0
        while len(left):
            kept += 1
            sides = np.minimum(left[0, 3:], left[1:, 3:]) - np.maximum(left[0, :3], left[1:, :3])
            shared = np.prod(np.maximum(sides, 0), axis=1)
            stays = shared / (sizes[0] + sizes[1:] - shared) <= case["iouThreshold"]
            left, sizes = left[1:][stays], sizes[1:][stays]
        return f"kept {kept}"

    return run


def nms_tree(case, tensors):
    """Pairs that can overlap from a tree of the centres, their overlap at once, then a walk over the pairs by score."""
    from scipy.spatial import cKDTree

    boxes, scores = tensors["boxes"].astype(np.float64), tensors["scores"]

    def run():
        left = boxes[np.argsort(-scores, kind="stable")]
        low, high = left[:, :3], left[:, 3:]
        sizes = np.prod(high - low, axis=1)
        reach = (high - low).max()
        pairs = cKDTree((low + high) / 2).query_pairs(reach, p=np.inf, output_type="ndarray")  # the better one first
        better, worse = pairs.T
        sides = np.minimum(high[better], high[worse]) - np.maximum(low[better], low[worse])
        shared = np.prod(np.maximum(sides, 0), axis=1)
        meet = pairs[shared / (sizes[better] + sizes[worse] - shared) > case["iouThreshold"]]
        struck = np.zeros(len(left), bool)
        for better, worse in meet[np.argsort(meet[:, 0], kind="stable")].tolist():
            if not struck[better]:
                struck[worse] = True
        return f"kept {len(left) - struck.sum()}"

    return run


def nms_monai(case, tensors):
    import torch
    from monai.data.box_utils import non_max_suppression

    torch.set_num_threads(case["threads"])
    boxes, scores = torch.from_numpy(tensors["boxes"]), torch.from_numpy(tensors["scores"])
    return lambda: f"kept {len(non_max_suppression(boxes, scores, case['iouThreshold']))}"


def total(tensor):
    """Says what came out, when it is called."""
    return lambda: f"sum {tensor.double().sum().item():.7g}"


def channels_first(values):
    """[...size, channels] as a contiguous tensor [1, channels, ...size]."""
    import torch

    return torch.from_numpy(np.ascontiguousarray(np.moveaxis(values, -1, 0)[None]))


def roi_align_torch(case, tensors):
    """RoIAlign with one sample in the middle of each bin, the original's arithmetic, on PyTorch's grid_sample."""
    import torch

    assert case["sampling"] == "single" and all(bins > 1 for bins in case["pool"])
    torch.set_num_threads(case["threads"])
    size, pool = case["size"], case["pool"]
    dim = len(size)
    values = channels_first(tensors["map"])
    boxes = torch.from_numpy(tensors["boxes"])
    count = len(boxes)
    gradient = torch.from_numpy(np.ascontiguousarray(np.moveaxis(tensors["dy"], -1, 1)))  # [n, channels, ...pool]
    backward = case["op"] == "roiAlignGrad"
    values.requires_grad_(backward)

    def run():
        positions = []
        for d in range(dim):
            low, high = boxes[:, d, None], boxes[:, dim + d, None]
            at = low + (torch.arange(pool[d]) + 0.5) * (high - low) / pool[d] - 0.5  # [n, bins]
            positions.append(2 * at / (size[d] - 1) - 1)
        shape = [count, *pool]
        grid = torch.stack(
            [p.reshape([count] + [pool[d] if axis == d else 1 for axis in range(dim)]).expand(shape) for d, p in enumerate(positions)][::-1],
            dim=-1,
        )
        merged = grid.reshape(1, count * pool[0], *pool[1:], dim)
        pooled = torch.nn.functional.grid_sample(values, merged, mode="bilinear", padding_mode="border", align_corners=True)
        if not backward:
            return total(pooled)
        dy = gradient.transpose(0, 1).reshape(pooled.shape)
        (grad,) = torch.autograd.grad(pooled, values, dy)
        return total(grad)

    return run


def load_torchvision():
    """torchvision's compiled CPU ops, out of its wheel for CUDA, on a torch without CUDA.

    The library names CUDA libraries that a torch for CPU lacks, though its CPU ops never call them: here they are libraries
    whose functions end the process. The CPU kernels that are timed are torchvision's own.
    """
    import torch

    folder = next(path for path in sys.path if os.path.exists(os.path.join(path, "torchvision/_C.so")))
    library = os.path.join(folder, "torchvision/_C.so")
    if not torch.cuda.is_available() and torch.version.cuda is None:
        listing = subprocess.run(["nm", "-D", "--undefined-only", library], capture_output=True, text=True, check=True).stdout
        names = {line.split()[-1] for line in listing.splitlines() if line.strip()}
        absent = sorted(name for name in names if "4cuda" in name and "@" not in name)
        with tempfile.TemporaryDirectory() as place:
            source = os.path.join(place, "absent.c")
            for name, symbols in {"libc10_cuda.so": absent, "libtorch_cuda.so": []}.items():
                with open(source, "w") as file:
                    file.write("#include <stdlib.h>\n" + "".join(f"void {symbol}(void) {{ abort(); }}\n" for symbol in symbols))
                built = os.path.join(place, name)
                subprocess.run(["gcc", "-shared", "-fPIC", "-w", source, f"-Wl,-soname,{name}", "-o", built], check=True)
                ctypes.CDLL(built, mode=ctypes.RTLD_GLOBAL)
        ctypes.CDLL(os.path.join(folder, "nvidia/cu13/lib/libcudart.so.13"), mode=ctypes.RTLD_GLOBAL)
    torch.ops.load_library(library)
    return torch.ops.torchvision


def roi_align_torchvision(case, tensors):
    import torch

    torch.set_num_threads(case["threads"])
    ops = load_torchvision()
    assert case["sampling"] == "average" and len(case["size"]) == 2
    values = channels_first(tensors["map"])
    boxes = tensors["boxes"][:, [1, 0, 3, 2]]  # x1 y1 x2 y2
    rois = torch.from_numpy(np.concatenate([np.zeros((len(boxes), 1), np.float32), boxes], axis=1))
    gradient = torch.from_numpy(np.ascontiguousarray(np.moveaxis(tensors["dy"], -1, 1)))
    (bins_y, bins_x), ratio = case["pool"], case["ratio"]
    if case["op"] == "roiAlign":
        return lambda: total(ops.roi_align(values, rois, 1.0, bins_y, bins_x, ratio, True))
    return lambda: total(ops._roi_align_backward(gradient, rois, 1.0, bins_y, bins_x, *values.shape, ratio, True))


def components_scipy(case, tensors):
    from scipy import ndimage

    structure = ndimage.generate_binary_structure(3, 1 if case["connectivity"] == 6 else 3)

    def run():
        # What our op gives besides the labels: boxes and sizes.
        labels, count = ndimage.label(tensors["mask"], structure)
        ndimage.find_objects(labels)
        np.bincount(labels.ravel())
        return f"{count} components"

    return run


def components_scipy_labels(case, tensors):
    from scipy import ndimage

    structure = ndimage.generate_binary_structure(3, 1 if case["connectivity"] == 6 else 3)
    return lambda: f"{ndimage.label(tensors['mask'], structure)[1]} components"


def resample_scipy(case, tensors):
    from scipy import ndimage

    order = {"nearest": 0, "linear": 1, "cubic": 3}[case["order"]]

    def run():
        out = ndimage.affine_transform(tensors["image"], case["step"], output_shape=tuple(case["outputSize"]), order=order, mode="nearest")
        return lambda: f"sum {out.sum(dtype=np.float64):.7g}"

    return run


def resample_torch(case, tensors):
    """grid_sample with the positions of an affine, as MONAI and TorchIO resample; PyTorch has no cubic one in 3D."""
    import torch

    torch.set_num_threads(case["threads"])
    image = torch.from_numpy(tensors["image"])[None, None]
    # From [-1, 1] of the result to [-1, 1] of the source, both at cell centres.
    scale = [(out - 1) * step / (n - 1) for out, step, n in zip(case["outputSize"], case["step"], case["size"])]
    theta = torch.zeros(1, 3, 4)
    for axis in range(3):  # x y z
        theta[0, axis, axis] = scale[2 - axis]
        theta[0, axis, 3] = scale[2 - axis] - 1
    mode = {"nearest": "nearest", "linear": "bilinear"}[case["order"]]

    def run():
        grid = torch.nn.functional.affine_grid(theta, [1, 1, *case["outputSize"]], align_corners=True)
        return total(torch.nn.functional.grid_sample(image, grid, mode=mode, padding_mode="border", align_corners=True))

    return run


WORK = {
    ("nms", "numpy"): nms_numpy,
    ("nms", "tree"): nms_tree,
    ("nms", "monai"): nms_monai,
    ("roiAlign", "torch"): roi_align_torch,
    ("roiAlignGrad", "torch"): roi_align_torch,
    ("roiAlign", "torchvision"): roi_align_torchvision,
    ("roiAlignGrad", "torchvision"): roi_align_torchvision,
    ("components", "scipy"): components_scipy,
    ("components", "scipy-labels"): components_scipy_labels,
    ("resample", "scipy"): resample_scipy,
    ("resample", "torch"): resample_torch,
}

if __name__ == "__main__":
    serve(lambda case: WORK[case["op"], sys.argv[1]](case, safetensors_numpy.read(case["data"])))
