// Places along a Morton curve (Morton 1966).
#pragma once

#include <cstdint>

namespace mdt {

// The lower 21 bits of a number, D - 1 clear bits between any two of them.
template <int D>
uint64_t spread_bits(uint64_t bits) {
  static_assert(D == 2 || D == 3);
  bits &= 0x1fffff;
  if constexpr (D == 2) {
    bits = (bits | bits << 16) & 0x0000ffff0000ffff;
    bits = (bits | bits << 8) & 0x00ff00ff00ff00ff;
    bits = (bits | bits << 4) & 0x0f0f0f0f0f0f0f0f;
    bits = (bits | bits << 2) & 0x3333333333333333;
    bits = (bits | bits << 1) & 0x5555555555555555;
  } else {
    bits = (bits | bits << 32) & 0x001f00000000ffff;
    bits = (bits | bits << 16) & 0x001f0000ff0000ff;
    bits = (bits | bits << 8) & 0x100f00f00f00f00f;
    bits = (bits | bits << 4) & 0x10c30c30c30c30c3;
    bits = (bits | bits << 2) & 0x1249249249249249;
  }
  return bits;
}

}  // namespace mdt
