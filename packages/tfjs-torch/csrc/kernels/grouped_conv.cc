// Convolutions with dilation or in groups of channels, channels last, on ATen.
#include "../conv_geometry.h"

namespace mdt {
namespace {

// [k…, in / groups, out] as tfjs has it, to [out, in / groups, k…]; row-major, for ATen's small kernels take nothing else.
at::Tensor filter_to_aten(const at::Tensor& filter) { return contiguous(filter.movedim({-1, -2}, {0, 1})); }

struct Grouped {
  std::vector<int64_t> strides, pads, dilations;
  int64_t groups;
  explicit Grouped(Call& c) : strides(c.integers()), pads(c.integers()), dilations(c.integers()), groups(c.integer()) {
    const size_t dims = strides.size();
    require((dims == 2 || dims == 3) && pads.size() == dims && dilations.size() == dims, "a convolution has two or three axes");
    for (size_t d = 0; d < dims; d++) {
      require(strides[d] >= 1 && strides[d] < kFar && pads[d] >= 0 && pads[d] < kFar && dilations[d] >= 1 && dilations[d] < kFar,
              "strides, pads or dilations are out of range");
    }
    require(groups >= 1, "there is no group of channels");
  }
  std::vector<int64_t> zeros() const { return std::vector<int64_t>(strides.size(), 0); }
  // Shape of what an image [n, …, in] becomes under a filter [k…, in / groups, out]. ATen's gradients trust that it is dy's.
  std::vector<int64_t> result(at::IntArrayRef image, at::IntArrayRef filter) const {
    const size_t dims = strides.size();
    require(image.size() == dims + 2 && filter.size() == dims + 2, "image or filter has another number of axes");
    require(image.back() % groups == 0 && filter[dims] == image.back() / groups && filter.back() >= groups && filter.back() % groups == 0,
            "the filter is for another number of channels");
    require(image[0] >= 0 && image.back() >= 1, "there are no channels");
    std::vector<int64_t> shape{image[0]};
    for (size_t d = 0; d < dims; d++) {
      require(image[d + 1] >= 1 && image[d + 1] < kFar && filter[d] >= 1 && (filter[d] - 1) < kFar / dilations[d], "a size is out of range");
      const int64_t room = image[d + 1] + 2 * pads[d] - dilations[d] * (filter[d] - 1) - 1;
      require(room >= 0, "the filter does not fit the image");
      shape.push_back(room / strides[d] + 1);
    }
    shape.push_back(filter.back());
    return shape;
  }
};

std::tuple<at::Tensor, at::Tensor, at::Tensor> backward(const at::Tensor& dy, const at::Tensor& x, const at::Tensor& filter,
                                                        const Grouped& g, std::array<bool, 3> wanted) {
  return at::convolution_backward(channels_first(dy), channels_first(x), filter, at::OptionalIntArrayRef(), g.strides, g.pads, g.dilations,
                                  false, g.zeros(), g.groups, wanted);
}

// x, filter → y
void forward(Call& c) {
  const Grouped g(c);
  const auto shape = g.result(c.in(0).sizes(), c.in(1).sizes());
  if (c.in(0).numel() == 0) return c.out(at::empty(shape, c.in(0).options()));  // no image
  c.out(channels_last(at::convolution(channels_first(c.in(0)), filter_to_aten(c.in(1)), std::nullopt, g.strides, g.pads, g.dilations,
                                      false, g.zeros(), g.groups)));
}

// dy, filter → dx
void input_grad(Call& c) {
  const Grouped g(c);
  const auto shape = c.integers();
  const at::Tensor &dy = c.in(0), &filter = c.in(1);
  require(dy.sizes() == at::IntArrayRef(g.result(shape, filter.sizes())), "dy has another shape than the result");
  const at::Tensor x = at::empty(shape, dy.options());  // ATen asks for x, but only its shape counts here
  if (dy.numel() == 0) return c.out(x);
  c.out(channels_last(std::get<0>(backward(dy, x, filter_to_aten(filter), g, {true, false, false}))));
}

// dy, x → dFilter
void filter_grad(Call& c) {
  const Grouped g(c);
  const auto shape = c.integers();
  const at::Tensor &dy = c.in(0), &x = c.in(1);
  require(dy.sizes() == at::IntArrayRef(g.result(x.sizes(), shape)), "dy has another shape than the result");
  if (dy.numel() == 0) return c.out(at::zeros(shape, dy.options()));
  const at::Tensor filter = at::empty(shape, dy.options());  // likewise
  const at::Tensor gradient = std::get<1>(backward(dy, x, filter_to_aten(filter), g, {false, true, false}));
  c.out(contiguous(gradient.movedim({0, 1}, {-1, -2})));
}

}  // namespace

void add_grouped_conv(std::vector<Kernel>& k) {
  k.insert(k.end(), {{"GroupedConv", forward}, {"GroupedConvInputGrad", input_grad}, {"GroupedConvFilterGrad", filter_grad}});
}

}  // namespace mdt
