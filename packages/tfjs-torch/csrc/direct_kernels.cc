#include "direct_kernels.h"

#include <algorithm>

namespace mdt::direct {
namespace {

constexpr int kRegisters = 32;

// How many outputs of a row fit into the registers beside the weights and one broadcast value.
constexpr int tile_limit(int registers) { return std::min(kMaxTile, (kRegisters - 1 - registers) / registers); }

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

// The kernels for a number of output channels, 1 to 64.
template <class E>
const Kernels<E>& kernels_for(int64_t channels) {
  static const Kernels<E> table[4][4] = {
      {Kernels<E>{}, instances<E, 0, 4>(), instances<E, 0, 8>(), instances<E, 0, 16>()},
      {instances<E, 1, 0>(), instances<E, 1, 4>(), instances<E, 1, 8>(), instances<E, 1, 16>()},
      {instances<E, 2, 0>(), instances<E, 2, 4>(), instances<E, 2, 8>(), instances<E, 2, 16>()},
      {instances<E, 3, 0>(), instances<E, 3, 4>(), instances<E, 3, 8>(), instances<E, 3, 16>()},
  };
  const int64_t full = channels / 16, rest = channels % 16;
  if (full == 4) return table[3][3];
  return table[full][rest == 0 ? 0 : rest <= 4 ? 1 : rest <= 8 ? 2 : 3];
}

}  // namespace

uint16_t tail_mask(int64_t channels) {
  const int64_t rest = channels % 16;
  return channels == 64 || rest == 0 ? 0xffff : static_cast<uint16_t>((1u << rest) - 1);
}

template <class E>
std::vector<Group<E>> channel_groups(int64_t channels) {
  const int64_t units = (channels + 15) / 16, groups = (units + 3) / 4;
  std::vector<Group<E>> list;
  for (int64_t g = 0; g < groups; g++) {
    const int64_t first = units * g / groups * 16, end = std::min(channels, units * (g + 1) / groups * 16);
    list.push_back({first, end - first, &kernels_for<E>(end - first), {}, {}});
  }
  return list;
}

template std::vector<Group<float>> channel_groups(int64_t);
template std::vector<Group<simd::BFloat16>> channel_groups(int64_t);

}  // namespace mdt::direct
