#include "elements.h"

#include "direct_conv.h"
#include "layout.h"

#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__)
#define MDT_LANES 1
#include "simd.h"
#endif

namespace mdt {
namespace {

#ifdef MDT_LANES
#pragma GCC push_options
#pragma GCC target("avx512f,avx512vl,avx512bw,avx512dq,avx512bf16,fma")
template <class From, class To>
void move_lanes(const From* from, int64_t n, To* to) {
  int64_t i = 0;
  for (; i + 16 <= n; i += 16) simd::store<16>(to + i, simd::load<16>(from + i));
  const uint16_t rest = static_cast<uint16_t>((1u << (n - i)) - 1);
  if (rest) simd::store_part<16>(to + i, simd::load_part<16>(from + i, rest), rest);
}
#pragma GCC pop_options

bool has_lanes() {
  static const bool has = direct::available() && has_bfloat16_products();
  return has;
}
#else
constexpr bool has_lanes() { return false; }
template <class From, class To>
void move_lanes(const From*, int64_t, To*) {}
#endif

}  // namespace

void widen(const c10::BFloat16* from, int64_t n, float* to) {
  if (has_lanes()) return move_lanes(from, n, to);
  for (int64_t i = 0; i < n; i++) to[i] = static_cast<float>(from[i]);
}

void narrow(const float* from, int64_t n, c10::BFloat16* to) {
  if (has_lanes()) return move_lanes(from, n, to);
  for (int64_t i = 0; i < n; i++) to[i] = c10::BFloat16(from[i]);
}

}  // namespace mdt
