// Weighted sums of runs of channels: what interpolation on channels-last maps comes down to.
#pragma once

#include <cstdint>

#include "clones.h"

namespace mdt {

// The channels that start at `base + offset`, and their weight in a sum.
struct Tap {
  int64_t offset;
  float weight;
};

namespace weighted_sum_detail {

// The sums of `Block` channels, which stay in registers meanwhile. Unrolled, as GCC would else merge rounds of the outer loop
// and then not vectorise the inner one.
template <int64_t Block>
MDT_INTO_CLONES void sum_block(const float* base, const Tap* taps, int64_t count, float* out) {
  float sums[Block] = {};
  for (int64_t t = 0; t < count; ++t) {
    const float* in = base + taps[t].offset;
    const float weight = taps[t].weight;
    MDT_UNROLL
    for (int64_t i = 0; i < Block; ++i) sums[i] += weight * in[i];
  }
  for (int64_t i = 0; i < Block; ++i) out[i] = sums[i];
}

}  // namespace weighted_sum_detail

// out[c] = sum over taps of weight * base[offset + c], summed in the order of the taps.
MDT_CLONES static void weighted_sum(const float* base, const Tap* taps, int64_t count, int64_t channels, float* out) {
  namespace detail = weighted_sum_detail;
  int64_t c = 0;
  for (; c + 64 <= channels; c += 64) detail::sum_block<64>(base + c, taps, count, out + c);
  for (; c + 16 <= channels; c += 16) detail::sum_block<16>(base + c, taps, count, out + c);
  for (; c + 4 <= channels; c += 4) detail::sum_block<4>(base + c, taps, count, out + c);
  for (; c < channels; ++c) detail::sum_block<1>(base + c, taps, count, out + c);
}

// base[offset + c] += weight * in[c] for every tap: the transpose of `weighted_sum`.
MDT_CLONES static void scatter_sum(float* base, const Tap* taps, int64_t count, int64_t channels, const float* in) {
  for (int64_t t = 0; t < count; ++t) {
    float* out = base + taps[t].offset;
    const float weight = taps[t].weight;
    for (int64_t c = 0; c < channels; ++c) out[c] += weight * in[c];
  }
}

}  // namespace mdt
