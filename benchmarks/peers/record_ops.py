"""Records what PyTorch makes of the ops that TensorFlow.js lacks, and their gradients.

python record_ops.py > packages/backbone/test/pytorch-ops.json

Inputs are written out by `wave`, which the test repeats; arrays are channels last, like ours. Every record holds the output and
the gradients of Σ output · wave(output shape, 9) by each input, to seven digits.
"""

import json

import numpy as np
import torch
import torch.nn.functional as F


def wave(shape, phase):
    return torch.from_numpy(np.sin(0.7 * np.arange(int(np.prod(shape))) + phase).astype(np.float32).reshape(shape))


def first(x):
    return x.movedim(-1, 1)


def last(x):
    return x.movedim(1, -1)


def numbers(x):
    return [float(f"{v:.7g}") for v in x.detach().contiguous().flatten().tolist()]


def record(name, f, shapes, positive=()):
    """`positive`: which inputs are variances, |wave| + 0.5."""
    inputs = [wave(shape, k) for k, shape in enumerate(shapes)]
    inputs = [(x.abs() + 0.5 if k in positive else x).requires_grad_() for k, x in enumerate(inputs)]
    y = f(*inputs)
    (y * wave(y.shape, 9)).sum().backward()
    return {
        "name": name,
        "inputs": [list(shape) for shape in shapes],
        "shape": list(y.shape),
        "output": numbers(y),
        "gradients": [numbers(x.grad) for x in inputs],
    }


def resized(**options):
    return lambda x: last(F.interpolate(first(x), **options))


def records():
    torch.set_num_threads(1)
    volume, image = (1, 2, 3, 4, 2), (2, 3, 5, 2)
    for size, shape in (((5, 2, 7), volume), ((7, 3), image)):
        dim = len(size)
        linear = "trilinear" if dim == 3 else "bilinear"
        yield record(f"{dim}d linear half-pixel", resized(size=size, mode=linear), [shape])
        yield record(f"{dim}d linear corners", resized(size=size, mode=linear, align_corners=True), [shape])
        yield record(f"{dim}d nearest half-pixel", resized(size=size, mode="nearest-exact"), [shape])
        yield record(f"{dim}d nearest asymmetric", resized(size=size, mode="nearest"), [shape])
        factors = (1.7, 1, 0.6)[:dim]
        yield record(f"{dim}d linear factors", resized(scale_factor=factors, mode=linear), [shape])
        yield record(f"{dim}d nearest factors", resized(scale_factor=factors, mode="nearest-exact"), [shape])

    def transposed(stride):
        # TensorFlow.js: filter [z, y, x, out, in]; PyTorch: [in, out, z, y, x].
        return lambda x, w: last(F.conv_transpose3d(first(x), w.permute(4, 3, 0, 1, 2), stride=stride))

    yield record("conv3dTranspose 2", transposed(2), [(1, 2, 3, 2, 2), (2, 2, 2, 3, 2)])
    yield record("conv3dTranspose 1", transposed(1), [(1, 2, 3, 2, 2), (2, 2, 2, 3, 2)])
    for shape in ((2, 2, 3, 2, 4), (2, 3, 4, 4)):
        dim = len(shape) - 2
        yield record(f"{dim}d instance norm", lambda x: last(F.instance_norm(first(x))), [shape])
        yield record(f"{dim}d instance norm affine", lambda x, s, o: last(F.instance_norm(first(x), weight=s, bias=o)), [shape, (4,), (4,)])
        yield record(f"{dim}d group norm", lambda x: last(F.group_norm(first(x), 2)), [shape])
        yield record(f"{dim}d group norm affine", lambda x, s, o: last(F.group_norm(first(x), 2, s, o)), [shape, (4,), (4,)])
        yield record(f"{dim}d batch norm training", lambda x, s, o: last(F.batch_norm(first(x), None, None, s, o, True)), [shape, (4,), (4,)])

        def predict(x, s, o, mean, variance):
            return (x - mean) / torch.sqrt(variance + 1e-5) * s + o  # F.batch_norm gives no gradient by the moments

        plain = lambda x, s, o: last(F.batch_norm(first(x), wave((4,), 3), wave((4,), 4).abs() + 0.5, s, o, False))
        inputs = [wave(each, k) for k, each in enumerate([shape, (4,), (4,)])]
        assert torch.allclose(plain(*inputs), predict(*inputs, wave((4,), 3), wave((4,), 4).abs() + 0.5), atol=1e-6)
        yield record(f"{dim}d batch norm prediction", predict, [shape, (4,), (4,), (4,), (4,)], positive=(4,))
    indices = torch.tensor([[0, 1], [2, 0], [0, 1]])
    yield record("gatherND", lambda x: x[indices[:, 0], indices[:, 1]], [(3, 2, 4)])
    mask = torch.tensor([[True, False], [False, True], [True, True]])
    yield record("booleanMask", lambda x: x[mask], [(3, 2, 4)])


print("[\n" + ",\n".join(json.dumps(each, separators=(",", ":")) for each in records()) + "\n]")
