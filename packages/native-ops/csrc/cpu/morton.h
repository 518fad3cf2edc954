// Sorting by groups and by places along a Morton curve (Morton 1966).
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <utility>
#include <vector>

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

struct MortonKey {
  uint64_t place;
  int32_t group;
  int32_t id;
};

// By ascending group, within a group by ascending place; equal ones keep their order. Digit by digit, the least significant one
// first; digits in which no two keys differ are passed over.
inline void sort_keys(std::vector<MortonKey>& keys) {
  constexpr std::size_t kFew = 256;  // for which the counts of the digits would take longer than the sorting
  constexpr int kBits = 11;
  constexpr uint64_t kDigits = 1 << kBits;
  const auto group_of = [](const MortonKey& key) { return static_cast<uint64_t>(static_cast<uint32_t>(key.group) ^ 0x80000000u); };
  if (keys.size() < kFew) {
    std::stable_sort(keys.begin(), keys.end(), [](const MortonKey& a, const MortonKey& b) {
      return a.group != b.group ? a.group < b.group : a.place < b.place;
    });
    return;
  }
  std::vector<MortonKey> other(keys.size());
  const auto sort_by = [&](const auto& part_of) {
    uint64_t differs = 0;
    for (const MortonKey& key : keys) differs |= part_of(key) ^ part_of(keys[0]);
    for (int shift = 0; shift < 64; shift += kBits) {
      if (((differs >> shift) & (kDigits - 1)) == 0) continue;
      std::array<std::size_t, kDigits> ends{};
      const auto digit_of = [&](const MortonKey& key) { return (part_of(key) >> shift) & (kDigits - 1); };
      for (const MortonKey& key : keys) ++ends[digit_of(key)];
      std::size_t start = 0;
      for (std::size_t& end : ends) start += std::exchange(end, start);
      for (const MortonKey& key : keys) other[ends[digit_of(key)]++] = key;
      keys.swap(other);
    }
  };
  sort_by([](const MortonKey& key) { return key.place; });
  sort_by(group_of);
}

}  // namespace mdt
