// What a convolution is told beside its tensors, and the shape of its result.
#pragma once
#include "call.h"

namespace mdt {

inline constexpr int64_t kFar = int64_t{1} << 31;  // beyond any size of an axis

struct Geometry {
  std::vector<int64_t> strides, pads;
  int64_t activation;
  at::ScalarType results, products;
  explicit Geometry(Call& c) : strides(c.integers()), pads(c.integers()), activation(c.integer()), results(low_type(c.integer())) {
    require((strides.size() == 2 || strides.size() == 3) && pads.size() == strides.size(), "a convolution has two or three axes");
    for (size_t d = 0; d < strides.size(); d++) {
      require(strides[d] >= 1 && strides[d] < kFar && pads[d] >= 0 && pads[d] < kFar, "strides or pads are out of range");
    }
    require(activation >= 0 && activation <= 2, "no such activation");
    products = results == at::kBFloat16 && c.stored(0).is_cpu() && !has_bfloat16_products() ? at::kFloat : results;
  }
  std::vector<int64_t> ones() const { return std::vector<int64_t>(strides.size(), 1); }
  std::vector<int64_t> zeros() const { return std::vector<int64_t>(strides.size(), 0); }
  // Shape of what an image [n, …, in] becomes under a filter [k…, in, out]; throws where they do not go together.
  std::vector<int64_t> result(at::IntArrayRef image, at::IntArrayRef filter) const {
    const size_t dims = strides.size();
    require(image.size() == dims + 2 && filter.size() == dims + 2, "image or filter has another number of axes");
    require(filter[dims] == image.back(), "the filter is for another number of channels");
    std::vector<int64_t> shape{image[0]};
    for (size_t d = 0; d < dims; d++) {
      const int64_t room = image[d + 1] + 2 * pads[d] - filter[d];
      require(image[d + 1] >= 0 && image[d + 1] < kFar && filter[d] >= 1 && room >= 0, "the filter does not fit the image");
      shape.push_back(room / strides[d] + 1);
    }
    shape.push_back(filter.back());
    return shape;
  }
};

}  // namespace mdt
