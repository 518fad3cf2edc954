// Convolutions with dilation or in groups of channels, channels last, on ATen.
#include "../call.h"

namespace mdt {
namespace {

// [k…, in / groups, out] as tfjs has it, to [out, in / groups, k…]; row-major, for ATen's small kernels take nothing else.
at::Tensor filter_to_aten(const at::Tensor& filter) { return contiguous(filter.movedim({-1, -2}, {0, 1})); }

struct Geometry {
  std::vector<int64_t> strides, pads, dilations;
  int64_t groups;
  explicit Geometry(Call& c) : strides(c.integers()), pads(c.integers()), dilations(c.integers()), groups(c.integer()) {}
  std::vector<int64_t> zeros() const { return std::vector<int64_t>(strides.size(), 0); }
};

std::tuple<at::Tensor, at::Tensor, at::Tensor> backward(const at::Tensor& dy, const at::Tensor& x, const at::Tensor& filter,
                                                        const Geometry& g, std::array<bool, 3> wanted) {
  return at::convolution_backward(channels_first(dy), channels_first(x), filter, at::OptionalIntArrayRef(), g.strides, g.pads, g.dilations,
                                  false, g.zeros(), g.groups, wanted);
}

// x, filter → y
void forward(Call& c) {
  const Geometry g(c);
  c.out(channels_last(at::convolution(channels_first(c.in(0)), filter_to_aten(c.in(1)), std::nullopt, g.strides, g.pads, g.dilations,
                                      false, g.zeros(), g.groups)));
}

// dy, filter → dx
void input_grad(Call& c) {
  const Geometry g(c);
  const at::Tensor x = at::empty(c.integers(), c.in(0).options());  // ATen asks for x, but only its shape counts here
  c.out(channels_last(std::get<0>(backward(c.in(0), x, filter_to_aten(c.in(1)), g, {true, false, false}))));
}

// dy, x → dFilter
void filter_grad(Call& c) {
  const Geometry g(c);
  const at::Tensor filter = at::empty(c.integers(), c.in(0).options());  // likewise
  const at::Tensor gradient = std::get<1>(backward(c.in(0), c.in(1), filter_to_aten(filter), g, {false, true, false}));
  c.out(contiguous(gradient.movedim({0, 1}, {-1, -2})));
}

}  // namespace

void add_grouped_conv(std::vector<Kernel>& k) {
  k.insert(k.end(), {{"GroupedConv", forward}, {"GroupedConvInputGrad", input_grad}, {"GroupedConvFilterGrad", filter_grad}});
}

}  // namespace mdt
