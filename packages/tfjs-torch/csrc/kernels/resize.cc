// Enlarging by whole factors with half-pixel centres, channels last.
#include "../call.h"

namespace mdt {
namespace {

at::Tensor upsample(const at::Tensor& x, const std::vector<int64_t>& size, bool linear) {
  if (size.size() == 3) return linear ? at::upsample_trilinear3d(x, size, false) : at::upsample_nearest3d(x, size);
  return linear ? at::upsample_bilinear2d(x, size, false) : at::upsample_nearest2d(x, size);
}

at::Tensor upsample_grad(const at::Tensor& dy, const std::vector<int64_t>& size, const std::vector<int64_t>& in, bool linear) {
  if (size.size() == 3) {
    return linear ? at::upsample_trilinear3d_backward(dy, size, in, false) : at::upsample_nearest3d_backward(dy, size, in);
  }
  return linear ? at::upsample_bilinear2d_backward(dy, size, in, false) : at::upsample_nearest2d_backward(dy, size, in);
}

}  // namespace

void add_resize(std::vector<Kernel>& k) {
  k.insert(k.end(), {
      {"Upsample", [](Call& c) {
         const bool linear = c.flag();
         const auto factors = c.integers();
         const at::Tensor x = channels_first(c.in(0));
         std::vector<int64_t> size;
         for (size_t d = 0; d < factors.size(); d++) size.push_back(x.size(d + 2) * factors[d]);
         c.out(channels_last(upsample(x, size, linear)));
       }},
      {"UpsampleGrad", [](Call& c) {
         const bool linear = c.flag();
         const auto factors = c.integers();
         const at::Tensor dy = channels_first(c.in(0));
         auto in = dy.sizes().vec();
         std::vector<int64_t> size(in.begin() + 2, in.end());
         for (size_t d = 0; d < factors.size(); d++) in[d + 2] /= factors[d];
         c.out(channels_last(upsample_grad(dy, size, in, linear)));
       }},
  });
}

}  // namespace mdt
