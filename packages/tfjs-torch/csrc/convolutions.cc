// Which instructions our convolutions use on this processor, and which layers they suit.
#include "direct_conv.h"
#include "winograd.h"

#include "layout.h"

#include <algorithm>
#include <type_traits>

namespace mdt {
namespace {

// The direct kernels get bfloat16 only where the processor multiplies it, which means AVX-512.
template <class E>
const direct::Passes<E>& direct_passes() {
  static const auto passes = [] {
    if constexpr (std::is_same_v<E, float>) return direct::has_avx512() ? direct::avx512_passes<E>() : direct::avx2_passes();
    else return direct::avx512_passes<E>();
  }();
  return passes;
}

template <class E>
const direct::Passes<E>& winograd_passes() {
  static const auto passes = direct::has_avx512() ? winograd::avx512_passes<E>() : winograd::avx2_passes<E>();
  return passes;
}

}  // namespace

namespace direct {

bool has_avx512() {
  static const bool has = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512bw") &&
                          __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("fma");
  return has;
}

bool has_avx2() {
  static const bool has = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
  return has;
}

bool suits(const Shape& s) {
  const int64_t taps = s.window[0] * s.window[1] * s.window[2];
  const int64_t tile_weights = taps * std::max(s.in_channels * std::min<int64_t>(64, s.out_channels), s.out_channels * std::min<int64_t>(64, s.in_channels));
  return has_avx2() && s.out[2] >= 8 && tile_weights <= (s.out[2] >= 16 ? 160 * 1024 : 64 * 1024);
}

template <class E> void forward(const Shape& s, const E* x, const float* filter, const float* bias, float slope, E* y) {
  direct_passes<E>().forward(s, x, filter, bias, slope, y);
}
template <class E> void input_gradient(const Shape& s, const E* dy, const float* filter, E* dx) { direct_passes<E>().input_gradient(s, dy, filter, dx); }
template <class E> void filter_gradient(const Shape& s, const E* dy, const E* x, float* d_filter) { direct_passes<E>().filter_gradient(s, dy, x, d_filter); }

}  // namespace direct

namespace winograd {

bool suits(const direct::Shape& s) {
  constexpr int64_t kWindow = 3, kOutputs = 4;
  const auto channels = std::minmax(s.in_channels, s.out_channels);
  const bool fits = s.window[1] == kWindow && s.window[2] == kWindow && s.strides[1] == 1 && s.strides[2] == 1 && s.pads[1] < kWindow && s.pads[2] < kWindow;
  return direct::has_avx2() && fits && channels.first >= 4 && s.out[1] * s.out[2] >= kOutputs * kOutputs;
}

// AVX-512 widens and rounds with the instructions that came with the products.
bool reads_bfloat16() { return direct::has_avx2() && (has_bfloat16_products() || !direct::has_avx512()); }

template <class E> void forward(const direct::Shape& s, const E* x, const float* filter, const float* bias, float slope, E* y) {
  winograd_passes<E>().forward(s, x, filter, bias, slope, y);
}
template <class E> void input_gradient(const direct::Shape& s, const E* dy, const float* filter, E* dx) { winograd_passes<E>().input_gradient(s, dy, filter, dx); }
template <class E> void filter_gradient(const direct::Shape& s, const E* dy, const E* x, float* d_filter) { winograd_passes<E>().filter_gradient(s, dy, x, d_filter); }

}  // namespace winograd

#include "convolution_instances.inc"

}  // namespace mdt
