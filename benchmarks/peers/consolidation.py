"""Weighted box clustering and the 2D to 3D merge in numpy, the original's way: one cluster after the other, its best box compared
with all boxes that are left."""

import numpy as np
from serve import serve


def overlaps(boxes, seed, dim):
    """IoU of every box with the seed, extents one pixel longer; boxes are [min..., max...]."""
    low, high = boxes[:, :dim], boxes[:, dim:]
    shared = np.clip(np.minimum(high, high[seed]) - np.maximum(low, low[seed]) + 1, 0, None).prod(axis=1)
    size = (high - low + 1).prod(axis=1)
    return shared / (size + size[seed] - shared)


def cluster(boxes, scores, weights, counts, patches, threshold, expected, dim):
    order = np.argsort(-scores, kind="stable")
    size = (boxes[:, dim:] - boxes[:, :dim] + 1).prod(axis=1)
    found = []
    while len(order):
        iou = overlaps(boxes[order], 0, dim)
        near = iou > threshold
        own = order[near]
        weight = iou[near] * size[own] * weights[own]
        missing = max(0, expected * counts[own].mean() - len(np.unique(patches[own])))
        score = (scores[own] * weight).sum() / (weight.sum() + missing * weight.mean())
        if score > 0.01:
            share = scores[own] * weight
            found.append((score, (boxes[own] * share[:, None]).sum(axis=0) / share.sum()))
        order = order[~near]
    return found


def merge(boxes, scores, slices, threshold):
    order = np.argsort(-scores, kind="stable")
    kept = []
    while len(order):
        core = order[0]
        matches = order[overlaps(boxes[order], 0, 2) > threshold]
        present = set(slices[matches].tolist())
        first = last = int(slices[core])
        while first - 1 in present:
            first -= 1
        while last + 1 in present:
            last += 1
        kept.append((core, first - 1, last + 1))
        taken = matches[(slices[matches] >= first) & (slices[matches] <= last)]
        order = order[~np.isin(order, taken)]
    return kept


def prepare(case):
    boxes = np.array(case["boxes"]).reshape(-1, 2 * case["dim"])
    arrays = [np.array(case[name]) for name in ("scores", "weights", "overlaps", "patches")]
    if case["what"] == "clustering":
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
