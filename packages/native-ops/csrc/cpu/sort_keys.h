// Sorting by groups and by places: of a curve, of scores.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <utility>
#include <vector>

namespace mdt {

struct SortKey {
  uint64_t place;
  int32_t group;
  int32_t id;
};

// By ascending group, within a group by ascending place; equal ones keep their order. Digit by digit, the least significant one
// first; digits in which no two keys differ are passed over.
inline void sort_keys(std::vector<SortKey>& keys) {
  constexpr std::size_t kFew = 256;  // for which the counts of the digits would take longer than the sorting
  constexpr int kBits = 11;
  constexpr uint64_t kDigits = 1 << kBits;
  const auto group_of = [](const SortKey& key) { return static_cast<uint64_t>(static_cast<uint32_t>(key.group) ^ 0x80000000u); };
  if (keys.size() < kFew) {
    std::stable_sort(keys.begin(), keys.end(), [](const SortKey& a, const SortKey& b) {
      return a.group != b.group ? a.group < b.group : a.place < b.place;
    });
    return;
  }
  std::vector<SortKey> other(keys.size());
  const auto sort_by = [&](const auto& part_of) {
    uint64_t differs = 0;
    for (const SortKey& key : keys) differs |= part_of(key) ^ part_of(keys[0]);
    for (int shift = 0; shift < 64; shift += kBits) {
      if (((differs >> shift) & (kDigits - 1)) == 0) continue;
      std::array<std::size_t, kDigits> ends{};
      const auto digit_of = [&](const SortKey& key) { return (part_of(key) >> shift) & (kDigits - 1); };
      for (const SortKey& key : keys) ++ends[digit_of(key)];
      std::size_t start = 0;
      for (std::size_t& end : ends) start += std::exchange(end, start);
      for (const SortKey& key : keys) other[ends[digit_of(key)]++] = key;
      keys.swap(other);
    }
  };
  sort_by([](const SortKey& key) { return key.place; });
  sort_by(group_of);
}

}  // namespace mdt
