"""The spatial transform of batchgenerators (rotation, scale and elastic deformation), as its users call it."""

import numpy as np
from batchgenerators.augmentations.spatial_transformations import augment_spatial
from serve import serve


def prepare(case):
    size, images, order = case["size"], case["images"], case["order"]
    random = np.random.default_rng(0)
    data = random.random((images, 1, *size), dtype=np.float32)
    angle = (0, 2 * np.pi)
    turn = {"angle_x": angle} if len(size) == 2 else {"angle_x": angle, "angle_y": (0, 0), "angle_z": (0, 0)}

    def run():
        np.random.seed(0)
        out, _ = augment_spatial(
            data, None, size, patch_center_dist_from_border=None, random_crop=False,
            do_elastic_deform=True, alpha=case["alpha"], sigma=case["sigma"], do_rotation=True, **turn,
            do_scale=True, scale=(0.8, 1.1), border_mode_data="nearest", order_data=order,
        )
        return f"mean {out.mean():.3f}"

    return run


serve(prepare)
