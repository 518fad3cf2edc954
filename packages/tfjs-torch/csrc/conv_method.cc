#include "conv_method.h"

#include <algorithm>

#include "winograd.h"

namespace mdt {

direct::Shape direct_shape(c10::IntArrayRef in, c10::IntArrayRef out, c10::IntArrayRef filter, const Geometry& g, const std::vector<int64_t>& pads) {
  const size_t dims = g.strides.size();
  // Kernels trust what follows.
  bool fits = dims >= 1 && dims <= 3 && g.pads.size() == dims && in.size() == dims + 2 && out.size() == dims + 2 && filter.size() == dims + 2 &&
              in[0] == out[0] && in.back() == filter[dims] && out.back() == filter[dims + 1];
  for (size_t d = 0; fits && d < dims; d++) fits = g.strides[d] >= 1 && pads[d] >= 0 && (in[d + 1] + 2 * pads[d] - filter[d]) / g.strides[d] + 1 == out[d + 1];
  if (!fits) throw std::invalid_argument("shapes, strides and padding do not go together");
  direct::Shape s{in[0], in.back(), out.back(), {1, 1, 1}, {1, 1, 1}, {1, 1, 1}, {1, 1, 1}, {0, 0, 0}};
  bool pointwise = true;
  for (size_t d = 0; d < dims; d++) {
    const size_t axis = d + 3 - dims;
    s.in[axis] = in[d + 1];
    s.out[axis] = out[d + 1];
    s.window[axis] = filter[d];
    s.strides[axis] = g.strides[d];
    s.pads[axis] = pads[d];
    pointwise = pointwise && filter[d] == 1 && g.strides[d] == 1 && pads[d] == 0;
  }
  if (pointwise && s.in[2] < 64) {
    s.in = {s.in[0], 1, s.in[1] * s.in[2]};
    s.out = s.in;
  }
  return s;
}

bool is_pointwise_but_strides(const direct::Shape& s) {
  return s.window == std::array<int64_t, 3>{1, 1, 1} && s.pads == std::array<int64_t, 3>{0, 0, 0};
}

bool is_pointwise(const direct::Shape& s) { return is_pointwise_but_strides(s) && s.strides == s.window; }

namespace {

int64_t tiles_of_slice(const direct::Shape& s) { return s.images * ((s.out[1] + 3) / 4) * ((s.out[2] + 3) / 4); }

// Whether transforming the filters is repaid, by the tiles of a slice and of all: oneDNN's bfloat16 is quicker than few of them.
bool has_many_tiles(const direct::Shape& s) { return tiles_of_slice(s) >= 16 && tiles_of_slice(s) * s.out[0] >= 32; }

// Few places and large filters: a direct or Winograd's gradient would go through its sums for a handful of products each time.
bool has_few_places(const direct::Shape& s) {
  const int64_t places = s.images * s.out[0] * s.out[1] * s.out[2], taps = s.window[0] * s.window[1] * s.window[2];
  return taps > 1 && places >= 1 && places <= 512 && std::min(s.in_channels, s.out_channels) >= 64 && s.in_channels * s.out_channels >= 128 * 128;
}

constexpr int64_t kWide = 256 * 256;  // in · out channels whose filters leave the second-level cache
constexpr int64_t kFewChannels = 32;  // below it oneDNN's blocks of 16 are filled badly

}  // namespace

Method method(const at::Tensor& x, at::ScalarType products, const direct::Shape& s, Pass pass) {
  if (!x.is_cpu()) return Method::kAten;
  const bool low = is_low(products), weights = pass == Pass::kFilterGradient;
  const bool wide = s.in_channels * s.out_channels >= kWide;
  // oneDNN's bfloat16 is as quick for the narrower of these, and takes ten times as long for the wide ones.
  const bool loses_elsewhere = wide || (!low && (tiles_of_slice(s) < 8 || !winograd::suits(s)));
  if (weights && has_few_places(s) && loses_elsewhere) return Method::kProduct;
  const bool tiles = has_many_tiles(s) || (!low && !(weights && wide));
  if (tiles && winograd::suits(s)) return Method::kWinograd;
  // With AVX2 alone oneDNN is the quicker one at plain products.
  if (is_pointwise_but_strides(s) && !direct::has_avx512()) return Method::kAten;
  // The direct sums over outputs find no neighbours to pair: they would run at float32's speed.
  if (!direct::suits(s) || (low && weights)) return Method::kAten;
  if (is_pointwise(s) && pass == Pass::kForward && s.in_channels >= kFewChannels) return Method::kAten;
  return Method::kDirect;
}

}  // namespace mdt
