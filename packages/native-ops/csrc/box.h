// Boxes as all code here sees them: double precision, half-open, one template for every number of axes.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <vector>

#include "host_device.h"

namespace mdt {

template <int D>
struct Box {
  double min[D];
  double max[D];
};

// Row `i` of flat rows [min..., max...].
template <int D>
MDT_HOST_DEVICE Box<D> box_at(const double* rows, std::size_t i) {
  Box<D> box;
  for (int d = 0; d < D; ++d) {
    box.min[d] = rows[i * 2 * D + d];
    box.max[d] = rows[i * 2 * D + D + d];
  }
  return box;
}

template <int D>
MDT_HOST_DEVICE bool is_finite(const Box<D>& box) {
  for (int d = 0; d < D; ++d) {
    if (!std::isfinite(box.min[d]) || !std::isfinite(box.max[d])) return false;
  }
  return true;
}

// Product of the sides; `plus` is 1 for inclusive extents, else 0. Negative for a box inverted along an odd number of axes.
template <int D>
MDT_HOST_DEVICE double signed_size(const Box<D>& box, double plus) {
  double size = 1;
  for (int d = 0; d < D; ++d) size *= box.max[d] - box.min[d] + plus;
  return size;
}

// Share of the union that two boxes have in common, given their signed sizes. NaN anywhere gives 0.
// Same operations in the same order as `iouAt` of @mdt/core, so both give the same bits (no fused multiply-add: binding.gyp).
template <int D>
MDT_HOST_DEVICE double iou(const Box<D>& a, double size_a, const Box<D>& b, double size_b, double plus) {
  double shared = 1;
  for (int d = 0; d < D; ++d) {
    const double side = std::min(a.max[d], b.max[d]) - std::max(a.min[d], b.min[d]) + plus;
    if (!(side > 0)) return 0;
    shared *= side;
  }
  const double total = size_a + size_b - shared;
  return total > 0 ? shared / total : 0;
}

}  // namespace mdt
