// simd.h for processors with AVX2 and FMA: registers of 4 or 8 float lanes. Products of bfloat16 need AVX-512: elements held so are
// widened and rounded here, and multiplied as floats.
#pragma once
#include <c10/util/BFloat16.h>

#include <cstddef>
#include <cstdint>
#include <cstring>

#pragma GCC push_options
#pragma GCC target("avx2,fma")
#include <immintrin.h>

#define MDT_INLINE __attribute__((always_inline)) inline

namespace mdt::simd {
inline namespace avx2 {

// Lanes of the widest register, how many there are, and of how many groups of output channels are made.
constexpr int kLanes = 8, kRegisters = 16, kGroupRegisters = 3;

using BFloat16 = c10::BFloat16;

template <int Width> struct RegisterOf { using type = __m256; };
template <> struct RegisterOf<4> { using type = __m128; };
template <int Width> using Register = typename RegisterOf<Width>::type;
using Wide = Register<kLanes>;

template <int Width> MDT_INLINE Register<Width> broadcast(float v) {
  if constexpr (Width == 4) return _mm_set1_ps(v);
  else return _mm256_set1_ps(v);
}

// The first lanes of a register.
template <int Width> MDT_INLINE Register<Width> low_lanes(__m256 v) {
  if constexpr (Width == 4) return _mm256_castps256_ps128(v);
  else return v;
}

// All ones in the lanes whose bit is set.
MDT_INLINE __m256i lanes_of(uint16_t mask) {
  const __m256i bits = _mm256_setr_epi32(1, 2, 4, 8, 16, 32, 64, 128);
  return _mm256_cmpeq_epi32(_mm256_and_si256(_mm256_set1_epi32(mask), bits), bits);
}

template <int Width> MDT_INLINE Register<Width> load(const float* p) {
  if constexpr (Width == 4) return _mm_loadu_ps(p);
  else return _mm256_loadu_ps(p);
}
template <int Width> MDT_INLINE Register<Width> load_part(const float* p, uint16_t mask) {
  if constexpr (Width == 4) return _mm_maskload_ps(p, _mm256_castsi256_si128(lanes_of(mask)));
  else return _mm256_maskload_ps(p, lanes_of(mask));
}
template <int Width> MDT_INLINE void store(float* p, Register<Width> v) { std::memcpy(p, &v, sizeof v); }
template <int Width> MDT_INLINE void store_part(float* p, Register<Width> v, uint16_t mask) {
  if constexpr (Width == 4) _mm_maskstore_ps(p, _mm256_castsi256_si128(lanes_of(mask)), v);
  else _mm256_maskstore_ps(p, lanes_of(mask), v);
}

// A bfloat16 is the upper half of a float.
template <int Width> MDT_INLINE Register<Width> load(const BFloat16* p) {
  if constexpr (Width == 4) return _mm_castsi128_ps(_mm_slli_epi32(_mm_cvtepu16_epi32(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(p))), 16));
  else return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p))), 16));
}
template <int Width> MDT_INLINE Register<Width> load_part(const BFloat16* p, uint16_t mask) {
  BFloat16 lanes[Width] = {};
  for (int i = 0; i < Width; i++) if (mask >> i & 1) lanes[i] = p[i];
  return load<Width>(lanes);
}

// To the nearest, of two as near the even one; what is no number becomes the quiet one, as c10 rounds.
template <int Width> MDT_INLINE void store(BFloat16* p, Register<Width> v) {
  __m256 wide;
  if constexpr (Width == 4) wide = _mm256_zextps128_ps256(v);
  else wide = v;
  const __m256i bits = _mm256_castps_si256(wide), upper = _mm256_srli_epi32(bits, 16);
  const __m256i half = _mm256_add_epi32(_mm256_set1_epi32(0x7fff), _mm256_and_si256(upper, _mm256_set1_epi32(1)));
  const __m256i rounded = _mm256_srli_epi32(_mm256_add_epi32(bits, half), 16);
  const __m256i no_number = _mm256_castps_si256(_mm256_cmp_ps(wide, wide, _CMP_UNORD_Q));
  const __m256i lanes = _mm256_blendv_epi8(rounded, _mm256_set1_epi32(0x7fc0), no_number);
  const __m128i packed = _mm_packus_epi32(_mm256_castsi256_si128(lanes), _mm256_extracti128_si256(lanes, 1));
  std::memcpy(p, &packed, Width * sizeof(BFloat16));
}
template <int Width> MDT_INLINE void store_part(BFloat16* p, Register<Width> v, uint16_t mask) {
  BFloat16 lanes[Width];
  store<Width>(lanes, v);
  for (int i = 0; i < Width; i++) if (mask >> i & 1) p[i] = lanes[i];
}

// max(v, 0) + slope · min(v, 0)
template <int Width> MDT_INLINE Register<Width> activate(Register<Width> v, float slope) {
  const Register<Width> zero = broadcast<Width>(0.0f);
  if constexpr (Width == 4) return _mm_max_ps(v, zero) + _mm_min_ps(v, zero) * broadcast<4>(slope);
  else return _mm256_max_ps(v, zero) + _mm256_min_ps(v, zero) * broadcast<8>(slope);
}

template <class E> struct Products;

template <> struct Products<float> {
  static constexpr int kPack = 1;
  static MDT_INLINE __m256 pack(const float* p) { return _mm256_set1_ps(*p); }
  static MDT_INLINE __m256 pack_last(const float* p) { return pack(p); }
  static MDT_INLINE __m128 add(__m128 sum, __m128 a, __m128 b) { return _mm_fmadd_ps(a, b, sum); }
  static MDT_INLINE __m256 add(__m256 sum, __m256 a, __m256 b) { return _mm256_fmadd_ps(a, b, sum); }
};

}  // inline namespace avx2
}  // namespace mdt::simd
#pragma GCC pop_options
