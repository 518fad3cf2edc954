// Registers of 4, 8 or 16 float lanes, and how elements get into them and out: float as it is, bfloat16 widened and rounded.
// Everything here is compiled for AVX-512 and must only be reached where the processor has it; what takes bfloat16, only
// where has_bfloat16_products() holds as well. Sources that are compiled with MDT_AVX2 get AVX2's registers instead. The inline
// namespaces keep the two apart.
#pragma once
#ifdef MDT_AVX2
#define MDT_INSTRUCTIONS avx2
#include "avx2/simd.h"
#else
#define MDT_INSTRUCTIONS avx512
#include <c10/util/BFloat16.h>

#include <cstddef>
#include <cstdint>
#include <cstring>

#pragma GCC push_options
#pragma GCC target("avx512f,avx512vl,avx512bw,avx512dq,avx512bf16,fma")
#include <immintrin.h>

#define MDT_INLINE __attribute__((always_inline)) inline

namespace mdt::simd {
inline namespace avx512 {

// Lanes of the widest register, how many there are, and of how many groups of output channels are made.
constexpr int kLanes = 16, kRegisters = 32, kGroupRegisters = 4;

using BFloat16 = c10::BFloat16;

template <int Width> struct RegisterOf { using type = __m512; };
template <> struct RegisterOf<4> { using type = __m128; };
template <> struct RegisterOf<8> { using type = __m256; };
template <int Width> using Register = typename RegisterOf<Width>::type;
using Wide = Register<kLanes>;

template <int Width> constexpr uint16_t kAll = static_cast<uint16_t>((1u << Width) - 1);

template <int Width> MDT_INLINE Register<Width> broadcast(float v) {
  if constexpr (Width == 4) return _mm_set1_ps(v);
  else if constexpr (Width == 8) return _mm256_set1_ps(v);
  else return _mm512_set1_ps(v);
}

// The first lanes of a register.
template <int Width> MDT_INLINE Register<Width> low_lanes(__m512 v) {
  if constexpr (Width == 4) return _mm512_castps512_ps128(v);
  else if constexpr (Width == 8) return _mm512_castps512_ps256(v);
  else return v;
}

template <int Width> MDT_INLINE Register<Width> load(const float* p) {
  if constexpr (Width == 4) return _mm_loadu_ps(p);
  else if constexpr (Width == 8) return _mm256_loadu_ps(p);
  else return _mm512_loadu_ps(p);
}
template <int Width> MDT_INLINE Register<Width> load_part(const float* p, uint16_t mask) {
  if constexpr (Width == 4) return _mm_maskz_loadu_ps(static_cast<__mmask8>(mask), p);
  else if constexpr (Width == 8) return _mm256_maskz_loadu_ps(static_cast<__mmask8>(mask), p);
  else return _mm512_maskz_loadu_ps(mask, p);
}
template <int Width> MDT_INLINE void store(float* p, Register<Width> v) { std::memcpy(p, &v, sizeof v); }
template <int Width> MDT_INLINE void store_part(float* p, Register<Width> v, uint16_t mask) {
  if constexpr (Width == 4) _mm_mask_storeu_ps(p, static_cast<__mmask8>(mask), v);
  else if constexpr (Width == 8) _mm256_mask_storeu_ps(p, static_cast<__mmask8>(mask), v);
  else _mm512_mask_storeu_ps(p, mask, v);
}

// A bfloat16 is the upper half of a float.
template <int Width> MDT_INLINE Register<Width> load_part(const BFloat16* p, uint16_t mask) {
  if constexpr (Width == 4) return _mm_castsi128_ps(_mm_slli_epi32(_mm_cvtepu16_epi32(_mm_maskz_loadu_epi16(static_cast<__mmask8>(mask & 15), p)), 16));
  else if constexpr (Width == 8) return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(_mm_maskz_loadu_epi16(static_cast<__mmask8>(mask), p)), 16));
  else return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(_mm256_maskz_loadu_epi16(mask, p)), 16));
}
template <int Width> MDT_INLINE Register<Width> load(const BFloat16* p) {
  if constexpr (Width == 16) return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p))), 16));
  else return load_part<Width>(p, kAll<Width>);
}
template <int Width> MDT_INLINE void store_part(BFloat16* p, Register<Width> v, uint16_t mask) {
  if constexpr (Width == 4) _mm_mask_storeu_epi16(p, static_cast<__mmask8>(mask & 15), reinterpret_cast<__m128i>(_mm_cvtneps_pbh(v)));
  else if constexpr (Width == 8) _mm_mask_storeu_epi16(p, static_cast<__mmask8>(mask), reinterpret_cast<__m128i>(_mm256_cvtneps_pbh(v)));
  else _mm256_mask_storeu_epi16(p, mask, reinterpret_cast<__m256i>(_mm512_cvtneps_pbh(v)));
}
template <int Width> MDT_INLINE void store(BFloat16* p, Register<Width> v) {
  if constexpr (Width == 16) _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), reinterpret_cast<__m256i>(_mm512_cvtneps_pbh(v)));
  else store_part<Width>(p, v, kAll<Width>);
}

// max(v, 0) + slope · min(v, 0)
template <int Width> MDT_INLINE Register<Width> activate(Register<Width> v, float slope) {
  const Register<Width> zero = broadcast<Width>(0.0f);
  if constexpr (Width == 4) return _mm_max_ps(v, zero) + _mm_min_ps(v, zero) * broadcast<4>(slope);
  else if constexpr (Width == 8) return _mm256_max_ps(v, zero) + _mm256_min_ps(v, zero) * broadcast<8>(slope);
  else return _mm512_max_ps(v, zero) + _mm512_min_ps(v, zero) * broadcast<16>(slope);
}

// How sums of products run over elements of type E: kPack neighbours at a time, which one float lane holds.
template <class E> struct Products;

template <> struct Products<float> {
  static constexpr int kPack = 1;
  static MDT_INLINE __m512 pack(const float* p) { return _mm512_set1_ps(*p); }
  static MDT_INLINE __m512 pack_last(const float* p) { return pack(p); }
  static MDT_INLINE __m128 add(__m128 sum, __m128 a, __m128 b) { return _mm_fmadd_ps(a, b, sum); }
  static MDT_INLINE __m256 add(__m256 sum, __m256 a, __m256 b) { return _mm256_fmadd_ps(a, b, sum); }
  static MDT_INLINE __m512 add(__m512 sum, __m512 a, __m512 b) { return _mm512_fmadd_ps(a, b, sum); }
};

template <> struct Products<BFloat16> {
  static constexpr int kPack = 2;
  static MDT_INLINE __m512 pack(const BFloat16* p) {
    int32_t both;
    std::memcpy(&both, p, sizeof both);
    return _mm512_castsi512_ps(_mm512_set1_epi32(both));
  }
  // An odd element at the end, and a zero beside it.
  static MDT_INLINE __m512 pack_last(const BFloat16* p) { return _mm512_castsi512_ps(_mm512_set1_epi32(p->x)); }
  static MDT_INLINE __m128 add(__m128 sum, __m128 a, __m128 b) { return _mm_dpbf16_ps(sum, reinterpret_cast<__m128bh>(a), reinterpret_cast<__m128bh>(b)); }
  static MDT_INLINE __m256 add(__m256 sum, __m256 a, __m256 b) { return _mm256_dpbf16_ps(sum, reinterpret_cast<__m256bh>(a), reinterpret_cast<__m256bh>(b)); }
  static MDT_INLINE __m512 add(__m512 sum, __m512 a, __m512 b) { return _mm512_dpbf16_ps(sum, reinterpret_cast<__m512bh>(a), reinterpret_cast<__m512bh>(b)); }
};

}  // inline namespace avx512
}  // namespace mdt::simd
#pragma GCC pop_options
#endif
