// Hot loops are compiled once per instruction set, and the best one for the processor is chosen when the library is loaded.
// All clones give the same bits: no fused multiply-add (binding.gyp), and only loops whose lanes do not mix.
#pragma once

#if defined(__x86_64__) && defined(__linux__) && defined(__GNUC__) && !defined(__clang__) && !defined(__SANITIZE_ADDRESS__)
#define MDT_CLONES __attribute__((target_clones("avx512f", "avx2", "default")))
#else
#define MDT_CLONES
#endif

// Marks what a clone calls: it is compiled into each of them.
#if defined(__GNUC__)
#define MDT_INTO_CLONES inline __attribute__((always_inline))
#else
#define MDT_INTO_CLONES inline
#endif

// Before a loop of no more than 64 rounds, a number that the compiler knows.
#if defined(__GNUC__) && !defined(__clang__)
#define MDT_UNROLL _Pragma("GCC unroll 64")
#else
#define MDT_UNROLL
#endif
