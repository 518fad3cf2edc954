// The innermost loops of direct_conv.cc and winograd.cc, over elements of type E, float or bfloat16; sums are float. To be
// reached as simd.h says.
#pragma once
#include <utility>

#include "simd.h"

#pragma GCC push_options
#pragma GCC target("avx512f,avx512vl,avx512bw,avx512dq,avx512bf16,fma")

namespace mdt::direct {

// A channel count is held as Full registers of 16 and a tail: 0 none, else its width in floats (4, 8 or 16).
template <int Full, int Tail>
struct Lanes {
  static constexpr int kWidth = Full * 16 + Tail;
  static constexpr int kRegisters = Full + (Tail > 0 ? 1 : 0);
};

// T neighbouring outputs of one row. `rows` are the input rows that reach them (already moved to the first output), each
// `length` elements and with its packed weights [length / pack, Lanes, pack]; neighbours are `step` elements apart in the
// input and `out_step` in the output.
template <class E>
struct TileArgs {
  const E* const* rows;
  const E* const* weights;
  int64_t num_rows, length;
  ptrdiff_t step, out_step;
  E* out;
  const float* bias;  // padded to Lanes, or null
  float slope;
  uint16_t tail_mask;
};

template <class E, int Full, int Tail, int T>
void row_tile(const TileArgs<E>& a) {
  using L = Lanes<Full, Tail>;
  using P = simd::Products<E>;
  constexpr int kPack = P::kPack;
  using TailReg = simd::Register<Tail>;
  __m512 acc[T][Full > 0 ? Full : 1];
  TailReg tail[T];
#pragma GCC unroll 16
  for (int j = 0; j < T; j++) {
#pragma GCC unroll 4
    for (int f = 0; f < Full; f++) acc[j][f] = a.bias ? simd::load<16>(a.bias + 16 * f) : _mm512_setzero_ps();
    if constexpr (Tail > 0) tail[j] = a.bias ? simd::load<Tail>(a.bias + 16 * Full) : simd::broadcast<Tail>(0.0f);
  }
  // `pack` is what the inputs of output j give at this place.
  const auto add = [&](const E* w, auto pack) __attribute__((always_inline)) {
    const float* packed = reinterpret_cast<const float*>(w);
    __m512 wf[Full > 0 ? Full : 1];
    TailReg wt;
#pragma GCC unroll 4
    for (int f = 0; f < Full; f++) wf[f] = _mm512_loadu_ps(packed + 16 * f);
    if constexpr (Tail > 0) wt = simd::load<Tail>(packed + 16 * Full);
#pragma GCC unroll 16
    for (int j = 0; j < T; j++) {
      const __m512 b = pack(j);
#pragma GCC unroll 4
      for (int f = 0; f < Full; f++) acc[j][f] = P::add(acc[j][f], b, wf[f]);
      if constexpr (Tail > 0) tail[j] = P::add(tail[j], simd::low_lanes<Tail>(b), wt);
    }
  };
  for (int64_t r = 0; r < a.num_rows; r++) {
    const E* x = a.rows[r];
    const E* w = a.weights[r];
    int64_t i = 0;
    for (; i + kPack <= a.length; i += kPack, x += kPack, w += L::kWidth * kPack) {
      add(w, [&](int j) __attribute__((always_inline)) { return P::pack(x + j * a.step); });
    }
    if (kPack > 1 && i < a.length) add(w, [&](int j) __attribute__((always_inline)) { return P::pack_last(x + j * a.step); });
  }
#pragma GCC unroll 16
  for (int j = 0; j < T; j++) {
    E* out = a.out + j * a.out_step;
#pragma GCC unroll 4
    for (int f = 0; f < Full; f++) simd::store<16>(out + 16 * f, a.slope == 1.0f ? acc[j][f] : simd::activate<16>(acc[j][f], a.slope));
    if constexpr (Tail > 0) simd::store_part<Tail>(out + 16 * Full, a.slope == 1.0f ? tail[j] : simd::activate<Tail>(tail[j], a.slope), a.tail_mask);
  }
}

// dFilter rows of C input channels at one tap: out[c, :] += Σ_j x[j · step + c] · dy[j, :] over one output row.
struct OuterArgs {
  const float* x;
  const float* dy;
  int64_t count;
  ptrdiff_t step, dy_step;
  float* out;  // [C, Lanes]
  uint16_t tail_mask;
};

template <int Full, int Tail, int C>
void outer_tile(const OuterArgs& a) {
  using L = Lanes<Full, Tail>;
  using P = simd::Products<float>;
  using TailReg = simd::Register<Tail>;
  __m512 acc[C][Full > 0 ? Full : 1];
  TailReg tail[C];
#pragma GCC unroll 16
  for (int c = 0; c < C; c++) {
#pragma GCC unroll 4
    for (int f = 0; f < Full; f++) acc[c][f] = _mm512_setzero_ps();
    if constexpr (Tail > 0) tail[c] = simd::broadcast<Tail>(0.0f);
  }
  const float* x = a.x;
  const float* dy = a.dy;
  for (int64_t j = 0; j < a.count; j++, x += a.step, dy += a.dy_step) {
    __m512 gf[Full > 0 ? Full : 1];
    TailReg gt;
#pragma GCC unroll 4
    for (int f = 0; f < Full; f++) gf[f] = _mm512_loadu_ps(dy + 16 * f);
    if constexpr (Tail > 0) gt = simd::load_part<Tail>(dy + 16 * Full, a.tail_mask);
#pragma GCC unroll 16
    for (int c = 0; c < C; c++) {
      const __m512 b = P::pack(x + c);
#pragma GCC unroll 4
      for (int f = 0; f < Full; f++) acc[c][f] = P::add(acc[c][f], b, gf[f]);
      if constexpr (Tail > 0) tail[c] = P::add(tail[c], simd::low_lanes<Tail>(b), gt);
    }
  }
  // One row's sum is added to the total: two levels of summation keep the rounding small.
#pragma GCC unroll 16
  for (int c = 0; c < C; c++) {
    float* out = a.out + c * L::kWidth;
#pragma GCC unroll 4
    for (int f = 0; f < Full; f++) _mm512_storeu_ps(out + 16 * f, _mm512_add_ps(_mm512_loadu_ps(out + 16 * f), acc[c][f]));
    if constexpr (Tail > 0) simd::store<Tail>(out + 16 * Full, simd::load<Tail>(out + 16 * Full) + tail[c]);
  }
}

}  // namespace mdt::direct
#pragma GCC pop_options
