#include "direct_kernels.h"

#include <algorithm>

namespace mdt::direct {
namespace {

constexpr int kRegisters = 32;

// How many outputs of a row fit into the registers beside the weights and one broadcast value.
constexpr int tile_limit(int registers) { return std::min(kMaxTile, (kRegisters - 1 - registers) / registers); }

template <int Full, int Tail, int... T>
Kernels instances(std::integer_sequence<int, T...>) {
  Kernels k;
  k.width = Lanes<Full, Tail>::kWidth;
  k.limit = tile_limit(Lanes<Full, Tail>::kRegisters);
  ((k.row[T + 1] = row_tile<Full, Tail, T + 1>), ...);
  ((k.outer[T + 1] = outer_tile<Full, Tail, T + 1>), ...);
  return k;
}

template <int Full, int Tail>
Kernels instances() {
  return instances<Full, Tail>(std::make_integer_sequence<int, tile_limit(Lanes<Full, Tail>::kRegisters)>());
}

}  // namespace

const Kernels& kernels_for(int64_t channels) {
  static const Kernels table[4][4] = {
      {Kernels{}, instances<0, 4>(), instances<0, 8>(), instances<0, 16>()},
      {instances<1, 0>(), instances<1, 4>(), instances<1, 8>(), instances<1, 16>()},
      {instances<2, 0>(), instances<2, 4>(), instances<2, 8>(), instances<2, 16>()},
      {instances<3, 0>(), instances<3, 4>(), instances<3, 8>(), instances<3, 16>()},
  };
  const int64_t full = channels / 16, rest = channels % 16;
  if (full == 4) return table[3][3];
  return table[full][rest == 0 ? 0 : rest <= 4 ? 1 : rest <= 8 ? 2 : 3];
}

uint16_t tail_mask(int64_t channels) {
  const int64_t rest = channels % 16;
  return channels == 64 || rest == 0 ? 0xffff : static_cast<uint16_t>((1u << rest) - 1);
}

std::vector<Group> channel_groups(int64_t channels) {
  const int64_t units = (channels + 15) / 16, groups = (units + 3) / 4;
  std::vector<Group> list;
  for (int64_t g = 0; g < groups; g++) {
    const int64_t first = units * g / groups * 16, end = std::min(channels, units * (g + 1) / groups * 16);
    list.push_back({first, end - first, &kernels_for(end - first), {}, {}});
  }
  return list;
}

}  // namespace mdt::direct
