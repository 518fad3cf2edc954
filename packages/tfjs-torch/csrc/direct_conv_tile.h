// The innermost loops of direct_conv.cc and winograd.cc, over elements of type E, float or bfloat16; sums are float. To be
// reached as simd.h says.
#pragma once
#include <utility>

#include "simd.h"

#pragma GCC push_options
#ifdef MDT_AVX2
#pragma GCC target("avx2,fma")
#else
#pragma GCC target("avx512f,avx512vl,avx512bw,avx512dq,avx512bf16,fma")
#endif

namespace mdt::direct {
inline namespace MDT_INSTRUCTIONS {

using simd::kLanes;

// A channel count is held as Full registers of kLanes and a tail: 0 none, else its width in floats (4, 8 or 16).
template <int Full, int Tail>
struct Lanes {
  static constexpr int kWidth = Full * kLanes + Tail;
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
  simd::Wide acc[T][Full > 0 ? Full : 1];
  TailReg tail[T];
#pragma GCC unroll 16
  for (int j = 0; j < T; j++) {
#pragma GCC unroll 4
    for (int f = 0; f < Full; f++) acc[j][f] = a.bias ? simd::load<kLanes>(a.bias + kLanes * f) : simd::broadcast<kLanes>(0.0f);
    if constexpr (Tail > 0) tail[j] = a.bias ? simd::load<Tail>(a.bias + kLanes * Full) : simd::broadcast<Tail>(0.0f);
  }
  // `pack` is what the inputs of output j give at this place.
  const auto add = [&](const E* w, auto pack) __attribute__((always_inline)) {
    const float* packed = reinterpret_cast<const float*>(w);
    simd::Wide wf[Full > 0 ? Full : 1];
    TailReg wt;
#pragma GCC unroll 4
    for (int f = 0; f < Full; f++) wf[f] = simd::load<kLanes>(packed + kLanes * f);
    if constexpr (Tail > 0) wt = simd::load<Tail>(packed + kLanes * Full);
#pragma GCC unroll 16
    for (int j = 0; j < T; j++) {
      const simd::Wide b = pack(j);
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
    for (int f = 0; f < Full; f++) simd::store<kLanes>(out + kLanes * f, a.slope == 1.0f ? acc[j][f] : simd::activate<kLanes>(acc[j][f], a.slope));
    if constexpr (Tail > 0) simd::store_part<Tail>(out + kLanes * Full, a.slope == 1.0f ? tail[j] : simd::activate<Tail>(tail[j], a.slope), a.tail_mask);
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
  simd::Wide acc[C][Full > 0 ? Full : 1];
  TailReg tail[C];
#pragma GCC unroll 16
  for (int c = 0; c < C; c++) {
#pragma GCC unroll 4
    for (int f = 0; f < Full; f++) acc[c][f] = simd::broadcast<kLanes>(0.0f);
    if constexpr (Tail > 0) tail[c] = simd::broadcast<Tail>(0.0f);
  }
  const float* x = a.x;
  const float* dy = a.dy;
  for (int64_t j = 0; j < a.count; j++, x += a.step, dy += a.dy_step) {
    simd::Wide gf[Full > 0 ? Full : 1];
    TailReg gt;
#pragma GCC unroll 4
    for (int f = 0; f < Full; f++) gf[f] = simd::load<kLanes>(dy + kLanes * f);
    if constexpr (Tail > 0) gt = simd::load_part<Tail>(dy + kLanes * Full, a.tail_mask);
#pragma GCC unroll 16
    for (int c = 0; c < C; c++) {
      const simd::Wide b = P::pack(x + c);
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
    for (int f = 0; f < Full; f++) simd::store<kLanes>(out + kLanes * f, simd::load<kLanes>(out + kLanes * f) + acc[c][f]);
    if constexpr (Tail > 0) simd::store<Tail>(out + kLanes * Full, simd::load<Tail>(out + kLanes * Full) + tail[c]);
  }
}

}  // inline namespace MDT_INSTRUCTIONS
}  // namespace mdt::direct
#pragma GCC pop_options
