"""PyTorch as a peer of the engine benchmark: python torch_ops.py LAYOUT answers requests on stdin (see serve.py).

LAYOUT: default, channels_last, or autocast: channels_last with bfloat16 autocast. Shapes come channels last; PyTorch's are
channels first, its memory is as LAYOUT says.
"""

import sys

import torch
import torch.nn.functional as F
from serve import serve

layout = sys.argv[1]
low = layout == "autocast"


def first(shape):
    return [shape[0], shape[-1], *shape[1:-1]]


def arranged(x):
    if layout == "default" or x.dim() < 4:
        return x.contiguous()
    return x.contiguous(memory_format=torch.channels_last if x.dim() == 4 else torch.channels_last_3d)


def weights(shape):
    """A filter [...k, in, out] and a bias."""
    *window, inner, out = shape
    scale = (inner * torch.tensor(window).prod().item()) ** -0.5
    return arranged(torch.randn(out, inner, *window) * scale), torch.zeros(out)


def convolve(x, w, b, strides, pads):
    return (F.conv2d if x.dim() == 4 else F.conv3d)(x, w, b, strides, pads)


def block(x, w1, b1, w2, b2, w3, b3):
    ones, none = [1] * (x.dim() - 2), [0] * (x.dim() - 2)
    y = F.relu(convolve(x, w1, b1, ones, none))
    y = F.relu(convolve(y, w2, b2, ones, ones))
    return F.relu(convolve(y, w3, b3, ones, none) + x)


def block_weights(dim, channels, planes):
    one, three = [1] * dim, [3] * dim
    return [t for s in ([*one, channels, planes], [*three, planes, planes], [*one, planes, channels]) for t in weights(s)]


def network(work):
    """What is run, and its inputs: the image first."""
    kind, shape = work["kind"], work["x"]
    dim = len(shape) - 2
    image = arranged(torch.randn(*first(shape)))
    if low and kind != "step":
        image = image.to(torch.bfloat16)  # what a convolution before it would hand over
    if kind == "conv":
        return lambda x, w, b: convolve(x, w, b, work["strides"], work["pads"]), [image, *weights(work["filter"])]
    if kind == "instance norm":
        return F.instance_norm, [image]
    if kind == "max pool":
        pool = F.max_pool2d if dim == 2 else F.max_pool3d
        return lambda x: pool(x, work["window"], work["strides"], work["pads"]), [image]
    if kind == "resize":
        mode = "bilinear" if dim == 2 else "trilinear"
        return lambda x: F.interpolate(x, scale_factor=work["factors"], mode=mode), [image]
    if kind == "block":
        return block, [image, *block_weights(dim, shape[-1], work["planes"])]
    wide = 4 * work["channels"]
    stem = weights([*[3] * dim, shape[-1], wide])
    blocks = [block_weights(dim, wide, work["channels"]) for _ in range(work["blocks"])]

    def run(x, w, b, *rest):
        y = F.relu(convolve(x, w, b, [1] * dim, [1] * dim))
        for at in range(0, len(rest), 6):
            y = block(y, *rest[at : at + 6])
        return y

    return run, [image, *stem, *(t for each in blocks for t in each)]


def tiny_add():
    a, b = torch.tensor([1.0, 2, 3, 4]), torch.tensor([5.0, 6, 7, 8])

    def run():
        for _ in range(1000):
            torch.add(a, b)

    return run


def prepare(case):
    once = work_of(case)
    if case["calls"] == 1:
        return once

    def repeated():
        for _ in range(case["calls"]):
            once()

    repeated.calls = case["calls"]
    return repeated


def work_of(case):
    torch.set_num_threads(case["threads"])
    torch.manual_seed(0)
    work, direction = case["work"], case["direction"]
    if work["kind"] == "tiny add":
        return tiny_add()
    f, inputs = network(work)

    def forward(*tensors):
        with torch.autocast("cpu", torch.bfloat16, enabled=low):
            return f(*tensors)

    if direction == "forward":

        def infer():
            with torch.no_grad():
                forward(*inputs)

        return infer
    if direction == "step":
        parameters = [t.requires_grad_() for t in inputs[1:]]
        optimizer = torch.optim.Adam(parameters, 1e-4)

        def step():
            loss = forward(*inputs).float().mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            loss.item()

        return step
    inputs = [t.requires_grad_() for t in inputs]

    def backward():
        y = forward(*inputs)
        torch.autograd.grad(y, inputs, dy)

    dy = torch.randn_like(forward(*inputs))
    return backward


if __name__ == "__main__":
    serve(prepare)
