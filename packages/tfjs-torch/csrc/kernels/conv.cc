// Convolutions, channels last, over ATen's (oneDNN's) kernels on channels-last views.
#include "../call.h"

namespace mdt {
namespace {

// [k…, in, out] as tfjs has it, to [out, in, k…] in channels-last memory.
at::Tensor filter_to_aten(const at::Tensor& filter) {
  return filter.movedim({-1, -2}, {0, 1}).contiguous(channels_last_format(filter.dim()));
}

at::Tensor filter_from_aten(const at::Tensor& filter) { return filter.movedim({0, 1}, {-1, -2}).contiguous(); }


at::Tensor as_channels_first(const at::Tensor& x) { return channels_first(x.contiguous()); }

struct Geometry {
  std::vector<int64_t> strides, pads;
  int64_t activation;
  explicit Geometry(Call& c) : strides(c.integers()), pads(c.integers()), activation(c.integer()) {}
  std::vector<int64_t> ones() const { return std::vector<int64_t>(strides.size(), 1); }
  std::vector<int64_t> zeros() const { return std::vector<int64_t>(strides.size(), 0); }
};

at::Tensor through_activation(Call& c, const Geometry& g) {
  const at::Tensor& dy = c.in(0);
  if (g.activation == 1) return at::threshold_backward(dy, c.in(1), 0);
  if (g.activation == 2) return at::leaky_relu_backward(dy, c.in(1), 0.01, true);
  return dy;
}

void conv_act(Call& c) {
  const Geometry g(c);
  const at::Tensor x = as_channels_first(c.in(0));
  const std::optional<at::Tensor> bias = c.has(2) ? std::optional<at::Tensor>(c.in(2)) : std::nullopt;
  at::Tensor y = channels_last(at::convolution(x, filter_to_aten(c.in(1)), bias, g.strides, g.pads, g.ones(), false, g.zeros(), 1));
  if (g.activation == 1) y.relu_();
  if (g.activation == 2) at::leaky_relu_(y, 0.01);
  c.out(std::move(y));
}

std::tuple<at::Tensor, at::Tensor, at::Tensor> backward(const at::Tensor& dy, const at::Tensor& x, const at::Tensor& filter,
                                                        const Geometry& g, std::array<bool, 3> wanted) {
  const std::vector<int64_t> bias_size{filter.size(0)};
  return at::convolution_backward(as_channels_first(dy), x, filter, bias_size, g.strides, g.pads, g.ones(), false, g.zeros(), 1, wanted);
}

// dy, y?, filter → dx
void conv_input_grad(Call& c) {
  const Geometry g(c);
  const auto shape = c.integers();
  // Only the shape of x counts here: memory that is never touched costs nothing.
  const at::Tensor x = channels_first(at::empty(shape, c.in(0).options()));
  c.out(channels_last(std::get<0>(backward(through_activation(c, g), x, filter_to_aten(c.in(2)), g, {true, false, false}))));
}

// dy, y?, x → dFilter, dBias
void conv_filter_grad(Call& c) {
  const Geometry g(c);
  const auto shape = c.integers();  // [k…, in, out]
  const at::Tensor filter = filter_to_aten(at::empty(shape, c.in(0).options()));
  const auto grads = backward(through_activation(c, g), as_channels_first(c.in(2)), filter, g, {false, true, true});
  c.out(filter_from_aten(std::get<1>(grads)), 0);
  c.out(std::get<2>(grads), 1);
}

}  // namespace

void add_conv(std::vector<Kernel>& k) {
  k.insert(k.end(), {{"ConvAct", conv_act}, {"ConvActInputGrad", conv_input_grad}, {"ConvActFilterGrad", conv_filter_grad}});
}

}  // namespace mdt
