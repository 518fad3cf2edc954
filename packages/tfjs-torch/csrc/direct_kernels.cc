#include "direct_kernels.h"

#include <algorithm>

namespace mdt::direct {
inline namespace MDT_INSTRUCTIONS {
namespace {

// How many outputs of a row fit into the registers beside the weights and one broadcast value.
constexpr int tile_limit(int registers) { return std::min(kMaxTile, (simd::kRegisters - 1 - registers) / registers); }

template <class E, int Full, int Tail, int... T>
Kernels<E> instances(std::integer_sequence<int, T...>) {
  Kernels<E> k;
  k.width = Lanes<Full, Tail>::kWidth;
  k.limit = tile_limit(Lanes<Full, Tail>::kRegisters);
  ((k.row[T + 1] = row_tile<E, Full, Tail, T + 1>), ...);
  ((k.outer[T + 1] = outer_tile<Full, Tail, T + 1>), ...);
  return k;
}

template <class E, int Full, int Tail>
Kernels<E> instances() {
  return instances<E, Full, Tail>(std::make_integer_sequence<int, tile_limit(Lanes<Full, Tail>::kRegisters)>());
}

// Tails of 4, 8, … kLanes, after `Full` registers.
template <class E, int Full>
std::vector<Kernels<E>> with_tails() {
  std::vector<Kernels<E>> list;
  if constexpr (Full > 0) list.push_back(instances<E, Full, 0>());
  else list.emplace_back();
  list.push_back(instances<E, Full, 4>());
  list.push_back(instances<E, Full, 8>());
  if constexpr (kLanes > 8) list.push_back(instances<E, Full, kLanes>());
  return list;
}

template <class E, int... Full>
std::vector<std::vector<Kernels<E>>> all_kernels(std::integer_sequence<int, Full...>) {
  return {with_tails<E, Full>()...};
}

// The kernels for a number of output channels, 1 to those of a group.
template <class E>
const Kernels<E>& kernels_for(int64_t channels) {
  static const auto table = all_kernels<E>(std::make_integer_sequence<int, simd::kGroupRegisters>());
  const int64_t full = channels / kLanes, rest = channels % kLanes;
  if (full == simd::kGroupRegisters) return table[full - 1].back();
  return table[full][rest == 0 ? 0 : rest <= 4 ? 1 : rest <= 8 ? 2 : 3];
}

}  // namespace

uint16_t tail_mask(int64_t channels) {
  const int64_t rest = channels % kLanes;
  return rest == 0 ? 0xffff : static_cast<uint16_t>((1u << rest) - 1);
}

template <class E>
std::vector<Group<E>> channel_groups(int64_t channels) {
  const int64_t units = (channels + kLanes - 1) / kLanes, groups = (units + simd::kGroupRegisters - 1) / simd::kGroupRegisters;
  std::vector<Group<E>> list;
  for (int64_t g = 0; g < groups; g++) {
    const int64_t first = units * g / groups * kLanes, end = std::min(channels, units * (g + 1) / groups * kLanes);
    list.push_back({first, end - first, &kernels_for<E>(end - first), {}, {}});
  }
  return list;
}

template std::vector<Group<float>> channel_groups(int64_t);
#ifndef MDT_AVX2
template std::vector<Group<simd::BFloat16>> channel_groups(int64_t);
#endif

}  // inline namespace MDT_INSTRUCTIONS
}  // namespace mdt::direct
