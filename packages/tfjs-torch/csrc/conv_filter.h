// Filters and biases of convolutions: float32 [k…, in, out] to tfjs, [out, in, k…] in channels-last memory to ATen.
#pragma once
#include "call.h"

namespace mdt {

at::Tensor filter_to_aten(const at::Tensor& filter, at::ScalarType type);

// Back, to float32.
at::Tensor filter_from_aten(const at::Tensor& filter);

// A filter of which only the shape counts, for gradients of images like this one, [n, …, in].
at::Tensor filter_shape(const std::vector<int64_t>& shape, const at::Tensor& image);

// A filter or bias: float32 in memory order, in every precision.
inline at::Tensor weights_of(const Call& c, size_t i) {
  const at::Tensor& weights = c.in(i);
  if (weights.scalar_type() != at::kFloat) throw std::invalid_argument("expected floats");
  return contiguous(weights);
}

// The filter of a call: float32 in memory order, and as ATen wants it. In 16 bits that is kept: forward and backward read it, and a
// model that only predicts reads it again and again.
class Filter {
 public:
  Filter(const Call& c, size_t i) : values_(weights_of(c, i)), kept_(c.prepared(i)) {}
  const at::Tensor& values() const { return values_; }
  at::Tensor to_aten(at::ScalarType type) const {
    if (!is_low(type)) return filter_to_aten(values_, type);
    if (!kept_.defined() || kept_.scalar_type() != type) kept_ = filter_to_aten(values_, type);
    return kept_;
  }

 private:
  at::Tensor values_;
  at::Tensor& kept_;
};

}  // namespace mdt
