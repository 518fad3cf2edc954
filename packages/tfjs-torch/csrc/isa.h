// Loops that are compiled for several instruction sets and take the best one at run time; see each_isa.inc.
#pragma once
#include <c10/util/BFloat16.h>

#include <cstdint>

// Vector types that GCC and Clang know.
#if defined(__GNUC__)
#define MDT_VECTORS 1
#ifndef MDT_INLINE
#define MDT_INLINE __attribute__((always_inline)) inline
#endif
#endif

namespace mdt {

enum class Isa { kPlain, kAvx2, kAvx512 };

// The best of this processor that the compiler knows.
inline Isa isa() {
#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__)
  static const Isa best = [] {
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq")) return Isa::kAvx512;
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") ? Isa::kAvx2 : Isa::kPlain;
  }();
  return best;
#else
  return Isa::kPlain;
#endif
}

// A number of lanes as a type.
template <int L> struct Width { static constexpr int value = L; };

}  // namespace mdt

// Calls `name` of the namespace that fits.
#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__)
#define MDT_BEST_ISA(name, ...)                                  \
  (::mdt::isa() == ::mdt::Isa::kAvx512 ? avx512::name(__VA_ARGS__) \
   : ::mdt::isa() == ::mdt::Isa::kAvx2 ? avx2::name(__VA_ARGS__) : plain::name(__VA_ARGS__))
#else
#define MDT_BEST_ISA(name, ...) plain::name(__VA_ARGS__)
#endif
