#include "conv_product.h"

#include <ATen/Parallel.h>

#include <algorithm>

#include "elements.h"
#include "layout.h"

namespace mdt {
namespace {

void copy_floats(const float* from, int64_t n, float* to) { std::copy(from, from + n, to); }
void copy_floats(const c10::BFloat16* from, int64_t n, float* to) { widen(from, n, to); }

// What each output sees, tap after tap, zeros beyond the border: [places, k… · in].
template <class E>
void unroll(const direct::Shape& s, const E* x, float* to) {
  const int64_t C = s.in_channels, width = s.window[0] * s.window[1] * s.window[2] * C;
  at::parallel_for(0, s.images * s.out[0] * s.out[1], 1, [&](int64_t first, int64_t last) {
    for (int64_t row = first; row < last; row++) {
      const int64_t image = row / s.out[1] / s.out[0], oz = row / s.out[1] % s.out[0], oy = row % s.out[1];
      float* at = to + row * s.out[2] * width;
      for (int64_t ox = 0; ox < s.out[2]; ox++) {
        const int64_t begin = ox * s.strides[2] - s.pads[2];
        for (int64_t tap = 0; tap < s.window[0] * s.window[1]; tap++, at += s.window[2] * C) {
          const int64_t z = oz * s.strides[0] - s.pads[0] + tap / s.window[1], y = oy * s.strides[1] - s.pads[1] + tap % s.window[1];
          // The taps along x that lie inside.
          const bool inside = z >= 0 && z < s.in[0] && y >= 0 && y < s.in[1];
          const int64_t low = inside ? std::clamp<int64_t>(-begin, 0, s.window[2]) : 0;
          const int64_t high = inside ? std::clamp<int64_t>(s.in[2] - begin, low, s.window[2]) : 0;
          std::fill(at, at + low * C, 0.0f);
          if (high > low) copy_floats(x + (((image * s.in[0] + z) * s.in[1] + y) * s.in[2] + begin + low) * C, (high - low) * C, at + low * C);
          std::fill(at + high * C, at + s.window[2] * C, 0.0f);
        }
      }
    }
  });
}

}  // namespace

at::Tensor filter_gradient_by_product(const direct::Shape& s, const at::Tensor& dy, const at::Tensor& x, const std::vector<int64_t>& shape) {
  const int64_t places = s.images * s.out[0] * s.out[1] * s.out[2];
  at::Tensor windows = at::empty({places, s.window[0] * s.window[1] * s.window[2] * s.in_channels}, x.options().dtype(at::kFloat));
  with_elements(x, [&](auto zero) {
    using E = decltype(zero);
    unroll(s, x.const_data_ptr<E>(), windows.mutable_data_ptr<float>());
  });
  return at::mm(windows.t(), dy.reshape({places, s.out_channels}).to(at::kFloat)).reshape(shape);
}

}  // namespace mdt
