#include "max_pool.h"

#include <ATen/Parallel.h>

#include <algorithm>
#include <vector>

#include "isa.h"

#ifdef MDT_VECTORS

namespace mdt::max_pool {
namespace {

constexpr int64_t kNoTap = -1;   // of a window that sees only padding
constexpr int64_t kFarthest = int64_t{1} << 20;

// Half-open.
struct Range {
  int64_t begin, end;
};

// Outputs of one slice, and what they see: an image's slice of that number may lie outside the image, its taps do not.
template <class E>
struct Plane {
  const Shape& s;
  const E* slice;
  Range z;               // taps along the first axis
  const Range *ys, *xs;  // along the others, by output
};

// Outputs that see a slice of the image: which taps won, [cell, channels], and their gradient.
template <class E>
struct Seen {
  const int32_t* taps;
  const E* dy;
  int64_t tap;  // along the first axis
};

#define MDT_LOOPS "max_pool.inc"
#include "each_isa.inc"

// The taps of output `o` that lie inside the image.
Range taps_of(const Shape& s, int axis, int64_t o) {
  const int64_t start = o * s.strides[axis] - s.before[axis];
  const int64_t begin = std::clamp<int64_t>(-start, 0, s.window[axis]);
  return {begin, std::max(begin, std::min<int64_t>(s.in[axis] - start, s.window[axis]))};
}

// The outputs that see cell `i`.
Range outputs_of(const Shape& s, int axis, int64_t i) {
  const int64_t place = i + s.before[axis], stride = s.strides[axis];
  if (place < 0) return {0, 0};
  const int64_t begin = place < s.window[axis] ? 0 : std::min((place - s.window[axis]) / stride + 1, s.out[axis]);
  return {begin, std::clamp<int64_t>(place / stride + 1, begin, s.out[axis])};
}

std::vector<Range> each(const Shape& s, int axis, Range (*range)(const Shape&, int, int64_t), int64_t size) {
  std::vector<Range> ranges;
  for (int64_t i = 0; i < size; i++) ranges.push_back(range(s, axis, i));
  return ranges;
}

// The planes of outputs, one after the other.
template <class E>
class Planes {
 public:
  Planes(const Shape& s, const E* x) : s_(s), x_(x), ys_(each(s, 1, taps_of, s.out[1])), xs_(each(s, 2, taps_of, s.out[2])) {}
  Plane<E> at(int64_t image, int64_t o) const {
    const int64_t slice = s_.in[1] * s_.in[2] * s_.channels;
    return {s_, x_ + (image * s_.in[0] + o * s_.strides[0] - s_.before[0]) * slice, taps_of(s_, 0, o), ys_.data(), xs_.data()};
  }

 private:
  const Shape& s_;
  const E* x_;
  std::vector<Range> ys_, xs_;
};

// What won in the planes that see a slice of the image.
template <class E>
class Winners {
 public:
  Winners(const Shape& s, const Planes<E>& planes, bool skip_nan)
      : s_(s), planes_(planes), skip_nan_(skip_nan), held_(std::min((s.window[0] - 1) / s.strides[0] + 1, s.out[0]), -1), plane_(s.out[1] * s.out[2] * s.channels),
        taps_(static_cast<int64_t>(held_.size()) * plane_) {}
  const int32_t* at(int64_t image, int64_t o) {
    const int64_t slot = o % static_cast<int64_t>(held_.size()), key = image * s_.out[0] + o;
    int32_t* to = taps_.data() + slot * plane_;
    if (held_[slot] != key) {
      if (skip_nan_) MDT_BEST_ISA(winners<true>, planes_.at(image, o), to);
      else MDT_BEST_ISA(winners<false>, planes_.at(image, o), to);
    }
    held_[slot] = key;
    return to;
  }

 private:
  const Shape& s_;
  const Planes<E>& planes_;
  bool skip_nan_;
  std::vector<int64_t> held_;
  int64_t plane_;
  std::vector<int32_t> taps_;
};

}  // namespace

bool suits(const Shape& s) {
  int64_t taps = 1;
  for (int d = 0; d < 3; d++) {
    if (s.window[d] < 1 || s.window[d] > kFarthest || s.strides[d] < 1 || s.in[d] < 1 || s.out[d] < 1) return false;
    taps *= s.window[d];
  }
  return s.images >= 1 && s.channels >= 1 && taps < kFarthest;  // they are numbered in 32 bits
}

template <class E>
void forward(const Shape& s, const E* x, bool skip_nan, E* y) {
  const Planes<E> planes(s, x);
  at::parallel_for(0, s.images * s.out[0], 1, [&](int64_t first, int64_t last) {
    for (int64_t i = first; i < last; i++) {
      E* to = y + i * s.out[1] * s.out[2] * s.channels;
      if (skip_nan) MDT_BEST_ISA(maxima<true>, planes.at(i / s.out[0], i % s.out[0]), to);
      else MDT_BEST_ISA(maxima<false>, planes.at(i / s.out[0], i % s.out[0]), to);
    }
  });
}

template <class E>
void gradient(const Shape& s, const E* dy, const E* x, bool skip_nan, E* dx) {
  const Planes<E> planes(s, x);
  const std::vector<Range> zs = each(s, 0, outputs_of, s.in[0]), ys = each(s, 1, outputs_of, s.in[1]), xs = each(s, 2, outputs_of, s.in[2]);
  at::parallel_for(0, s.images * s.in[0], 1, [&](int64_t first, int64_t last) {
    Winners<E> won(s, planes, skip_nan);
    std::vector<Seen<E>> seen;
    for (int64_t i = first; i < last; i++) {
      const int64_t image = i / s.in[0], z = i % s.in[0];
      seen.clear();
      for (int64_t o = zs[z].begin; o < zs[z].end; o++) {
        seen.push_back({won.at(image, o), dy + (image * s.out[0] + o) * s.out[1] * s.out[2] * s.channels, z + s.before[0] - o * s.strides[0]});
      }
      MDT_BEST_ISA(slice_gradient, s, seen.data(), static_cast<int64_t>(seen.size()), ys.data(), xs.data(), dx + i * s.in[1] * s.in[2] * s.channels);
    }
  });
}

}  // namespace mdt::max_pool

#else
#include <stdexcept>

namespace mdt::max_pool {

bool suits(const Shape&) { return false; }
template <class E> void forward(const Shape&, const E*, bool, E*) { throw std::logic_error("this build has no max pooling of its own"); }
template <class E> void gradient(const Shape&, const E*, const E*, bool, E*) { throw std::logic_error("this build has no max pooling of its own"); }

}  // namespace mdt::max_pool
#endif

namespace mdt::max_pool {

template void forward(const Shape&, const float*, bool, float*);
template void forward(const Shape&, const c10::BFloat16*, bool, c10::BFloat16*);
template void gradient(const Shape&, const float*, const float*, bool, float*);
template void gradient(const Shape&, const c10::BFloat16*, const c10::BFloat16*, bool, c10::BFloat16*);

}  // namespace mdt::max_pool
