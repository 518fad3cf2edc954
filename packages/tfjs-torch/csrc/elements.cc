#include "elements.h"

#include <algorithm>

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

// Up to 16 · N columns; the last register holds those of `tail`.
template <int N, class E>
void add_columns(const E* from, int64_t rows, int64_t columns, uint16_t tail, float* to) {
  __m512 sums[N] = {};
  for (int64_t row = 0; row < rows; row++, from += columns) {
#pragma GCC unroll 4
    for (int i = 0; i < N; i++) sums[i] += i < N - 1 ? simd::load<16>(from + 16 * i) : simd::load_part<16>(from + 16 * i, tail);
  }
#pragma GCC unroll 4
  for (int i = 0; i < N; i++) {
    const uint16_t mask = i < N - 1 ? uint16_t{0xffff} : tail;
    simd::store_part<16>(to + 16 * i, simd::load_part<16>(to + 16 * i, mask) + sums[i], mask);
  }
}

template <class E>
void add_lanes(const E* from, int64_t rows, int64_t columns, float* to) {
  for (int64_t at = 0; at < columns; at += 64) {
    const int64_t count = std::min<int64_t>(64, columns - at), last = (count - 1) % 16 + 1;
    const uint16_t tail = static_cast<uint16_t>((1u << last) - 1);
    const auto add = count > 48 ? add_columns<4, E> : count > 32 ? add_columns<3, E> : count > 16 ? add_columns<2, E> : add_columns<1, E>;
    add(from + at, rows, columns, tail, to + at);
  }
}
#pragma GCC pop_options

bool has_lanes() {
  static const bool has = direct::has_avx512() && has_bfloat16_products();
  return has;
}
#else
constexpr bool has_lanes() { return false; }
template <class From, class To>
void move_lanes(const From*, int64_t, To*) {}
template <class E>
void add_lanes(const E*, int64_t, int64_t, float*) {}
#endif

template <class E>
void add_each_row(const E* from, int64_t rows, int64_t columns, float* to) {
  if (has_lanes()) return add_lanes(from, rows, columns, to);
  for (int64_t row = 0; row < rows; row++, from += columns) {
    for (int64_t c = 0; c < columns; c++) to[c] += static_cast<float>(from[c]);
  }
}

}  // namespace

void widen(const c10::BFloat16* from, int64_t n, float* to) {
  if (has_lanes()) return move_lanes(from, n, to);
  for (int64_t i = 0; i < n; i++) to[i] = static_cast<float>(from[i]);
}

void narrow(const float* from, int64_t n, c10::BFloat16* to) {
  if (has_lanes()) return move_lanes(from, n, to);
  for (int64_t i = 0; i < n; i++) to[i] = c10::BFloat16(from[i]);
}

void add_rows(const float* from, int64_t rows, int64_t columns, float* to) { add_each_row(from, rows, columns, to); }
void add_rows(const c10::BFloat16* from, int64_t rows, int64_t columns, float* to) { add_each_row(from, rows, columns, to); }

}  // namespace mdt
