// What the convolutions of direct_conv.cc and winograd.cc share: the innermost loops by channel count, and how channels
// are cut into groups that those loops can hold.
#pragma once
#include <cstdint>
#include <vector>

#include "direct_conv_tile.h"

namespace mdt::direct {

using RowTile = void (*)(const TileArgs&);
using OuterTile = void (*)(const OuterArgs&);
constexpr int kMaxTile = 14;

struct Kernels {
  int width = 0, limit = 0;          // floats per packed row; largest tile
  RowTile row[kMaxTile + 1] = {};    // by tile size
  OuterTile outer[kMaxTile + 1] = {};
};

// The kernels for a number of output channels, 1 to 64.
const Kernels& kernels_for(int64_t channels);

// The lanes of a group's last register that hold channels.
uint16_t tail_mask(int64_t channels);

// Output channels that one kernel makes together, and their packed weights.
struct Group {
  int64_t first, count;
  const Kernels* kernels;
  std::vector<float> weights, bias;
};

// Channels cut into groups of at most 64, in units of 16 so that only the last has a tail.
std::vector<Group> channel_groups(int64_t channels);

}  // namespace mdt::direct
