"""Compares the plain PyTorch twin with recordings of the original: forward tensors, loss and its parts, gradients, boxes."""

import json
import pathlib
import re

import numpy as np
import torch
from retina_unet import Config, RetinaUNet
from safetensors_numpy import read

FORWARD, LOSS, GRADIENT = 1e-4, 1e-4, 1e-3
# Ill conditioned (instance norm over 4 voxels): looser, and single small gradients are not compared.
FORWARD_ILL, GRADIENT_ILL, ALL_GRADIENTS_ILL = 2e-3, 0.1, 5e-2


def config_of(recorded):
    """Our config from the recorded one."""
    return Config(
        dim=recorded["dim"],
        patch=tuple(recorded["patch_size"]),
        channels=recorded["n_channels"],
        start_filters=recorded["start_filts"],
        end_filters=recorded["end_filts"],
        head_filters=recorded["n_rpn_features"],
        classes=recorded["head_classes"],
        segmentation=recorded["model"] == "retina_unet",
        norm=recorded["norm"],
        strides_xy=tuple(recorded["backbone_strides"]["xy"]),
        strides_z=tuple(recorded["backbone_strides"]["z"]),
        scales_xy=recorded["rpn_anchor_scales"]["xy"],
        scales_z=recorded["rpn_anchor_scales"]["z"],
        ratios=tuple(recorded["rpn_anchor_ratios"]),
        matching_iou=recorded["anchor_matching_iou"],
        anchors_per_image=recorded["rpn_train_anchors_per_image"],
        deviations=tuple(recorded["rpn_bbox_std_dev"]),
        pre_nms=recorded["pre_nms_limit"],
        nms_iou=recorded["detection_nms_threshold"],
        max_detections=recorded["model_max_instances_per_batch_element"],
        min_score=recorded["model_min_confidence"],
        random=False,
    )


def segmentation_of(targets, shape):
    """1 inside the boxes, which are the objects of the recordings."""
    label_map = torch.zeros(shape, dtype=torch.long)
    for image, boxes in enumerate(targets):
        for box in boxes.astype(int):
            spans = [(box[0], box[2]), (box[1], box[3]), (box[4], box[5]) if len(box) == 6 else None]
            label_map[(image, *[slice(max(0, a), b) for a, b in filter(None, spans)])] = 1
    return label_map


class Report:
    def __init__(self, name):
        self.name, self.passed, self.failed = name, 0, 0

    def __call__(self, quantity, error, allowed):
        good = error <= allowed
        self.passed, self.failed = self.passed + good, self.failed + (not good)
        if not good or not quantity.startswith("grad "):
            print(f"{'ok  ' if good else 'FAIL'} {self.name}: {quantity}: {error:.1e}, allowed {allowed:.0e}")


def tensor_error(tensors, name, ours):
    """Largest difference over the largest recorded value, on the stored samples."""
    ours = ours.detach().numpy().ravel()
    wanted = tensors.get(f"{name}#value", tensors.get(name)).ravel()
    if f"{name}#index" in tensors:
        ours = ours[tensors[f"{name}#index"]]
    return np.abs(ours - wanted).max() / max(np.abs(wanted).max(), 1e-12)


def check_file(path):
    tensors = read(path)
    recording = json.loads(path.with_suffix(".json").read_text())
    report = Report(path.stem)
    ill = recording["norm"] is not None
    recorded = recording["config"] | {"norm": recording["norm"], "model": recording["model"]}
    net = RetinaUNet(config_of(recorded))
    net.load_state_dict({k[6:]: torch.from_numpy(v.astype(np.float32)) for k, v in tensors.items() if k.startswith("param.")})
    report("anchors", tensor_error(tensors, "anchors", torch.from_numpy(net.anchors.astype(np.float32))), FORWARD)

    images = torch.from_numpy(tensors["input.data"].astype(np.float32))
    targets = [tensors[f"input.bb_target.{b}"].astype(np.float64) for b in range(len(images))]
    labels = [tensors[f"input.roi_labels.{b}"].astype(np.int64) for b in range(len(images))]
    outputs = net(images)
    forward = FORWARD_ILL if ill else FORWARD
    for level, features in enumerate(outputs[3]):
        report(f"fpn.{level}", tensor_error(tensors, f"fpn.{level}", features), forward)
    for index, output in enumerate(outputs[:3]):
        if output is not None:
            report(f"forward.{index + 1}", tensor_error(tensors, f"forward.{index + 1}", output), forward)

    total, parts = net.loss(outputs, targets, labels, segmentation_of(targets, (len(images), *images.shape[2:])))
    report("loss", abs(total.item() / recording["loss"] - 1), LOSS)
    for part, value in parts.items():
        wanted = float(re.search(rf"{part}: ([-\d.]+)", recording["logger"]).group(1))
        report(f"loss {part}", abs(value.item() - wanted) / max(abs(wanted), 1e-12), LOSS)

    total.backward()
    check_gradients(net, tensors, report, ill)
    with torch.no_grad():
        exact = [torch.from_numpy(tensors[name]) for name in ("forward.1", "forward.2")]
        check_boxes(net.detections(*exact), tensors["forward.0"], report)
    return report


def check_gradients(net, tensors, report, ill):
    norms = {k[5:-8]: v[1] for k, v in tensors.items() if k.startswith("grad.") and k.endswith("#mean_l2")}
    norms |= {k[5:]: np.linalg.norm(v) for k, v in tensors.items() if k.startswith("grad.") and "#" not in k}
    whole = np.sqrt(sum(float(n) ** 2 for n in norms.values()))
    difference, length = 0.0, 0.0
    for name, parameter in net.named_parameters():
        if name not in norms:
            continue
        wanted = tensors.get(f"grad.{name}#value", tensors.get(f"grad.{name}")).ravel().astype(np.float64)
        ours = parameter.grad.numpy().ravel().astype(np.float64)
        if f"grad.{name}#index" in tensors:
            ours = ours[tensors[f"grad.{name}#index"]]
        distance = np.linalg.norm(ours - wanted)
        difference, length = difference + distance**2, length + np.linalg.norm(wanted) ** 2
        if not ill:
            report(f"grad {name}", distance / max(np.linalg.norm(wanted), 1e-4 * whole), GRADIENT)
        elif norms[name] > 1e-3 * whole:
            report(f"grad {name}", distance / np.linalg.norm(wanted), GRADIENT_ILL)
    report("all gradients", (difference / length) ** 0.5, ALL_GRADIENTS_ILL if ill else GRADIENT)


def check_boxes(ours, wanted, report):
    """As sets: a box may differ by 1 in one coordinate."""
    ours, width = ours.numpy(), wanted.shape[1]
    missing = 0
    for row in wanted:
        same = np.abs(ours[:, : width - 3] - row[: width - 3]).sum(1) <= 1
        same &= (ours[:, width - 3 : width - 1] == row[width - 3 : width - 1]).all(1)
        missing += not (same & (np.abs(ours[:, -1] - row[-1]) <= 1e-5)).any()
    report("detections missing", (missing + abs(len(ours) - len(wanted))) / max(len(wanted), 1), 0.05)


def check(folder):
    """Checks every retina recording in `folder`; the number of failures."""
    reports = [check_file(path) for path in sorted(pathlib.Path(folder).glob("retina_*.safetensors"))]
    failed = sum(report.failed for report in reports)
    print(f"{sum(report.passed for report in reports)} passed, {failed} failed, 0 skipped")
    return failed if reports else 1
