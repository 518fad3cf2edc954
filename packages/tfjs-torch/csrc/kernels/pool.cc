// Pooling over windows, channels last. Padding is no part of a window: it is never the maximum and does not count in means.
#include <limits>

#include "../call.h"

namespace mdt {
namespace {

struct Window {
  std::vector<int64_t> size, strides, before, after;
  explicit Window(Call& c) : size(c.integers()), strides(c.integers()), before(c.integers()), after(c.integers()) {
    if (size.size() < 2 || size.size() > 3 || strides.size() != size.size() || before.size() != size.size() || after.size() != size.size()) {
      throw std::invalid_argument("a window has two or three axes, and as many strides and paddings");
    }
  }
  bool deep() const { return size.size() == 3; }
  std::vector<int64_t> ones() const { return std::vector<int64_t>(size.size(), 1); }
  std::vector<int64_t> zeros() const { return std::vector<int64_t>(size.size(), 0); }
  // What ATen pads by itself: alike on both sides, and no more than half the window.
  bool simple() const {
    for (size_t d = 0; d < size.size(); d++) if (before[d] != after[d] || before[d] < 0 || before[d] > size[d] / 2) return false;
    return true;
  }
  bool padded() const {
    for (size_t d = 0; d < size.size(); d++) if (before[d] != 0 || after[d] != 0) return true;
    return false;
  }
  // x with its border, which may cut it, too.
  at::Tensor with_border(const at::Tensor& x, double value) const { return at::constant_pad_nd(x, border(1), value); }
  at::Tensor without_border(const at::Tensor& x) const { return at::constant_pad_nd(x, border(-1), 0); }

 private:
  std::vector<int64_t> border(int64_t sign) const {
    std::vector<int64_t> pads;
    for (size_t d = size.size(); d-- > 0;) {
      pads.push_back(sign * before[d]);
      pads.push_back(sign * after[d]);
    }
    return pads;
  }
};

// Integers are pooled as doubles, which hold each of them.
at::Tensor floating(const at::Tensor& x) { return x.is_floating_point() ? x : x.to(at::kDouble); }

struct MaxOf {
  at::Tensor padded, values, indices;
  std::vector<int64_t> pads;
};

// Where `skip_nan`, a window's maximum is that of its numbers; otherwise NaN passes on.
MaxOf max_pool(const at::Tensor& x, const Window& w, bool skip_nan) {
  constexpr double infinity = std::numeric_limits<double>::infinity();
  MaxOf m;
  m.pads = w.simple() ? w.before : w.zeros();
  m.padded = w.simple() ? x : w.with_border(x, -infinity);
  std::tie(m.values, m.indices) = w.deep() ? at::max_pool3d_with_indices(m.padded, w.size, w.strides, m.pads, w.ones())
                                           : at::max_pool2d_with_indices(m.padded, w.size, w.strides, m.pads, w.ones());
  if (skip_nan && at::isnan(m.values).any().item<bool>()) return max_pool(at::nan_to_num(x, -infinity, infinity, -infinity), w, false);
  return m;
}

void max_forward(Call& c) {
  const at::Tensor& x = c.stored(0);
  const Window w(c);
  c.out(channels_last(max_pool(channels_first(floating(x)), w, c.flag()).values.to(x.scalar_type())));
}

// The indices of the maxima are found again: one pass over x, where keeping them would hold eight bytes a value.
void max_grad(Call& c) {
  const Window w(c);
  const at::Tensor x = floating(c.stored(1)), dy = channels_first(converted(c.stored(0), x.scalar_type()));
  const MaxOf m = max_pool(channels_first(x), w, c.flag());
  const at::Tensor dx = w.deep()
      ? at::max_pool3d_with_indices_backward(dy, m.padded, w.size, w.strides, m.pads, w.ones(), false, m.indices)
      : at::max_pool2d_with_indices_backward(dy, m.padded, w.size, w.strides, m.pads, w.ones(), false, m.indices);
  c.out(channels_last(w.simple() ? dx : w.without_border(dx)));
}

// Sums over windows, without padding.
at::Tensor sums(const at::Tensor& x, const Window& w) {
  return w.deep() ? at::avg_pool3d(x, w.size, w.strides, w.zeros(), false, true, 1) : at::avg_pool2d(x, w.size, w.strides, w.zeros(), false, true, 1);
}

// How many elements of an image each window covers, [1, 1, out…]; at least one, so that the mean of nothing is zero.
at::Tensor counts(c10::IntArrayRef shape, const Window& w, const at::TensorOptions& options) {
  std::vector<int64_t> image{1, 1};
  image.insert(image.end(), shape.begin() + 2, shape.end());
  return sums(w.with_border(at::ones(image, options), 0), w).clamp_min(1);
}

void mean_forward(Call& c) {
  const Window w(c);
  const at::Tensor x = channels_first(c.in(0).to(at::kFloat));
  c.out(channels_last(sums(w.padded() ? w.with_border(x, 0) : x, w) / counts(x.sizes(), w, x.options())));
}

// dy → dx, of the given shape
void mean_grad(Call& c) {
  const Window w(c);
  const at::Tensor x = channels_first(at::empty(c.integers(), c.in(0).options()));  // ATen asks for x, but only its shape counts
  const at::Tensor dy = channels_first(c.in(0)) / counts(x.sizes(), w, x.options());
  const at::Tensor padded = w.padded() ? w.with_border(x, 0) : x;
  const at::Tensor dx = w.deep() ? at::avg_pool3d_backward(dy, padded, w.size, w.strides, w.zeros(), false, true, 1)
                                 : at::avg_pool2d_backward(dy, padded, w.size, w.strides, w.zeros(), false, true, 1);
  c.out(channels_last(w.padded() ? w.without_border(dx) : dx));
}

}  // namespace

void add_pool(std::vector<Kernel>& k) {
  k.insert(k.end(), {{"MaxPool", max_forward}, {"MaxPoolGrad", max_grad}, {"MeanPool", mean_forward}, {"MeanPoolGrad", mean_grad}});
}

}  // namespace mdt
