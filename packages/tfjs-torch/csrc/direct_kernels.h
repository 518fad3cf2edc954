// What the convolutions of direct_conv.cc and winograd.cc share: the innermost loops by channel count, and how channels
// are cut into groups that those loops can hold.
#pragma once
#include <cstdint>
#include <vector>

#include "direct_conv_tile.h"

namespace mdt::direct {
inline namespace MDT_INSTRUCTIONS {

template <class E> using RowTile = void (*)(const TileArgs<E>&);
using OuterTile = void (*)(const OuterArgs&);
constexpr int kMaxTile = 14;

template <class E>
struct Kernels {
  int width = 0, limit = 0;            // lanes of a packed row; largest tile
  RowTile<E> row[kMaxTile + 1] = {};   // by tile size
  OuterTile outer[kMaxTile + 1] = {};
};

// The lanes of a group's last register that hold channels.
uint16_t tail_mask(int64_t channels);

// Output channels that one kernel makes together, and their packed weights.
template <class E>
struct Group {
  int64_t first, count;
  const Kernels<E>* kernels;
  std::vector<E> weights;
  std::vector<float> bias;
};

// Channels cut into groups of at most kGroupRegisters registers, in units of kLanes so that only the last has a tail.
template <class E> std::vector<Group<E>> channel_groups(int64_t channels);

}  // inline namespace MDT_INSTRUCTIONS
}  // namespace mdt::direct
