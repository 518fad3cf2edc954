// Pooling over windows, channels last. Padding is no part of a window: it is never the maximum and does not count in means.
#include <limits>

#include "../call.h"
#include "../max_pool.h"

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
MaxOf max_of(const at::Tensor& x, const Window& w, bool skip_nan) {
  constexpr double infinity = std::numeric_limits<double>::infinity();
  MaxOf m;
  m.pads = w.simple() ? w.before : w.zeros();
  m.padded = w.simple() ? x : w.with_border(x, -infinity);
  std::tie(m.values, m.indices) = w.deep() ? at::max_pool3d_with_indices(m.padded, w.size, w.strides, m.pads, w.ones())
                                           : at::max_pool2d_with_indices(m.padded, w.size, w.strides, m.pads, w.ones());
  if (skip_nan && at::isnan(m.values).any().item<bool>()) return max_of(at::nan_to_num(x, -infinity, infinity, -infinity), w, false);
  return m;
}

// The pool as max_pool.h describes it, where its kernels take it; nothing else is sure to hold together.
std::optional<max_pool::Shape> shape_for_ours(const at::Tensor& x, const Window& w) {
  const size_t dims = w.size.size();
  if (!x.is_cpu() || (x.scalar_type() != at::kFloat && x.scalar_type() != at::kBFloat16)) return std::nullopt;
  if (x.dim() != static_cast<int64_t>(dims) + 2) return std::nullopt;
  max_pool::Shape s{x.size(0), x.size(-1), {1, 1, 1}, {1, 1, 1}, {1, 1, 1}, {1, 1, 1}, {0, 0, 0}};
  constexpr int64_t kFar = int64_t{1} << 31;  // beyond any size of an axis
  for (size_t d = 0; d < dims; d++) {
    const size_t axis = dims == 3 ? d : 2 * d;
    s.in[axis] = x.size(static_cast<int64_t>(d) + 1);
    for (const int64_t n : {s.in[axis], w.size[d], w.strides[d]}) if (n < 1 || n >= kFar) return std::nullopt;
    for (const int64_t n : {w.before[d], w.after[d]}) if (n <= -kFar || n >= kFar) return std::nullopt;
    const int64_t room = s.in[axis] + w.before[d] + w.after[d] - w.size[d];
    if (room < 0) return std::nullopt;
    s.window[axis] = w.size[d];
    s.strides[axis] = w.strides[d];
    s.before[axis] = w.before[d];
    s.out[axis] = room / w.strides[d] + 1;
  }
  return max_pool::suits(s) ? std::optional(s) : std::nullopt;
}

std::vector<int64_t> result_shape(const max_pool::Shape& s, const Window& w) {
  if (!w.deep()) return {s.images, s.out[0], s.out[2], s.channels};
  return {s.images, s.out[0], s.out[1], s.out[2], s.channels};
}

void max_forward(Call& c) {
  const at::Tensor& x = c.stored(0);
  const Window w(c);
  const bool skip_nan = c.flag();
  const auto s = shape_for_ours(x, w);
  if (!s) return c.out(channels_last(max_of(channels_first(floating(x)), w, skip_nan).values.to(x.scalar_type())));
  const at::Tensor from = contiguous(x);
  at::Tensor y = at::empty(result_shape(*s, w), x.options());
  with_elements(x, [&](auto zero) {
    using E = decltype(zero);
    max_pool::forward(*s, from.const_data_ptr<E>(), skip_nan, y.mutable_data_ptr<E>());
  });
  c.out(std::move(y));
}

// The indices of the maxima are found again: one pass over x, where keeping them would hold eight bytes a value.
void max_grad(Call& c) {
  const Window w(c);
  const at::Tensor x = floating(c.stored(1)), given = converted(c.stored(0), x.scalar_type());
  const bool skip_nan = c.flag();
  if (const auto s = shape_for_ours(x, w)) {
    require(given.sizes() == at::IntArrayRef(result_shape(*s, w)), "dy has another shape than the result");
    const at::Tensor from = contiguous(x), from_dy = contiguous(given);
    at::Tensor dx = at::empty(x.sizes(), x.options());
    with_elements(x, [&](auto zero) {
      using E = decltype(zero);
      max_pool::gradient(*s, from_dy.const_data_ptr<E>(), from.const_data_ptr<E>(), skip_nan, dx.mutable_data_ptr<E>());
    });
    return c.out(std::move(dx));
  }
  const at::Tensor dy = channels_first(given);
  const MaxOf m = max_of(channels_first(x), w, skip_nan);
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
