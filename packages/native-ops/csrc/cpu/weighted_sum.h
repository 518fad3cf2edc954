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

// out[c] = sum over taps of weight * base[offset + c], summed in the order of the taps.
MDT_CLONES static void weighted_sum(const float* base, const Tap* taps, int64_t count, int64_t channels, float* out) {
  constexpr int64_t kBlock = 32;  // sums that stay in registers
  int64_t c = 0;
  for (; c + kBlock <= channels; c += kBlock) {
    float sum[kBlock] = {};
    for (int64_t t = 0; t < count; ++t) {
      const float* in = base + taps[t].offset + c;
      for (int64_t i = 0; i < kBlock; ++i) sum[i] += taps[t].weight * in[i];
    }
    for (int64_t i = 0; i < kBlock; ++i) out[c + i] = sum[i];
  }
  constexpr int64_t kSmall = 4;
  for (; c + kSmall <= channels; c += kSmall) {
    float sum[kSmall] = {};
    for (int64_t t = 0; t < count; ++t) {
      const float* in = base + taps[t].offset + c;
      for (int64_t i = 0; i < kSmall; ++i) sum[i] += taps[t].weight * in[i];
    }
    for (int64_t i = 0; i < kSmall; ++i) out[c + i] = sum[i];
  }
  for (; c < channels; ++c) {
    float sum = 0;
    for (int64_t t = 0; t < count; ++t) sum += taps[t].weight * base[taps[t].offset + c];
    out[c] = sum;
  }
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
