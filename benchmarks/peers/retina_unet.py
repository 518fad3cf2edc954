"""RetinaNet and Retina U-Net in plain PyTorch, channels first, for 2 and 3 dimensions.

The peer of the benchmarks where no checkout of the original toolkit is at hand: the same layers (ResNet-50, FPN with a
stride-1 path, retina heads, a 1x1 segmenter), the same anchors, matching, losses and post-processing, and the original's
parameter names, so that its recorded weights load. Boxes are the original's here: (y1, x1, y2, x2[, z1, z2]), labels from 1.
"""

from dataclasses import dataclass, field

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn


@dataclass
class Config:
    """Defaults are the original's for its LIDC experiment in 3D; `patch` is (y, x[, z])."""

    dim: int = 3
    patch: tuple = (128, 128, 64)
    channels: int = 1
    start_filters: int = 18
    end_filters: int = 36
    head_filters: int = 64
    classes: int = 3  # with background
    segmentation: bool = True
    norm: str | None = None  # None or 'instance_norm'
    strides_xy: tuple = (4, 8, 16, 32)
    strides_z: tuple = (1, 2, 4, 8)
    scales_xy: list = field(default_factory=lambda: octaves((8, 16, 32, 64)))
    scales_z: list = field(default_factory=lambda: octaves((2, 4, 8, 16)))
    ratios: tuple = (0.5, 1, 2)
    matching_iou: float = 0.5
    anchors_per_image: int = 6
    pool_factor: int = 20
    deviations: tuple = (0.1, 0.1, 0.1, 0.2, 0.2, 0.2)
    pre_nms: int = 50000
    nms_iou: float = 1e-5
    max_detections: int = 30
    min_score: float = 0.1
    random: bool = True  # False: first picks in place of random ones, as in the recordings


def octaves(sizes):
    """Each size also at 2^(1/3) and 2^(2/3)."""
    return [[size * 2 ** (i / 3) for i in range(3)] for size in sizes]


def for_2d(**changes):
    """The original's defaults for 2 dimensions, in its toy experiment."""
    defaults = dict(dim=2, patch=(320, 320), start_filters=48, end_filters=192, head_filters=256, anchors_per_image=2)
    return Config(**(defaults | dict(deviations=(0.1, 0.1, 0.1, 0.2), pre_nms=10000, max_detections=10) | changes))


def unit(config, inputs, outputs, kernel, stride=1, padding=0, norm=None, relu=True):
    """Convolution, norm, activation; nested so that parameters carry the original's names."""
    conv = (nn.Conv2d, nn.Conv3d)[config.dim - 2](inputs, outputs, kernel, stride, padding)
    if norm == "instance_norm":
        conv = nn.Sequential(conv, (nn.InstanceNorm2d, nn.InstanceNorm3d)[config.dim - 2](outputs))
    return nn.Sequential(conv, nn.ReLU(inplace=True)) if relu else conv


class Bottleneck(nn.Module):
    def __init__(self, config, inputs, planes, stride=1, project=False):
        super().__init__()
        norm = config.norm
        self.conv1 = unit(config, inputs, planes, 1, stride, norm=norm)
        self.conv2 = unit(config, planes, planes, 3, padding=1, norm=norm)
        self.conv3 = unit(config, planes, 4 * planes, 1, norm=norm, relu=False)
        self.downsample = unit(config, inputs, 4 * planes, 1, stride, norm=norm, relu=False) if project else None

    def forward(self, x):
        shortcut = self.downsample(x) if self.downsample else x
        return F.relu(self.conv3(self.conv2(self.conv1(x))) + shortcut, inplace=True)


class FeaturePyramid(nn.Module):
    """ResNet-50 and its pyramid: P2, P3, P4, P5, before them P0 when the model segments."""

    def __init__(self, config):
        super().__init__()
        dim, start, end, norm = config.dim, config.start_filters, config.end_filters, config.norm
        self.dim, self.stride_one = dim, config.segmentation
        in_plane = (2, 2, 1)[:dim]
        if self.stride_one:
            first = unit(config, config.channels, start, 3, padding=1, norm=norm)
            self.C0 = nn.Sequential(first, unit(config, start, start, 3, padding=1, norm=norm))
        self.C1 = unit(config, start if self.stride_one else config.channels, start, 7, in_plane, 3, norm=norm)
        pool = (nn.MaxPool2d, nn.MaxPool3d)[dim - 2](3, in_plane, 1)
        self.C2 = nn.Sequential(pool, *self.stage(config, start, start, 3, 1))
        self.C3 = nn.Sequential(*self.stage(config, 4 * start, 2 * start, 4, 2))
        self.C4 = nn.Sequential(*self.stage(config, 8 * start, 4 * start, 6, 2))
        self.C5 = nn.Sequential(*self.stage(config, 16 * start, 8 * start, 3, 2))
        widths = {5: 32 * start, 4: 16 * start, 3: 8 * start, 2: 4 * start, 1: start, 0: start}
        for level, width in widths.items():
            if level > 0 or self.stride_one:
                setattr(self, f"P{level}_conv1", unit(config, width, end, 1, relu=False))
                setattr(self, f"P{level}_conv2", unit(config, end, end, 3, padding=1, relu=False))

    @staticmethod
    def stage(config, inputs, planes, blocks, stride):
        rest = [Bottleneck(config, 4 * planes, planes) for _ in range(blocks - 1)]
        return [Bottleneck(config, inputs, planes, stride, project=True), *rest]

    def forward(self, x):
        c0 = self.C0(x) if self.stride_one else x
        c1 = self.C1(c0)
        c2 = self.C2(c1)
        c3 = self.C3(c2)
        c4 = self.C4(c3)
        p5 = self.P5_conv1(self.C5(c4))
        p4 = self.P4_conv1(c4) + F.interpolate(p5, scale_factor=2)
        p3 = self.P3_conv1(c3) + F.interpolate(p4, scale_factor=2)
        p2 = self.P2_conv1(c2) + F.interpolate(p3, scale_factor=2)
        maps = [self.P2_conv2(p2), self.P3_conv2(p3), self.P4_conv2(p4), self.P5_conv2(p5)]
        if not self.stride_one:
            return maps
        mode = ("bilinear", "trilinear")[self.dim - 2]
        factor = (2.0, 2.0, 1.0)[: self.dim]
        p1 = self.P1_conv1(c1) + F.interpolate(p2, scale_factor=factor, mode=mode, align_corners=False)
        p0 = self.P0_conv1(c0) + F.interpolate(p1, scale_factor=factor, mode=mode, align_corners=False)
        return [self.P0_conv2(p0), *maps]


class Head(nn.Module):
    """Four convolutions and a last one; one row of `values` per anchor, anchors in the order of `anchors`."""

    def __init__(self, config, values):
        super().__init__()
        self.values = values
        per_position = len(config.ratios) * len(config.scales_xy[0])
        for i, inputs in enumerate([config.end_filters] + 3 * [config.head_filters]):
            setattr(self, f"conv_{i + 1}", unit(config, inputs, config.head_filters, 3, padding=1))
        self.conv_final = unit(config, config.head_filters, per_position * values, 3, padding=1, relu=False)

    def forward(self, x):
        x = self.conv_final(self.conv_4(self.conv_3(self.conv_2(self.conv_1(x)))))
        return x.movedim(1, -1).reshape(len(x), -1, self.values)


def anchors(config):
    """Boxes (n, 2·dim) in float64: level, position row-major, ratio, scale; centres at the cells' corners."""
    levels = []
    for stride, stride_z, scales, scales_z in zip(config.strides_xy, config.strides_z, config.scales_xy, config.scales_z):
        strides = (stride, stride, stride_z)[: config.dim]
        axes = [np.arange(-(-n // s)) * float(s) for n, s in zip(config.patch, strides)]
        centres = np.stack(np.meshgrid(*axes, indexing="ij"), -1).reshape(-1, 1, config.dim)
        shapes = [(s / r**0.5, s * r**0.5, z)[: config.dim] for r in config.ratios for s, z in zip(scales, scales_z)]
        half = np.array(shapes) / 2
        levels.append(rows((centres - half).reshape(-1, config.dim), (centres + half).reshape(-1, config.dim)))
    return np.concatenate(levels)


def rows(low, high):
    """Minima and maxima in the original's order."""
    parts = (low[:, :2], high[:, :2], low[:, 2:], high[:, 2:])
    return np.concatenate(parts, 1) if isinstance(low, np.ndarray) else torch.cat(parts, 1)


def corners(boxes):
    """The inverse of `rows`."""
    dim = boxes.shape[1] // 2
    low, high = ([0, 1, 4], [2, 3, 5]) if dim == 3 else ([0, 1], [2, 3])
    return boxes[:, low], boxes[:, high]


def match(config, boxes, targets, labels):
    """Labels per anchor (-1 background, 0 left out, else the class) and the coded targets of the positive ones."""
    found = np.zeros(len(boxes), np.int64)
    if len(targets) == 0:
        return found - 1, np.zeros((0, 2 * config.dim))
    (low, high), (low_t, high_t) = corners(boxes), corners(targets)
    shared = np.ones((len(boxes), len(targets)))
    for axis in range(config.dim):
        overlap = np.minimum(high[:, axis, None], high_t[:, axis]) - np.maximum(low[:, axis, None], low_t[:, axis])
        shared *= np.maximum(overlap, 0)
    iou = shared / (np.prod(high - low, 1)[:, None] + np.prod(high_t - low_t, 1) - shared)
    best, nearest = iou.max(1), iou.argmax(1)
    found[best < (0.1 if config.dim == 2 else 0.01)] = -1
    for target, label in enumerate(labels):
        found[iou[:, target].argmax()] = label
    certain = best >= config.matching_iou
    found[certain] = labels[nearest[certain]]
    positive = np.flatnonzero(found > 0)
    excess = len(positive) - config.anchors_per_image // 2
    if excess > 0:
        found[np.random.choice(positive, excess, replace=False) if config.random else positive[:excess]] = 0
    positive = np.flatnonzero(found > 0)
    size, size_t = (high - low)[positive], (high_t - low_t)[nearest[positive]]
    centre, centre_t = low[positive] + size / 2, low_t[nearest[positive]] + size_t / 2
    coded = np.concatenate(((centre_t - centre) / size, np.log(size_t / size)), 1)
    return found, coded / np.array(config.deviations[: 2 * config.dim])


class RetinaUNet(nn.Module):
    def __init__(self, config):
        super().__init__()
        self.config = config
        self.anchors = anchors(config)
        self.Fpn = FeaturePyramid(config)
        self.Classifier = Head(config, config.classes)
        self.BBRegressor = Head(config, 2 * config.dim)
        if config.segmentation:
            self.final_conv = unit(config, config.end_filters, 2, 1, relu=False)

    def forward(self, images):
        """Class logits (b, n, classes), deltas (b, n, 2·dim), segmentation logits or None, the feature maps."""
        maps = self.Fpn(images)
        levels = maps[1:] if self.config.segmentation else maps
        logits = torch.cat([self.Classifier(level) for level in levels], 1)
        deltas = torch.cat([self.BBRegressor(level) for level in levels], 1)
        return logits, deltas, self.final_conv(maps[0]) if self.config.segmentation else None, maps

    def loss(self, outputs, targets, labels, segmentation=None):
        """The total and its parts; `segmentation` is (b, y, x[, z]) with 1 in objects."""
        logits, deltas, segmented = outputs[:3]
        parts = {"class": 0, "bbox": 0}
        for image in range(len(logits)):
            found, coded = match(self.config, self.anchors, targets[image], labels[image])
            found = torch.from_numpy(found)
            positive = torch.nonzero(found > 0)[:, 0]
            negative = torch.nonzero(found < 0)[:, 0]
            hard = negative[self.hardest(logits[image, negative].detach(), max(1, len(positive)))]
            right = F.cross_entropy(logits[image, positive], found[positive]) if len(positive) else 0
            wrong = F.cross_entropy(logits[image, hard], torch.zeros_like(hard)) if len(hard) else 0
            parts["class"] = parts["class"] + (right + wrong) / 2 / len(logits)
            if len(positive):
                wanted = torch.from_numpy(coded).to(deltas.dtype)
                parts["bbox"] = parts["bbox"] + F.smooth_l1_loss(deltas[image, positive], wanted) / len(logits)
        total = parts["class"] + parts["bbox"]
        if segmented is not None:
            share = torch.softmax(segmented, 1)[:, 1]
            truth = segmentation.to(share.dtype)
            parts["seg dice"] = 1 - (2 * (share * truth).sum() + 1e-6) / (share.sum() + truth.sum() + 1e-6)
            parts["seg ce"] = F.cross_entropy(segmented, segmentation.long())
            total = total + (parts["seg dice"] + parts["seg ce"]) / 2
        return total, parts

    def hardest(self, logits, count):
        """Indices of `count` out of the negatives that look most like objects."""
        hardness = torch.softmax(logits, 1)[:, 1:].amax(1)
        pool = torch.topk(hardness, min(count * self.config.pool_factor, len(hardness))).indices
        return pool[torch.randperm(len(pool))[:count]] if self.config.random else pool[:count]

    def detections(self, logits, deltas):
        """Rows (box, image, class, score), the best first; the post-processing of training and inference alike."""
        config, dim = self.config, self.config.dim
        scores = torch.softmax(logits.flatten(0, 1), 1)[:, 1:].flatten()
        score, index = torch.topk(scores, min(config.pre_nms, len(scores)))
        anchor = index // (config.classes - 1)
        label = index % (config.classes - 1) + 1
        image = anchor // len(self.anchors)
        low, high = corners(torch.from_numpy(self.anchors)[anchor % len(self.anchors)].to(deltas.dtype))
        delta = deltas.flatten(0, 1)[anchor] * deltas.new_tensor(config.deviations[: 2 * dim])
        size = high - low
        centre = low + size / 2 + delta[:, :dim] * size
        size = size * torch.exp(delta[:, dim:])
        limit = deltas.new_tensor(config.patch)
        low = torch.minimum((centre - size / 2).clamp(min=0), limit)
        high = torch.minimum((centre + size / 2).clamp(min=0), limit)
        low, high = low.round(), high.round()
        kept = []
        for one in image.unique():
            own = [torch.nonzero((image == one) & (label == c))[:, 0] for c in range(1, config.classes)]
            own = torch.cat([group[nms(low[group], high[group], config.nms_iou)] for group in own])
            kept.append(own[torch.argsort(score[own], descending=True, stable=True)[: config.max_detections]])
        kept = torch.cat(kept)
        kept = kept[torch.argsort(score[kept], descending=True, stable=True)]
        extra = torch.stack([image, label, score], 1)[kept].to(deltas.dtype)
        return torch.cat([rows(low[kept], high[kept]), extra], 1)

    @torch.no_grad()
    def predict(self, images):
        """Detections above the least score, boxes not empty, and the label map."""
        logits, deltas, segmented, _ = self(images)
        found = self.detections(logits, deltas)
        low, high = corners(found[:, : 2 * self.config.dim])
        found = found[(high > low).all(1) & (found[:, -1] >= self.config.min_score)]
        return found, torch.softmax(segmented, 1).argmax(1) if segmented is not None else None


def nms(low, high, limit):
    """Indices kept out of boxes sorted by falling score; extents count inclusively, a box goes above `limit`."""
    low, high = low.double().numpy(), high.double().numpy()
    volume = np.prod(high - low + 1, 1)
    left, kept = np.arange(len(low)), []
    while len(left):
        best, left = left[0], left[1:]
        kept.append(best)
        overlap = np.minimum(high[best], high[left]) - np.maximum(low[best], low[left]) + 1
        shared = np.prod(np.maximum(overlap, 0), 1)
        left = left[shared / (volume[best] + volume[left] - shared) <= limit]
    return torch.tensor(kept, dtype=torch.long)
