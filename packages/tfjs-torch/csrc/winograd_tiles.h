// How winograd.cc cuts a convolution into tiles, chunks of tiles and slices, and reads them transformed.
#pragma once
#include <ATen/Parallel.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <vector>

#include "direct_conv.h"
#include "winograd_transforms.h"

namespace mdt::winograd {
inline namespace MDT_INSTRUCTIONS {

using direct::Shape;

// Floats per row of transformed channels: as the kernels pack them.
inline int64_t packed_width(int64_t channels) {
  const int64_t rest = channels % kLanes;
  return channels - rest + (rest == 0 ? 0 : rest <= 4 ? 4 : rest <= 8 ? 8 : kLanes);
}

// A slice of the source that reaches a slice of the result, and the tap through which it does.
struct SliceTap {
  int64_t source, tap;
};

// A convolution, forward or transposed, as tiles of `target` see it.
struct Layer {
  int64_t images, channels_in, channels_out;
  std::array<int64_t, 3> source, target;
  int64_t pad_y, pad_x, window_z;
  std::vector<std::vector<SliceTap>> slices;  // by slice of the target; at most window_z apart
};

inline Layer forward_layer(const Shape& s) {
  Layer l{s.images, s.in_channels, s.out_channels, s.in, s.out, s.pads[1], s.pads[2], s.window[0], {}};
  for (int64_t z = 0; z < s.out[0]; z++) {
    auto& taps = l.slices.emplace_back();
    for (int64_t k = 0; k < s.window[0]; k++) {
      const int64_t source = z * s.strides[0] + k - s.pads[0];
      if (source >= 0 && source < s.in[0]) taps.push_back({source, k});
    }
  }
  return l;
}

inline Layer gradient_layer(const Shape& s) {
  Layer l{s.images, s.out_channels, s.in_channels, s.out, s.in, kWindow - 1 - s.pads[1], kWindow - 1 - s.pads[2], s.window[0], {}};
  for (int64_t z = 0; z < s.in[0]; z++) {
    auto& taps = l.slices.emplace_back();
    for (int64_t k = s.window[0] - 1; k >= 0; k--) {
      const int64_t scaled = z + s.pads[0] - k;
      if (scaled >= 0 && scaled % s.strides[0] == 0 && scaled / s.strides[0] < s.out[0]) taps.push_back({scaled / s.strides[0], k});
    }
  }
  return l;
}

// The tiles of a layer, over all images, cut into chunks; few chunks are cut along z as well.
struct Work {
  int64_t rows, columns, tiles;
  int64_t chunks, parts, depth, largest;

  Work(const Layer& l, int64_t chunk_tiles)
      : rows((l.target[1] + kOutputs - 1) / kOutputs), columns((l.target[2] + kOutputs - 1) / kOutputs), tiles(l.images * rows * columns), depth(l.target[0]) {
    const int64_t threads = at::get_num_threads();
    chunks = (tiles + chunk_tiles - 1) / chunk_tiles;
    // Few chunks: as many for each thread.
    if (chunks < 8 * threads) chunks = std::min(tiles, (chunks + threads - 1) / threads * threads);
    parts = std::clamp<int64_t>(4 * threads / std::max<int64_t>(1, chunks), 1, std::max<int64_t>(1, depth / 4));
    largest = (tiles + chunks - 1) / std::max<int64_t>(1, chunks);
  }

  struct Item {
    int64_t first, last;      // tiles
    int64_t z_first, z_last;  // slices of the target
  };
  int64_t count() const { return chunks * parts; }
  Item item(int64_t index) const {
    const int64_t chunk = index / parts, part = index % parts;
    return {tiles * chunk / chunks, tiles * (chunk + 1) / chunks, depth * part / parts, depth * (part + 1) / parts};
  }

  struct Place {
    int64_t image, y, x;
  };
  Place place(int64_t tile) const { return {tile / columns / rows, tile / columns % rows * kOutputs, tile % columns * kOutputs}; }
};

// Floats between the points of a chunk: an odd number of cache lines, so that they spread over the sets.
inline int64_t point_stride(int64_t tiles, int64_t width) { return ((tiles * width + 15) / 16 | 1) * 16; }

// A chunk of tiles of an image, slice by slice, transformed along `Axis`: [point, tile, width].
template <class Axis, class E>
struct Source {
  const Work& work;
  const E* data;
  std::array<int64_t, 3> size;
  int64_t channels, pad_y, pad_x;
  int64_t width = packed_width(channels), point = point_stride(work.largest, width);

  static constexpr int kSide = Axis::kFrom;
  int64_t slice_floats() const { return kPoints * point; }
  int64_t edge_floats() const { return kSide * kSide * width; }

  void read(const Work::Item& item, int64_t z, float* to, float* room) const {
    E* edge = reinterpret_cast<E*>(room);
    for (int64_t tile = item.first; tile < item.last; tile++, to += width) {
      const Work::Place place = work.place(tile);
      const int64_t y = place.y - pad_y, x = place.x - pad_x;
      const E* slice = data + (place.image * size[0] + z) * size[1] * size[2] * channels;
      Tile<E, float> t{slice + (y * size[2] + x) * channels, size[2] * channels, channels, to, kInputs * point, point, kInputs, kInputs};
      if (y < 0 || x < 0 || y + kSide > size[1] || x + kSide > size[2]) {
        // At the border the tile is copied with zeros around it.
        std::fill(edge, edge + kSide * kSide * channels, E(0.0f));
        const int64_t begin = std::max<int64_t>(0, -x), end = std::min<int64_t>(kSide, size[2] - x);
        for (int64_t j = std::max<int64_t>(0, -y); j < std::min<int64_t>(kSide, size[1] - y) && begin < end; j++) {
          std::memcpy(edge + (j * kSide + begin) * channels, slice + ((y + j) * size[2] + x + begin) * channels, (end - begin) * channels * sizeof(E));
        }
        t.from = edge;
        t.from_row = kSide * channels;
      }
      transform<Axis, Padding::kZero>(t, channels);
    }
  }
};

// The transformed slices that a window along z needs.
template <class E>
class Window {
 public:
  Window(const Source<InputAxis, E>& source, int64_t slots, float* memory, float* edge) : source_(source), memory_(memory), edge_(edge), held_(slots, -1) {}
  void start(const Work::Item& item) {
    item_ = item;
    std::fill(held_.begin(), held_.end(), -1);
  }
  const float* slice(int64_t z) {
    const int64_t slot = z % static_cast<int64_t>(held_.size());
    float* at = memory_ + slot * source_.slice_floats();
    if (held_[slot] != z) source_.read(item_, z, at, edge_);
    held_[slot] = z;
    return at;
  }

 private:
  const Source<InputAxis, E>& source_;
  float *memory_, *edge_;
  std::vector<int64_t> held_;
  Work::Item item_{};
};

}  // inline namespace MDT_INSTRUCTIONS
}  // namespace mdt::winograd
