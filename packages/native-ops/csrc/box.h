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

// All rows, `[n * 2 * D]`.
template <int D>
std::vector<Box<D>> boxes_of(const std::vector<double>& rows) {
  std::vector<Box<D>> boxes;
  boxes.reserve(rows.size() / (2 * D));
  for (std::size_t i = 0; i < rows.size() / (2 * D); ++i) boxes.push_back(box_at<D>(rows.data(), i));
  return boxes;
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

// Unions between these are found with products of sides; beyond, those may have left the range of numbers.
constexpr double kLeastUnion = 1e-290;
constexpr double kLargestUnion = 1e300;

// IoU of boxes of any size that share a part: along each axis lengths are measured in those of the longer box.
template <int D>
MDT_HOST_DEVICE double scaled_iou(const Box<D>& a, const Box<D>& b, double plus) {
  if (!is_finite(a) || !is_finite(b)) return 0;
  double shared = 1;
  double size_a = 1;
  double size_b = 1;
  for (int d = 0; d < D; ++d) {
    // Even the difference of two finite numbers can be infinite; then coordinates are halved before.
    const double part = std::isfinite(a.max[d] - a.min[d]) && std::isfinite(b.max[d] - b.min[d]) ? 1 : 0.5;
    const auto length = [&](double from, double to) { return to * part - from * part + plus * part; };
    const double side_a = length(a.min[d], a.max[d]);
    const double side_b = length(b.min[d], b.max[d]);
    const double unit = std::max(side_a, side_b);
    shared *= length(std::max(a.min[d], b.min[d]), std::min(a.max[d], b.max[d])) / unit;
    size_a *= side_a / unit;
    size_b *= side_b / unit;
  }
  const double total = size_a + size_b - shared;
  return total > 0 ? shared / total : 0;
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
  if (!(total >= kLeastUnion && total <= kLargestUnion)) return scaled_iou(a, b, plus);
  return shared / total;
}

}  // namespace mdt
