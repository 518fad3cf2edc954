// Where a gradient is not zero.
#pragma once
#include <ATen/ATen.h>

#include <cstdint>
#include <optional>
#include <vector>

namespace mdt {

// A part of one image: [begin, end) per spatial axis.
struct ImageBox {
  int64_t image;
  std::vector<int64_t> begin, end;
};

// Boxes that together hold every non-zero element of `x` [n, …size, c], or nothing when they would hold more than `share`
// of it, and for a tensor that is not on the processor. A detection loss reaches a handful of anchors: behind it most of the heads' gradients are exactly zero.
std::optional<std::vector<ImageBox>> non_zero_boxes(const at::Tensor& x, double share);

}  // namespace mdt
