// The innermost loops of direct_conv.cc and winograd.cc. Everything here is compiled for AVX-512 and must only be reached
// through direct::available().
#pragma once
#include <cstddef>
#include <cstdint>
#include <utility>

#pragma GCC push_options
#pragma GCC target("avx512f,avx512vl,avx512bw,avx512dq,fma")
#include <immintrin.h>

namespace mdt::direct {

// A channel count is held as Full registers of 16 and a tail: 0 none, else its width in floats (4, 8 or 16).
template <int Full, int Tail>
struct Lanes {
  static constexpr int kWidth = Full * 16 + Tail;
  static constexpr int kRegisters = Full + (Tail > 0 ? 1 : 0);
};

template <int Tail> struct TailRegister { using type = __m512; };
template <> struct TailRegister<4> { using type = __m128; };
template <> struct TailRegister<8> { using type = __m256; };

template <int Tail> __attribute__((always_inline)) inline typename TailRegister<Tail>::type tail_load(const float* p) {
  if constexpr (Tail == 4) return _mm_loadu_ps(p);
  else if constexpr (Tail == 8) return _mm256_loadu_ps(p);
  else return _mm512_loadu_ps(p);
}
template <int Tail> __attribute__((always_inline)) inline typename TailRegister<Tail>::type tail_load_part(const float* p, __mmask16 mask) {
  if constexpr (Tail == 4) return _mm_maskz_loadu_ps(static_cast<__mmask8>(mask), p);
  else if constexpr (Tail == 8) return _mm256_maskz_loadu_ps(static_cast<__mmask8>(mask), p);
  else return _mm512_maskz_loadu_ps(mask, p);
}
template <int Tail> __attribute__((always_inline)) inline void tail_store_part(float* p, typename TailRegister<Tail>::type v, __mmask16 mask) {
  if constexpr (Tail == 4) _mm_mask_storeu_ps(p, static_cast<__mmask8>(mask), v);
  else if constexpr (Tail == 8) _mm256_mask_storeu_ps(p, static_cast<__mmask8>(mask), v);
  else _mm512_mask_storeu_ps(p, mask, v);
}
template <int Tail> __attribute__((always_inline)) inline typename TailRegister<Tail>::type tail_broadcast(float v) {
  if constexpr (Tail == 4) return _mm_set1_ps(v);
  else if constexpr (Tail == 8) return _mm256_set1_ps(v);
  else return _mm512_set1_ps(v);
}
__attribute__((always_inline)) inline __m128 fma(__m128 a, __m128 b, __m128 c) { return _mm_fmadd_ps(a, b, c); }
__attribute__((always_inline)) inline __m256 fma(__m256 a, __m256 b, __m256 c) { return _mm256_fmadd_ps(a, b, c); }
__attribute__((always_inline)) inline __m512 fma(__m512 a, __m512 b, __m512 c) { return _mm512_fmadd_ps(a, b, c); }

__attribute__((always_inline)) inline __m512 activate(__m512 v, float slope) {
  return _mm512_max_ps(v, _mm512_setzero_ps()) + _mm512_min_ps(v, _mm512_setzero_ps()) * _mm512_set1_ps(slope);
}
__attribute__((always_inline)) inline __m256 activate(__m256 v, float slope) {
  return _mm256_max_ps(v, _mm256_setzero_ps()) + _mm256_min_ps(v, _mm256_setzero_ps()) * _mm256_set1_ps(slope);
}
__attribute__((always_inline)) inline __m128 activate(__m128 v, float slope) {
  return _mm_max_ps(v, _mm_setzero_ps()) + _mm_min_ps(v, _mm_setzero_ps()) * _mm_set1_ps(slope);
}

// T neighbouring outputs of one row. `rows` are the input rows that reach them (already moved to the first output), each
// with its packed weights [length, Lanes]; neighbours are `step` floats apart in the input and `out_step` in the output.
struct TileArgs {
  const float* const* rows;
  const float* const* weights;
  int64_t num_rows, length;
  ptrdiff_t step, out_step;
  float* out;
  const float* bias;  // padded to Lanes, or null
  float slope;
  uint16_t tail_mask;
};

template <int Full, int Tail, int T>
void row_tile(const TileArgs& a) {
  using L = Lanes<Full, Tail>;
  using TailReg = typename TailRegister<Tail>::type;
  __m512 acc[T][Full > 0 ? Full : 1];
  TailReg tail[T];
#pragma GCC unroll 16
  for (int j = 0; j < T; j++) {
#pragma GCC unroll 4
    for (int f = 0; f < Full; f++) acc[j][f] = a.bias ? _mm512_loadu_ps(a.bias + 16 * f) : _mm512_setzero_ps();
    if constexpr (Tail > 0) tail[j] = a.bias ? tail_load<Tail>(a.bias + 16 * Full) : tail_broadcast<Tail>(0.0f);
  }
  for (int64_t r = 0; r < a.num_rows; r++) {
    const float* x = a.rows[r];
    const float* w = a.weights[r];
    for (int64_t i = 0; i < a.length; i++, x++, w += L::kWidth) {
      __m512 wf[Full > 0 ? Full : 1];
      TailReg wt;
#pragma GCC unroll 4
      for (int f = 0; f < Full; f++) wf[f] = _mm512_loadu_ps(w + 16 * f);
      if constexpr (Tail > 0) wt = tail_load<Tail>(w + 16 * Full);
#pragma GCC unroll 16
      for (int j = 0; j < T; j++) {
        const float v = x[j * a.step];
        if constexpr (Full > 0) {
          const __m512 b = _mm512_set1_ps(v);
#pragma GCC unroll 4
          for (int f = 0; f < Full; f++) acc[j][f] = fma(b, wf[f], acc[j][f]);
          if constexpr (Tail == 16) tail[j] = fma(b, wt, tail[j]);
          else if constexpr (Tail == 8) tail[j] = fma(_mm512_castps512_ps256(b), wt, tail[j]);
          else if constexpr (Tail == 4) tail[j] = fma(_mm512_castps512_ps128(b), wt, tail[j]);
        } else {
          tail[j] = fma(tail_broadcast<Tail>(v), wt, tail[j]);
        }
      }
    }
  }
#pragma GCC unroll 16
  for (int j = 0; j < T; j++) {
    float* out = a.out + j * a.out_step;
#pragma GCC unroll 4
    for (int f = 0; f < Full; f++) _mm512_storeu_ps(out + 16 * f, a.slope == 1.0f ? acc[j][f] : activate(acc[j][f], a.slope));
    if constexpr (Tail > 0) tail_store_part<Tail>(out + 16 * Full, a.slope == 1.0f ? tail[j] : activate(tail[j], a.slope), a.tail_mask);
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
  using TailReg = typename TailRegister<Tail>::type;
  __m512 acc[C][Full > 0 ? Full : 1];
  TailReg tail[C];
#pragma GCC unroll 16
  for (int c = 0; c < C; c++) {
#pragma GCC unroll 4
    for (int f = 0; f < Full; f++) acc[c][f] = _mm512_setzero_ps();
    if constexpr (Tail > 0) tail[c] = tail_broadcast<Tail>(0.0f);
  }
  const float* x = a.x;
  const float* dy = a.dy;
  for (int64_t j = 0; j < a.count; j++, x += a.step, dy += a.dy_step) {
    __m512 gf[Full > 0 ? Full : 1];
    TailReg gt;
#pragma GCC unroll 4
    for (int f = 0; f < Full; f++) gf[f] = _mm512_loadu_ps(dy + 16 * f);
    if constexpr (Tail > 0) gt = tail_load_part<Tail>(dy + 16 * Full, a.tail_mask);
#pragma GCC unroll 16
    for (int c = 0; c < C; c++) {
      if constexpr (Full > 0) {
        const __m512 b = _mm512_set1_ps(x[c]);
#pragma GCC unroll 4
        for (int f = 0; f < Full; f++) acc[c][f] = fma(b, gf[f], acc[c][f]);
        if constexpr (Tail == 16) tail[c] = fma(b, gt, tail[c]);
        else if constexpr (Tail == 8) tail[c] = fma(_mm512_castps512_ps256(b), gt, tail[c]);
        else if constexpr (Tail == 4) tail[c] = fma(_mm512_castps512_ps128(b), gt, tail[c]);
      } else {
        tail[c] = fma(tail_broadcast<Tail>(x[c]), gt, tail[c]);
      }
    }
  }
  // One row's sum is added to the total: two levels of summation keep the rounding small.
#pragma GCC unroll 16
  for (int c = 0; c < C; c++) {
    float* out = a.out + c * L::kWidth;
#pragma GCC unroll 4
    for (int f = 0; f < Full; f++) _mm512_storeu_ps(out + 16 * f, _mm512_add_ps(_mm512_loadu_ps(out + 16 * f), acc[c][f]));
    if constexpr (Tail > 0) tail_store_part<Tail>(out + 16 * Full, tail_load<Tail>(out + 16 * Full) + tail[c], static_cast<__mmask16>((1u << Tail) - 1));
  }
}

}  // namespace mdt::direct
#pragma GCC pop_options
