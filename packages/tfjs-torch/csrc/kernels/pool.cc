// Pooling over windows, channels last.
#include "../call.h"

namespace mdt {
namespace {

struct Window {
  std::vector<int64_t> size, strides, pads;
  explicit Window(Call& c) : size(c.integers()), strides(c.integers()), pads(c.integers()) {}
  std::vector<int64_t> dilation() const { return std::vector<int64_t>(size.size(), 1); }
};

std::tuple<at::Tensor, at::Tensor> max_pool(const at::Tensor& x, const Window& w) {
  return w.size.size() == 3 ? at::max_pool3d_with_indices(x, w.size, w.strides, w.pads, w.dilation())
                            : at::max_pool2d_with_indices(x, w.size, w.strides, w.pads, w.dilation());
}

void max_pool_forward(Call& c) { c.out(channels_last(std::get<0>(max_pool(channels_first(c.stored(0)), Window(c))))); }

// The indices of the maxima are found again: one pass over x, where keeping them would hold eight bytes a value.
void max_pool_grad(Call& c) {
  const Window w(c);
  const at::Tensor x = channels_first(c.stored(1)), dy = channels_first(converted(c.stored(0), x.scalar_type()));
  const at::Tensor indices = std::get<1>(max_pool(x, w));
  c.out(channels_last(w.size.size() == 3
                          ? at::max_pool3d_with_indices_backward(dy, x, w.size, w.strides, w.pads, w.dilation(), false, indices)
                          : at::max_pool2d_with_indices_backward(dy, x, w.size, w.strides, w.pads, w.dilation(), false, indices)));
}

}  // namespace

void add_pool(std::vector<Kernel>& k) {
  k.insert(k.end(), {{"MaxPool", max_pool_forward}, {"MaxPoolGrad", max_pool_grad}});
}

}  // namespace mdt
