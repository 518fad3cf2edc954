// The transforms of Winograd's minimal filtering F(4×4, 3×3) (Lavin & Gray 2016, arXiv:1509.09308) and of its gradient by
// the filter, for all channels of one tile. To be reached as simd.h says.
#pragma once
#include <type_traits>

#include "direct_conv_tile.h"

#pragma GCC push_options
#ifdef MDT_AVX2
#pragma GCC target("avx2,fma")
#else
#pragma GCC target("avx512f,avx512vl,avx512bw,avx512dq,avx512bf16,fma")
#endif

namespace mdt::winograd {
inline namespace MDT_INSTRUCTIONS {

using simd::kLanes;

constexpr int kOutputs = 4;  // of a tile, per axis
constexpr int kWindow = 3;
constexpr int kInputs = kOutputs + kWindow - 1;
constexpr int kPoints = kInputs * kInputs;

// Interpolation points 0, ±a, ±b, ∞. Of twelve pairs that were tried (±1 ±2, ±1 ±1/2, ±√1/2 ±√2, …) this one had the
// smallest mean error: half of that of the textbook's ±1 ±2, and a third of its largest. Its products are exact.
constexpr float kA = 0.625f, kB = 1.5f;
constexpr float kA2 = kA * kA, kB2 = kB * kB;

// d [6] → Bᵀd [6]
struct InputAxis {
  static constexpr int kFrom = 6, kTo = 6;
  template <class R> __attribute__((always_inline)) static inline void apply(const R (&d)[6], R (&t)[6]) {
    const R even_a = d[4] - kB2 * d[2], odd_a = d[3] - kB2 * d[1];
    const R even_b = d[4] - kA2 * d[2], odd_b = d[3] - kA2 * d[1];
    t[0] = even_a - kA2 * (d[2] - kB2 * d[0]);
    t[1] = even_a + kA * odd_a;
    t[2] = even_a - kA * odd_a;
    t[3] = even_b + kB * odd_b;
    t[4] = even_b - kB * odd_b;
    t[5] = d[5] - kA2 * d[3] - kB2 * odd_b;
  }
};

// m [6] → Aᵀm [4]
struct OutputAxis {
  static constexpr int kFrom = 6, kTo = 4;
  template <class R> __attribute__((always_inline)) static inline void apply(const R (&m)[6], R (&y)[4]) {
    const R sum_a = m[1] + m[2], difference_a = m[1] - m[2], sum_b = m[3] + m[4], difference_b = m[3] - m[4];
    y[0] = m[0] + sum_a + sum_b;
    y[1] = kA * difference_a + kB * difference_b;
    y[2] = kA2 * sum_a + kB2 * sum_b;
    y[3] = m[5] + kA * kA2 * difference_a + kB * kB2 * difference_b;
  }
};

// dy [4] → A dy [6]
struct GradientAxis {
  static constexpr int kFrom = 4, kTo = 6;
  template <class R> __attribute__((always_inline)) static inline void apply(const R (&y)[4], R (&w)[6]) {
    const R even_a = y[0] + kA2 * y[2], odd_a = y[1] + kA2 * y[3];
    const R even_b = y[0] + kB2 * y[2], odd_b = y[1] + kB2 * y[3];
    w[0] = y[0];
    w[1] = even_a + kA * odd_a;
    w[2] = even_a - kA * odd_a;
    w[3] = even_b + kB * odd_b;
    w[4] = even_b - kB * odd_b;
    w[5] = y[3];
  }
};

// Rows 1 to 4 of G are [1, p, p²] / Π (p − q) over the other finite points q.
constexpr float kG0 = 1 / (kA2 * kB2), kGA = 1 / (2 * kA2 * (kA2 - kB2)), kGB = 1 / (2 * kB2 * (kB2 - kA2));

// g [3] → Gg [6]
struct FilterAxis {
  static constexpr int kFrom = 3, kTo = 6;
  template <class R> __attribute__((always_inline)) static inline void apply(const R (&g)[3], R (&u)[6]) {
    const R even_a = kGA * (g[0] + kA2 * g[2]), odd_a = kGA * kA * g[1];
    const R even_b = kGB * (g[0] + kB2 * g[2]), odd_b = kGB * kB * g[1];
    u[0] = kG0 * g[0];
    u[1] = even_a + odd_a;
    u[2] = even_a - odd_a;
    u[3] = even_b + odd_b;
    u[4] = even_b - odd_b;
    u[5] = g[2];
  }
};

// u [6] → Gᵀu [3]
struct FilterGradientAxis {
  static constexpr int kFrom = 6, kTo = 3;
  template <class R> __attribute__((always_inline)) static inline void apply(const R (&u)[6], R (&g)[3]) {
    const R sum_a = kGA * (u[1] + u[2]), difference_a = kGA * (u[1] - u[2]);
    const R sum_b = kGB * (u[3] + u[4]), difference_b = kGB * (u[3] - u[4]);
    g[0] = kG0 * u[0] + sum_a + sum_b;
    g[1] = kA * difference_a + kB * difference_b;
    g[2] = kA2 * sum_a + kB2 * sum_b + u[5];
  }
};

// A grid of channel rows and the grid that an axis policy makes of it: element (y, x) lies y · row + x · column elements
// behind (0, 0). Of the result only `rows` × `columns` are written, act(· + bias) of them.
template <class From, class To>
struct Tile {
  const From* from;
  ptrdiff_t from_row, from_column;
  To* to;
  ptrdiff_t to_row, to_column;
  int rows, columns;
  const float* bias = nullptr;
  float slope = 1.0f;
};

// What lies behind the last channel: written as zero, or left alone.
enum class Padding { kZero, kKeep };

// One register of channels through both axes. `mask`: its channels, all of them unless Partial.
template <class Axis, int Width, bool Partial, Padding padding, class From, class To>
MDT_INLINE void transform_register(const Tile<From, To>& t, int64_t channel, uint16_t mask) {
  using R = simd::Register<Width>;
  R half[Axis::kTo][Axis::kFrom];
  const From* from = t.from + channel;
#pragma GCC unroll 6
  for (int x = 0; x < Axis::kFrom; x++) {
    R in[Axis::kFrom], out[Axis::kTo];
#pragma GCC unroll 6
    for (int y = 0; y < Axis::kFrom; y++) {
      const From* at = from + y * t.from_row + x * t.from_column;
      if constexpr (std::is_same_v<Axis, InputAxis>) {
        // What the next tile of the row sees beside this one.
        if (x >= kInputs - kOutputs) _mm_prefetch(reinterpret_cast<const char*>(at + kOutputs * t.from_column), _MM_HINT_T0);
      }
      in[y] = Partial ? simd::load_part<Width>(at, mask) : simd::load<Width>(at);
    }
    Axis::apply(in, out);
#pragma GCC unroll 6
    for (int y = 0; y < Axis::kTo; y++) half[y][x] = out[y];
  }
  R bias{};
  if (t.bias) bias = Partial ? simd::load_part<Width>(t.bias + channel, mask) : simd::load<Width>(t.bias + channel);
  To* to = t.to + channel;
#pragma GCC unroll 6
  for (int y = 0; y < Axis::kTo; y++) {
    if (y >= t.rows) break;
    R out[Axis::kTo];
    Axis::apply(half[y], out);
#pragma GCC unroll 6
    for (int x = 0; x < Axis::kTo; x++) {
      if (x >= t.columns) break;
      To* at = to + y * t.to_row + x * t.to_column;
      R value = out[x];
      if constexpr (std::is_same_v<Axis, OutputAxis>) {
        value += bias;
        if (t.slope != 1.0f) value = simd::activate<Width>(value, t.slope);
      }
      if constexpr (Partial && padding == Padding::kKeep) simd::store_part<Width>(at, value, mask);
      else simd::store<Width>(at, value);
    }
  }
}

template <class Axis, Padding padding, class From, class To>
inline void transform(const Tile<From, To>& t, int64_t channels) {
  int64_t c = 0;
  for (; c + kLanes <= channels; c += kLanes) transform_register<Axis, kLanes, false, padding>(t, c, 0xffff);
  const int64_t rest = channels - c;
  const uint16_t mask = static_cast<uint16_t>((1u << rest) - 1);
  if (rest > 8) transform_register<Axis, kLanes, true, padding>(t, c, mask);
  else if (rest > 4) transform_register<Axis, 8, true, padding>(t, c, mask);
  else if (rest > 0) transform_register<Axis, 4, true, padding>(t, c, mask);
}

}  // inline namespace MDT_INSTRUCTIONS
}  // namespace mdt::winograd
#pragma GCC pop_options
