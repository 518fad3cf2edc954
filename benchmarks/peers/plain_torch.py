"""The plain PyTorch peer of the Retina U-Net benchmark.

python plain_torch.py                 answers requests on stdin (see serve.py)
python plain_torch.py --check FOLDER  compares this twin with the recordings of the original in FOLDER
"""

import sys

import numpy as np
import torch
from safetensors_numpy import read


def read_batch(path):
    """A batch written by the benchmark, in the original's order: images (b, c, y, x[, z]), boxes, labels, label map."""
    tensors = read(path)
    images = tensors["images"]  # [b, (z,) y, x, c]
    dim = images.ndim - 2
    to_original = (0, 3, 1, 2) if dim == 2 else (0, 4, 2, 3, 1)
    columns = [0, 1, 2, 3] if dim == 2 else [1, 2, 4, 5, 0, 3]
    boxes = [tensors[f"boxes.{b}"][:, columns].astype(np.float64) for b in range(len(images))]
    labels = [tensors[f"labels.{b}"].astype(np.int64) + 1 for b in range(len(images))]
    segmentation = tensors["segmentation"] if dim == 2 else tensors["segmentation"].transpose(0, 2, 3, 1)
    return np.ascontiguousarray(images.transpose(to_original)), boxes, labels, np.ascontiguousarray(segmentation > 0)


def load_weights(net, path):
    """The weights that ours starts from, by the original's names, so that first losses can be compared."""
    missing, unexpected = net.load_state_dict({k: torch.from_numpy(v) for k, v in read(path).items()}, strict=False)
    # What the original makes and never uses: a level's convolution, ufrcnn's mask head, and all levels but P0 of a detection_unet.
    only_p0 = not any("fpn.P2_conv2" in name for name in net.state_dict() if name not in missing)
    unused = [
        name for name in missing if "P1_conv" not in name and not name.startswith("mask.") and not (only_p0 and "_conv2" in name)
    ]
    if unused or unexpected:
        raise ValueError(f"{path}: missing {unused}, left over {unexpected}")


def prepare(case):
    from retina_unet import Config, RetinaUNet, for_2d

    torch.set_num_threads(case["threads"])
    torch.manual_seed(0)
    np.random.seed(0)
    patch = case["patchSize"]
    net = RetinaUNet(for_2d(patch=tuple(patch)) if case["dim"] == 2 else Config(patch=(patch[1], patch[2], patch[0])))
    load_weights(net, case["weights"])
    images, boxes, labels, segmentation = read_batch(case["batch"])
    images, segmentation = torch.from_numpy(images), torch.from_numpy(segmentation)
    if case["direction"] == "inference":
        net.eval()
        return lambda: f"{len(net.predict(images)[0])} detections"
    optimizer = torch.optim.Adam(net.parameters(), 1e-4)

    def step():
        loss, _ = net.loss(net(images), boxes, labels, segmentation)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return f"loss {loss.item():.4f}"

    return step


if __name__ == "__main__":
    if sys.argv[1:2] == ["--check"]:
        from check_recordings import check

        torch.set_num_threads(2)
        sys.exit(1 if check(sys.argv[2]) else 0)
    from serve import serve

    serve(prepare)
