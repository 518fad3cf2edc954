"""Weighted box clustering and the 2D to 3D merge in numpy, the original's way: one cluster after the other, its best box compared
with all boxes that are left. A case that names a checkout of the original as `original` runs its own two functions instead."""

import ast
import os

import numpy as np
from serve import serve


def functions_of(checkout, *names):
    """Functions of the checkout's predictor.py by themselves: they need numpy, the file needs PyTorch."""
    with open(os.path.join(checkout, "predictor.py")) as file:
        body = ast.parse(file.read()).body
    found = {"np": np}
    wanted = [node for node in body if isinstance(node, ast.FunctionDef) and node.name in names]
    exec(compile(ast.Module(wanted, []), "predictor.py", "exec"), found)
    return [found[name] for name in names]


def prepare_original(case, boxes, scores, weights, overlaps, patches):
    cluster, merge = functions_of(case["original"], "weighted_box_clustering", "nms_2to3D")
    dim = case["dim"]
    columns = [0, 1, 2, 3] if dim == 2 else [1, 2, 4, 5, 0, 3]  # y1, x1, y2, x2, z1, z2
    if case["what"] == "clustering":
        rows = np.column_stack([boxes[:, columns], scores, weights, overlaps])
        names = np.array([str(patch) for patch in patches])
        return lambda: cluster(rows, names, case["threshold"], case["expected"])
    rows = np.column_stack([boxes[:, columns], scores, case["slices"]])
    return lambda: merge(rows, case["threshold"])


class Boxes:
    """Columns of boxes [min..., max...], extents one pixel longer: numpy is quickest on columns."""

    def __init__(self, rows, dim):
        self.low = [np.ascontiguousarray(rows[:, d]) for d in range(dim)]
        self.high = [np.ascontiguousarray(rows[:, dim + d]) for d in range(dim)]
        self.size = 1
        for low, high in zip(self.low, self.high):
            self.size = self.size * (high - low + 1)

    def overlaps(self, seed, rows):
        """IoU of some rows with the seed."""
        shared = 1
        for low, high in zip(self.low, self.high):
            side = np.minimum(high[rows], high[seed]) - np.maximum(low[rows], low[seed]) + 1
            shared = shared * np.maximum(side, 0)
        return shared / (self.size[rows] + self.size[seed] - shared)


def cluster(rows, scores, weights, counts, patches, threshold, expected, dim):
    boxes = Boxes(rows, dim)
    order = np.argsort(-scores, kind="stable")
    found = []
    while len(order):
        iou = boxes.overlaps(order[0], order)
        near = iou > threshold
        own = order[near]
        weight = iou[near] * boxes.size[own] * weights[own]
        missing = max(0, expected * counts[own].mean() - len(np.unique(patches[own])))
        share = scores[own] * weight
        score = share.sum() / (weight.sum() + missing * weight.mean())
        if score > 0.01:
            found.append((score, (rows[own] * share[:, None]).sum(axis=0) / share.sum()))
        order = order[~near]
    return found


def merge(rows, scores, slices, threshold):
    boxes = Boxes(rows, 2)
    order = np.argsort(-scores, kind="stable")
    kept = []
    while len(order):
        core = order[0]
        matches = np.flatnonzero(boxes.overlaps(core, order) > threshold)
        own = slices[order[matches]]
        present = set(own.tolist())
        first = last = int(slices[core])
        while first - 1 in present:
            first -= 1
        while last + 1 in present:
            last += 1
        kept.append((core, first - 1, last + 1))
        order = np.delete(order, matches[(own >= first) & (own <= last)])
    return kept


def prepare(case):
    boxes = np.array(case["boxes"]).reshape(-1, 2 * case["dim"])
    arrays = [np.array(case[name]) for name in ("scores", "weights", "overlaps", "patches")]
    if "original" in case:
        work = prepare_original(case, boxes, *arrays)
    elif case["what"] == "clustering":
        work = lambda: cluster(boxes, *arrays, case["threshold"], case["expected"], case["dim"])
    else:
        slices = np.array(case["slices"])
        work = lambda: merge(boxes, arrays[0], slices, case["threshold"])

    def run():
        result = work()
        return f"{len(result[0]) if isinstance(result, tuple) else len(result)} boxes"

    return run


if __name__ == "__main__":
    serve(prepare)
