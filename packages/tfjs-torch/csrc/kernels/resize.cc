// Resizing by nearest neighbours or linear interpolation, channels last, any size to any size.
#include <ATen/Parallel.h>

#include <algorithm>
#include <array>
#include <cmath>

#include "../call.h"
#include "../weighted_rows.h"

namespace mdt {
namespace {

enum Alignment : int64_t { kHalfPixel = 0, kCorners = 1, kAsymmetric = 2 };

// What one axis adds to each cell of the result: Σ weight · source cell.
struct Tap {
  int64_t source;
  float weight;
};
using Axis = std::vector<std::vector<Tap>>;  // by cell of the result

// Of n cells, m. `factor` is the enlargement that places the cells; 0: m / n.
Axis forward_axis(int64_t n, int64_t m, double factor, bool linear, int64_t alignment) {
  Axis axis(m);
  for (int64_t i = 0; i < m; i++) {
    const double centre = static_cast<double>(i) + (alignment == kHalfPixel ? 0.5 : 0.0);
    double at;
    if (alignment == kCorners) at = m > 1 ? centre * static_cast<double>(n - 1) / static_cast<double>(m - 1) : 0.0;
    else at = factor > 0 ? centre / factor : centre * static_cast<double>(n) / static_cast<double>(m);
    if (!linear) {
      const double nearest = std::floor(alignment == kCorners ? at + 0.5 : at);
      axis[i] = {{std::clamp<int64_t>(static_cast<int64_t>(nearest), 0, n - 1), 1.0f}};
      continue;
    }
    if (alignment == kHalfPixel) at -= 0.5;
    at = std::clamp(at, 0.0, static_cast<double>(n - 1));
    const int64_t low = static_cast<int64_t>(at);
    const float share = static_cast<float>(at - static_cast<double>(low));
    axis[i] = {{low, 1.0f - share}};
    if (share > 0) axis[i].push_back({low + 1, share});
  }
  return axis;
}

// The gradient goes the same ways back.
Axis turned_round(const Axis& forward, int64_t n) {
  Axis axis(n);
  for (size_t i = 0; i < forward.size(); i++) {
    for (const Tap& tap : forward[i]) axis[tap.source].push_back({static_cast<int64_t>(i), tap.weight});
  }
  return axis;
}

struct Resize {
  std::array<int64_t, 3> from{1, 1, 1}, to{1, 1, 1};
  std::array<Axis, 3> axes;
  int64_t images, channels;
};

// Each row of the result: first the rows that reach it are summed, then that sum along x.
template <class E>
void run(const Resize& r, const E* source, E* target) {
  const int64_t C = r.channels, length = r.from[2] * C, result_length = r.to[2] * C;
  Terms along_x;
  for (const auto& taps : r.axes[2]) {
    for (const Tap& x : taps) along_x.add(x.source * C, x.weight);
    along_x.end_row();
  }
  at::parallel_for(0, r.images * r.to[0] * r.to[1], 1, [&](int64_t first, int64_t last) {
    std::vector<float> sum(length);
    Terms across;
    for (int64_t row = first; row < last; row++) {
      const int64_t image = row / r.to[1] / r.to[0];
      across.clear();
      for (const Tap& z : r.axes[0][row / r.to[1] % r.to[0]]) {
        for (const Tap& y : r.axes[1][row % r.to[1]]) across.add(((image * r.from[0] + z.source) * r.from[1] + y.source) * length, z.weight * y.weight);
      }
      across.end_row();
      E* to = target + row * result_length;
      if (across.weights.size() == 1 && across.weights[0] == 1.0f) {
        weighted_rows(source + across.offsets[0], along_x, C, to);
      } else {
        weighted_rows(source, across, length, sum.data());
        weighted_rows<float, E>(sum.data(), along_x, C, to);
      }
    }
  });
}

// What is not on the processor: a product with each axis' taps as a matrix.
at::Tensor run_composed(const Resize& r, const at::Tensor& x, int64_t dims) {
  at::Tensor y = x;
  for (int64_t d = 0; d < dims; d++) {
    const int64_t axis = d + 3 - dims;
    at::Tensor taps = at::zeros({r.from[axis], r.to[axis]}, at::kFloat);
    for (int64_t i = 0; i < r.to[axis]; i++) {
      for (const Tap& tap : r.axes[axis][i]) taps.mutable_data_ptr<float>()[tap.source * r.to[axis] + i] += tap.weight;
    }
    y = at::matmul(y.movedim(d + 1, -1), taps.to(x.device())).movedim(-1, d + 1);
  }
  return y.contiguous();
}

// The attributes: linear, alignment, the enlarged axes' sizes before and after, and the factors.
template <bool kGradient>
void resize(Call& c) {
  const bool linear = c.flag();
  const int64_t alignment = c.integer();
  const auto before = c.integers(), after = c.integers();
  std::vector<double> factors(before.size());
  for (double& f : factors) f = c.number();
  const at::Tensor x = contiguous(c.stored(0));
  require(!before.empty() && before.size() <= 3 && after.size() == before.size() && x.dim() == static_cast<int64_t>(before.size()) + 2,
          "one to three axes between batch and channels are resized");
  for (size_t d = 0; d < before.size(); d++) {
    require(before[d] >= 1 && after[d] >= 1 && x.size(d + 1) == (kGradient ? after[d] : before[d]), "sizes do not go together");
    require(factors[d] >= 0 && factors[d] < 1e9, "a factor is out of range");
  }
  auto shape = x.sizes().vec();
  Resize r;
  r.images = shape.front();
  r.channels = shape.back();
  for (auto& axis : r.axes) axis = {{{0, 1.0f}}};
  for (size_t d = 0; d < before.size(); d++) shape[d + 1] = kGradient ? before[d] : after[d];
  at::Tensor y = at::empty(shape, x.options());  // first, so that sizes which do not fit are refused before lists of that length are made
  if (y.numel() == 0) return c.out(std::move(y));
  for (size_t d = 0; d < before.size(); d++) {
    const size_t axis = d + 3 - before.size();
    r.axes[axis] = forward_axis(before[d], after[d], factors[d], linear, alignment);
    if (kGradient) r.axes[axis] = turned_round(r.axes[axis], before[d]);
    r.from[axis] = kGradient ? after[d] : before[d];
    r.to[axis] = shape[d + 1];
  }
  if (!x.is_cpu()) return c.out(run_composed(r, c.in(0), static_cast<int64_t>(before.size())).to(x.scalar_type()));
  with_elements(x, [&](auto zero) {
    using E = decltype(zero);
    run(r, x.const_data_ptr<E>(), y.mutable_data_ptr<E>());
  });
  c.out(std::move(y));
}

}  // namespace

void add_resize(std::vector<Kernel>& k) { k.insert(k.end(), {{"Resize", resize<false>}, {"ResizeGrad", resize<true>}}); }

}  // namespace mdt
