#include "sparse_boxes.h"

#include <ATen/Parallel.h>

#include <algorithm>
#include <cstring>
#include <type_traits>

#include "layout.h"

namespace mdt {
namespace {

constexpr int64_t kBlock = 4;  // voxels per axis that are looked at as one

// 2D images are volumes of one slice here.
struct Grid {
  int64_t images, channels;
  int64_t size[3], blocks[3];
  explicit Grid(const at::Tensor& x) : images(x.size(0)), channels(x.size(-1)) {
    const int64_t dims = x.dim() - 2;
    for (int64_t d = 0; d < 3; d++) {
      const int64_t axis = d - (3 - dims);
      size[d] = axis < 0 ? 1 : x.size(1 + axis);
      blocks[d] = (size[d] + kBlock - 1) / kBlock;
    }
  }
  int64_t count() const { return blocks[0] * blocks[1] * blocks[2]; }
};

template <class E>
bool any_non_zero(const E* values, int64_t n) {
  using Bits = std::conditional_t<sizeof(E) == 4, uint32_t, uint16_t>;
  constexpr int64_t kStretch = 64;  // looked at without a branch; most gradients are found out by the first
  for (int64_t first = 0; first < n; first += kStretch) {
    uint32_t seen = 0;
    for (int64_t i = first; i < std::min(n, first + kStretch); i++) {
      Bits bits;
      std::memcpy(&bits, values + i, sizeof bits);
      seen |= static_cast<Bits>(bits << 1);  // both zeros, +0 and −0, leave nothing
    }
    if (seen != 0) return true;
  }
  return false;
}

template <class E>
std::vector<uint8_t> mark_blocks(const E* data, const Grid& g) {
  std::vector<uint8_t> marks(g.images * g.count(), 0);
  at::parallel_for(0, g.images * g.blocks[0] * g.blocks[1], 1, [&](int64_t first, int64_t last) {
    for (int64_t row = first; row < last; row++) {
      const int64_t by = row % g.blocks[1], bz = row / g.blocks[1] % g.blocks[0], n = row / g.blocks[1] / g.blocks[0];
      for (int64_t bx = 0; bx < g.blocks[2]; bx++) {
        uint8_t& mark = marks[row * g.blocks[2] + bx];
        const int64_t x0 = bx * kBlock, width = std::min(kBlock, g.size[2] - x0);
        for (int64_t z = bz * kBlock; z < std::min(g.size[0], (bz + 1) * kBlock) && !mark; z++) {
          for (int64_t y = by * kBlock; y < std::min(g.size[1], (by + 1) * kBlock) && !mark; y++) {
            const int64_t at = ((n * g.size[0] + z) * g.size[1] + y) * g.size[2] + x0;
            mark = any_non_zero(data + at * g.channels, width * g.channels);
          }
        }
      }
    }
  });
  return marks;
}

// The bounding box, in blocks, of the marked blocks that touch `seed`, also over corners; takes their marks away.
void take_component(std::vector<uint8_t>& marks, const Grid& g, int64_t image, int64_t seed, int64_t (&low)[3], int64_t (&high)[3]) {
  std::vector<int64_t> open{seed};
  uint8_t* at = marks.data() + image * g.count();
  at[seed] = 0;
  for (int d = 0; d < 3; d++) low[d] = g.blocks[d], high[d] = -1;
  while (!open.empty()) {
    const int64_t index = open.back();
    open.pop_back();
    const int64_t p[3] = {index / (g.blocks[1] * g.blocks[2]), index / g.blocks[2] % g.blocks[1], index % g.blocks[2]};
    for (int d = 0; d < 3; d++) low[d] = std::min(low[d], p[d]), high[d] = std::max(high[d], p[d]);
    for (int64_t z = std::max<int64_t>(0, p[0] - 1); z <= std::min(g.blocks[0] - 1, p[0] + 1); z++) {
      for (int64_t y = std::max<int64_t>(0, p[1] - 1); y <= std::min(g.blocks[1] - 1, p[1] + 1); y++) {
        for (int64_t x = std::max<int64_t>(0, p[2] - 1); x <= std::min(g.blocks[2] - 1, p[2] + 1); x++) {
          const int64_t next = (z * g.blocks[1] + y) * g.blocks[2] + x;
          if (!at[next]) continue;
          at[next] = 0;
          open.push_back(next);
        }
      }
    }
  }
}

}  // namespace

std::optional<std::vector<ImageBox>> non_zero_boxes(const at::Tensor& tensor, double share) {
  if (!tensor.is_cpu()) return std::nullopt;  // to look for zeros would wait for the device
  const at::Tensor x = contiguous(tensor);
  const Grid g(x);
  const int64_t total = g.images * g.count();
  if (total < 16) return std::nullopt;
  std::vector<uint8_t> marks = with_elements(x, [&](auto zero) { return mark_blocks(x.const_data_ptr<decltype(zero)>(), g); });
  if (std::count(marks.begin(), marks.end(), 1) > share * static_cast<double>(total)) return std::nullopt;
  std::vector<ImageBox> boxes;
  const int64_t dims = x.dim() - 2;
  double held = 0;
  for (int64_t n = 0; n < g.images; n++) {
    for (int64_t i = 0; i < g.count(); i++) {
      if (!marks[n * g.count() + i]) continue;
      int64_t low[3], high[3];
      take_component(marks, g, n, i, low, high);
      ImageBox box{n, {}, {}};
      double volume = 1;
      for (int64_t d = 3 - dims; d < 3; d++) {
        box.begin.push_back(low[d] * kBlock);
        box.end.push_back(std::min(g.size[d], (high[d] + 1) * kBlock));
        volume *= static_cast<double>(box.end.back() - box.begin.back());
      }
      held += volume;
      boxes.push_back(std::move(box));
    }
  }
  if (held > share * static_cast<double>(x.numel() / std::max<int64_t>(1, g.channels))) return std::nullopt;
  return boxes;
}

}  // namespace mdt
