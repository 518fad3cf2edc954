"""The original toolkit as a peer: python original.py CHECKOUT answers requests on stdin (see serve.py).

Needs numpy, scipy, pandas, scikit-learn, matplotlib, scikit-image and batchgenerators beside torch.
"""

import gc
import sys

import numpy as np
import torch
from load_original import build, config, load
from plain_torch import load_weights, read_batch
from serve import serve

source = None


def prepare(case):
    global source
    torch.set_num_threads(case["threads"])
    source = source or load(sys.argv[1])
    images, boxes, labels, segmentation = read_batch(case["batch"])
    settings = config(source, "toy_exp" if case["dim"] == 2 else "lidc_exp", case["dim"], case.get("model", "retina_unet"))
    set_patch(settings, images.shape[2:])
    torch.manual_seed(0)
    np.random.seed(0)
    net = build(source, settings)
    load_weights(net, case["weights"])
    batch = {
        "data": images,
        "seg": segmentation[:, None].astype(np.uint8),
        "bb_target": boxes,
        "roi_labels": labels,
        "roi_masks": [masks_of(each, images.shape[2:]) for each in boxes],
        "pid": [str(index) for index in range(len(images))],
    }
    if case["direction"] == "inference":
        net.eval()

        def infer():
            with torch.no_grad():
                boxes = net.test_forward(batch)["boxes"]
            return f"{sum(map(len, boxes))} detections"

        return with_peak(infer)
    net.train()
    optimizer = torch.optim.Adam(net.parameters(), 1e-4)
    make_moments(optimizer)

    def step():
        results = net.train_forward(batch)
        optimizer.zero_grad()
        results["torch_loss"].backward()
        optimizer.step()
        return f"loss {results['torch_loss'].item():.4f}"

    return with_peak(step)


def make_moments(optimizer):
    """Adam's moments, so that the memory of the first step is that of every step: a step without gradient changes no weight."""
    for group in optimizer.param_groups:
        for parameter in group["params"]:
            parameter.grad = torch.zeros_like(parameter)
    optimizer.step()
    optimizer.zero_grad()
    for state in optimizer.state.values():
        state["step"].zero_()


def with_peak(work):
    """`work`, whose first call, the warm-up, also counts what PyTorch allocates: its attribute `allocated` is the peak in bytes."""

    def run():
        if hasattr(run, "allocated"):
            return work()
        storages = {t.untyped_storage().data_ptr(): t.untyped_storage().nbytes() for t in gc.get_objects() if torch.is_tensor(t)}
        with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU], profile_memory=True) as profile:
            outcome = work()
        events = [event for event in profile.profiler.kineto_results.events() if event.name() == "[memory]"]
        live = np.cumsum([event.nbytes() for event in sorted(events, key=lambda event: event.start_ns())])
        run.allocated = int(sum(storages.values()) + max(0, live.max(initial=0)))
        return outcome

    return run


def masks_of(boxes, size):
    """One mask per object: the benchmark's objects are cuboids."""
    masks = np.zeros((len(boxes), 1, *size), np.uint8)
    for mask, box in zip(masks, boxes.astype(int)):
        spans = [(box[0], box[2]), (box[1], box[3])] + ([(box[4], box[5])] if len(size) == 3 else [])
        mask[(0, *(slice(low, high) for low, high in spans))] = 1
    return masks


def set_patch(settings, patch):
    """The patch size and the fields that the original derives from it when it is constructed."""
    settings.patch_size = np.array(patch)
    y, x, *z = patch
    settings.window = np.array([0, 0, y, x] + [part for n in z for part in (0, n)])
    settings.scale = np.array([y, x, y, x] + 2 * z)
    if not hasattr(settings, "backbone_strides"):
        return  # Detection U-Net has no anchors
    strides = [settings.backbone_strides["xy"]] * 2 + [settings.backbone_strides["z"]] * len(z)
    settings.backbone_shapes = np.array([[-(-n // s[level]) for n, s in zip(patch, strides)] for level in range(len(strides[0]))])


if __name__ == "__main__":
    serve(prepare)
