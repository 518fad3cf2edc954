// Gradients of filters as one matrix product, for layers with few places and many channels.
#pragma once
#include <ATen/ATen.h>

#include "direct_conv.h"

namespace mdt {

// dFilter [k…, in, out], float32: the windows of x, unrolled to [places, k… · in] and turned round, times dy [places, out].
// x [n, …, in] and dy [n, …, out] lie in memory order on the processor.
at::Tensor filter_gradient_by_product(const direct::Shape& s, const at::Tensor& dy, const at::Tensor& x, const std::vector<int64_t>& shape);

}  // namespace mdt
