// Convolutions, channels last: Winograd's or our direct kernels where they are quicker, ATen's (oneDNN's) elsewhere.
#include "../call.h"
#include "../channel_sums.h"
#include "../direct_conv.h"
#include "../sparse_boxes.h"
#include "../winograd.h"

namespace mdt {
namespace {

// [k…, in, out] as tfjs has it, to [out, in, k…] in channels-last memory, and its type. In memory that is the transpose of a matrix,
// which ATen copies in blocks where the type stays: many times quicker than along the axes, with a change of type.
at::Tensor filter_to_aten(const at::Tensor& filter, at::ScalarType type) {
  std::vector<int64_t> sizes{filter.size(-1)};  // [out, k…, in]
  sizes.insert(sizes.end(), filter.sizes().begin(), filter.sizes().end() - 1);
  return filter.reshape({-1, filter.size(-1)}).to(type).t().contiguous().view(sizes).movedim(-1, 1);
}

at::Tensor filter_from_aten(const at::Tensor& filter) {
  const at::Tensor last = channels_last(filter);  // [out, k…, in]
  std::vector<int64_t> sizes(last.sizes().begin() + 1, last.sizes().end());
  sizes.push_back(last.size(0));
  return last.view({last.size(0), -1}).t().contiguous().to(at::kFloat).view(sizes);
}

// A filter of which only the shape counts; row-major, for ATen's kernel for small images takes nothing else.
at::Tensor filter_shape(const std::vector<int64_t>& shape, const at::Tensor& like) {
  std::vector<int64_t> sizes{shape.back(), shape[shape.size() - 2]};
  sizes.insert(sizes.end(), shape.begin(), shape.end() - 2);
  return at::empty(sizes, like.options());
}

constexpr int64_t kFar = int64_t{1} << 31;  // beyond any size of an axis

struct Geometry {
  std::vector<int64_t> strides, pads;
  int64_t activation;
  at::ScalarType results, products;
  explicit Geometry(Call& c) : strides(c.integers()), pads(c.integers()), activation(c.integer()), results(low_type(c.integer())) {
    require((strides.size() == 2 || strides.size() == 3) && pads.size() == strides.size(), "a convolution has two or three axes");
    for (size_t d = 0; d < strides.size(); d++) {
      require(strides[d] >= 1 && strides[d] < kFar && pads[d] >= 0 && pads[d] < kFar, "strides or pads are out of range");
    }
    require(activation >= 0 && activation <= 2, "no such activation");
    products = results == at::kBFloat16 && c.stored(0).is_cpu() && !has_bfloat16_products() ? at::kFloat : results;
  }
  std::vector<int64_t> ones() const { return std::vector<int64_t>(strides.size(), 1); }
  std::vector<int64_t> zeros() const { return std::vector<int64_t>(strides.size(), 0); }
  // Shape of what an image [n, …, in] becomes under a filter [k…, in, out]; throws where they do not go together.
  std::vector<int64_t> result(at::IntArrayRef image, at::IntArrayRef filter) const {
    const size_t dims = strides.size();
    require(image.size() == dims + 2 && filter.size() == dims + 2, "image or filter has another number of axes");
    require(filter[dims] == image.back(), "the filter is for another number of channels");
    std::vector<int64_t> shape{image[0]};
    for (size_t d = 0; d < dims; d++) {
      const int64_t room = image[d + 1] + 2 * pads[d] - filter[d];
      require(image[d + 1] >= 0 && image[d + 1] < kFar && filter[d] >= 1 && room >= 0, "the filter does not fit the image");
      shape.push_back(room / strides[d] + 1);
    }
    shape.push_back(filter.back());
    return shape;
  }
};

// What a product reads: in memory order, in the type of products.
at::Tensor operand(const at::Tensor& x, const Geometry& g) {
  if (!x.is_floating_point()) throw std::invalid_argument("expected floats");
  return contiguous(converted(x, g.products));
}

// A filter or bias: float32 in memory order, in every precision.
at::Tensor weights_of(const Call& c, size_t i) {
  const at::Tensor& weights = c.in(i);
  if (weights.scalar_type() != at::kFloat) throw std::invalid_argument("expected floats");
  return contiguous(weights);
}

// The filter of a call: float32 in memory order, and as ATen wants it. In 16 bits that is kept: forward and backward read it, and a
// model that only predicts reads it again and again.
class Filter {
 public:
  Filter(const Call& c, size_t i) : values_(weights_of(c, i)), kept_(c.prepared(i)) {}
  const at::Tensor& values() const { return values_; }
  at::Tensor to_aten(at::ScalarType type) const {
    if (!is_low(type)) return filter_to_aten(values_, type);
    if (!kept_.defined() || kept_.scalar_type() != type) kept_ = filter_to_aten(values_, type);
    return kept_;
  }
  // Of a pointwise layer: [in, out].
  at::Tensor as_matrix(at::ScalarType type) const {
    if (!is_low(type)) return values_.reshape({values_.size(-2), values_.size(-1)});
    return channels_last(to_aten(type)).reshape({values_.size(-1), values_.size(-2)}).t();
  }

 private:
  at::Tensor values_;
  at::Tensor& kept_;
};

at::Tensor through_activation(Call& c, const Geometry& g) {
  const at::Tensor dy = operand(c.stored(0), g);
  require(g.activation == 0 || c.stored(1).sizes() == dy.sizes(), "y has another shape than dy");
  if (g.activation == 1) return at::threshold_backward(dy, operand(c.stored(1), g), 0);
  if (g.activation == 2) return at::leaky_relu_backward(dy, operand(c.stored(1), g), 0.01, true);
  return dy;
}

// The layer as direct_conv.h describes it; the y, x axes of a 1×1 convolution become one, which makes long rows.
direct::Shape direct_shape(c10::IntArrayRef in, c10::IntArrayRef out, c10::IntArrayRef filter, const Geometry& g, const std::vector<int64_t>& pads) {
  const size_t dims = g.strides.size();
  // Kernels trust what follows.
  bool fits = dims >= 1 && dims <= 3 && g.pads.size() == dims && in.size() == dims + 2 && out.size() == dims + 2 && filter.size() == dims + 2 &&
              in[0] == out[0] && in.back() == filter[dims] && out.back() == filter[dims + 1];
  for (size_t d = 0; fits && d < dims; d++) fits = g.strides[d] >= 1 && pads[d] >= 0 && (in[d + 1] + 2 * pads[d] - filter[d]) / g.strides[d] + 1 == out[d + 1];
  if (!fits) throw std::invalid_argument("shapes, strides and padding do not go together");
  direct::Shape s{in[0], in.back(), out.back(), {1, 1, 1}, {1, 1, 1}, {1, 1, 1}, {1, 1, 1}, {0, 0, 0}};
  bool pointwise = true;
  for (size_t d = 0; d < dims; d++) {
    const size_t axis = d + 3 - dims;
    s.in[axis] = in[d + 1];
    s.out[axis] = out[d + 1];
    s.window[axis] = filter[d];
    s.strides[axis] = g.strides[d];
    s.pads[axis] = pads[d];
    pointwise = pointwise && filter[d] == 1 && g.strides[d] == 1 && pads[d] == 0;
  }
  if (pointwise && s.in[2] < 64) {
    s.in = {s.in[0], 1, s.in[1] * s.in[2]};
    s.out = s.in;
  }
  return s;
}

constexpr float kSlopes[] = {1.0f, 0.0f, 0.01f};  // by activation

enum class Method { kAten, kMatrix, kDirect, kWinograd };
enum class Pass { kForward, kInputGradient, kFilterGradient };

bool is_pointwise_but_strides(const direct::Shape& s) {
  return s.window == std::array<int64_t, 3>{1, 1, 1} && s.pads == std::array<int64_t, 3>{0, 0, 0};
}

bool is_pointwise(const direct::Shape& s) { return is_pointwise_but_strides(s) && s.strides == s.window; }

// Whether transforming the filters is repaid, by the tiles of a slice. Against oneDNN's bfloat16: its float32 is slower than the
// tiles even for a few.
bool has_many_tiles(const direct::Shape& s) {
  return s.images * ((s.out[1] + 3) / 4) * ((s.out[2] + 3) / 4) >= 16;
}

// The quickest way for a shape, as measured (benchmarks/engine.ts).
Method method(const at::Tensor& x, const direct::Shape& s, Pass pass) {
  if (!x.is_cpu()) return Method::kAten;
  const bool low = is_low(x);
  if (is_pointwise(s) && (low || s.in_channels * s.out_channels >= 48 * 96)) return Method::kMatrix;
  if (winograd::suits(s) && (!low || has_many_tiles(s))) return Method::kWinograd;
  // The direct sums over outputs find no neighbours to pair: they would run at float32's speed.
  if (!direct::suits(s) || (low && pass == Pass::kFilterGradient)) return Method::kAten;
  return Method::kDirect;
}

at::Tensor& activate(at::Tensor& y, const Geometry& g) {
  if (g.activation == 1) y.relu_();
  if (g.activation == 2) at::leaky_relu_(y, 0.01);
  return y;
}

at::Tensor as_rows(const at::Tensor& x) { return x.reshape({-1, x.size(-1)}); }

// x [n, …, in], filter [k…, in, out] → [n, …, out]; x as operand() gives it, filter and bias float32.
at::Tensor forward(const at::Tensor& x, const Filter& filter, const std::optional<at::Tensor>& bias, const Geometry& g,
                   const std::vector<int64_t>& shape) {
  const direct::Shape s = direct_shape(x.sizes(), shape, filter.values().sizes(), g, g.pads);
  const Method how = method(x, s, Pass::kForward);
  if (how == Method::kDirect || how == Method::kWinograd) {
    at::Tensor y = at::empty(shape, x.options());
    with_elements(x, [&](auto zero) {
      using E = decltype(zero);
      (how == Method::kWinograd ? winograd::forward<E> : direct::forward<E>)(s, x.const_data_ptr<E>(), filter.values().const_data_ptr<float>(),
                                                                             bias ? bias->const_data_ptr<float>() : nullptr, kSlopes[g.activation], y.mutable_data_ptr<E>());
    });
    return y;
  }
  const auto low_bias = bias ? std::optional<at::Tensor>(bias->to(x.scalar_type())) : std::nullopt;
  if (how == Method::kMatrix) {
    const at::Tensor matrix = filter.as_matrix(x.scalar_type());
    at::Tensor y = bias ? at::addmm(*low_bias, as_rows(x), matrix) : at::mm(as_rows(x), matrix);
    return activate(y, g).reshape(shape);
  }
  at::Tensor y = channels_last(at::convolution(channels_first(x), filter.to_aten(x.scalar_type()), low_bias, g.strides, g.pads, g.ones(), false, g.zeros(), 1));
  return activate(y, g);
}

// dy, x: channels last; filter [out, in, k…]
std::tuple<at::Tensor, at::Tensor, at::Tensor> backward(const at::Tensor& dy, const at::Tensor& x, const at::Tensor& filter,
                                                        const Geometry& g, const std::vector<int64_t>& pads, std::array<bool, 3> wanted) {
  const std::vector<int64_t> bias_size{filter.size(0)};
  return at::convolution_backward(channels_first(dy), channels_first(x), filter, bias_size, g.strides, pads, g.ones(), false, g.zeros(), 1, wanted);
}

at::Tensor input_gradient(const at::Tensor& gradient, const std::vector<int64_t>& shape, const Filter& filter, const Geometry& g,
                          const std::vector<int64_t>& pads) {
  const at::Tensor dy = contiguous(gradient);
  const direct::Shape s = direct_shape(shape, dy.sizes(), filter.values().sizes(), g, pads);
  const Method how = method(dy, s, Pass::kInputGradient);
  if (how == Method::kMatrix) return at::mm(as_rows(dy), filter.as_matrix(dy.scalar_type()).t()).reshape(shape);
  const at::Tensor dx = at::empty(shape, dy.options());
  if (how != Method::kAten) {
    with_elements(dy, [&](auto zero) {
      using E = decltype(zero);
      (how == Method::kWinograd ? winograd::input_gradient<E> : direct::input_gradient<E>)(s, dy.const_data_ptr<E>(), filter.values().const_data_ptr<float>(), dx.mutable_data_ptr<E>());
    });
    return dx;
  }
  // ATen asks for x, but only its shape counts here.
  return channels_last(std::get<0>(backward(dy, dx, filter.to_aten(dy.scalar_type()), g, pads, {true, false, false})));
}

at::Tensor filter_gradient(const at::Tensor& gradient, const at::Tensor& input, const std::vector<int64_t>& shape, const Geometry& g,
                           const std::vector<int64_t>& pads) {
  const at::Tensor dy = contiguous(gradient), x = contiguous(input);
  const direct::Shape s = direct_shape(x.sizes(), dy.sizes(), shape, g, pads);
  const Method how = method(dy, s, Pass::kFilterGradient);
  if (how == Method::kMatrix) return at::mm(as_rows(x).t(), as_rows(dy)).to(at::kFloat).reshape(shape);
  if (how == Method::kAten && is_low(dy) && is_pointwise_but_strides(s)) {  // what is seen of x is small
    at::Tensor seen = x;
    for (size_t d = 0; d < g.strides.size(); d++) seen = seen.slice(static_cast<int64_t>(d) + 1, 0, std::nullopt, g.strides[d]);
    return at::mm(as_rows(seen).t(), as_rows(dy)).to(at::kFloat).reshape(shape);
  }
  at::Tensor filter = at::empty(shape, dy.options().dtype(at::kFloat));
  if (how != Method::kAten) {
    with_elements(dy, [&](auto zero) {
      using E = decltype(zero);
      (how == Method::kWinograd ? winograd::filter_gradient<E> : direct::filter_gradient<E>)(s, dy.const_data_ptr<E>(), x.const_data_ptr<E>(), filter.mutable_data_ptr<float>());
    });
    return filter;
  }
  return filter_from_aten(std::get<1>(backward(dy, x, filter_shape(shape, dy), g, pads, {false, true, false})));
}

// Σ dy over everything but channels.
at::Tensor bias_gradient(const at::Tensor& dy) {
  const int64_t channels = dy.size(-1);
  if (!dy.is_cpu()) return dy.reshape({-1, channels}).sum(0, false, at::kFloat);
  at::Tensor sum = at::empty({channels}, dy.options().dtype(at::kFloat));
  with_elements(dy, [&](auto zero) {
    using E = decltype(zero);
    const E* from = dy.const_data_ptr<E>();
    const auto sums = channel_sums<1>(channels > 0 ? dy.numel() / channels : 0, channels, [&](int64_t at, float* to) {
      for (int64_t c = 0; c < channels; c++) to[c] += static_cast<float>(from[at + c]);
    });
    std::copy(sums.begin(), sums.end(), sum.mutable_data_ptr<float>());
  });
  return sum;
}

// The part of an image that a box of outputs sees: [begin, end) of the input, which may reach into the padding, and the
// part of that inside the image.
struct Field {
  std::vector<int64_t> begin, end, inner_begin, inner_end;
  Field(const ImageBox& box, const std::vector<int64_t>& window, const std::vector<int64_t>& size, const Geometry& g) {
    for (size_t d = 0; d < size.size(); d++) {
      begin.push_back(box.begin[d] * g.strides[d] - g.pads[d]);
      end.push_back((box.end[d] - 1) * g.strides[d] - g.pads[d] + window[d]);
      inner_begin.push_back(std::clamp<int64_t>(begin[d], 0, size[d]));
      inner_end.push_back(std::clamp<int64_t>(end[d], inner_begin[d], size[d]));
    }
  }
  bool empty() const {
    for (size_t d = 0; d < begin.size(); d++) if (inner_end[d] <= inner_begin[d]) return true;
    return false;
  }
};

at::Tensor crop(const at::Tensor& x, int64_t image, const std::vector<int64_t>& begin, const std::vector<int64_t>& end) {
  at::Tensor y = x.narrow(0, image, 1);
  for (size_t d = 0; d < begin.size(); d++) y = y.narrow(d + 1, begin[d], end[d] - begin[d]);
  return y;
}

// Beyond this share of non-zero outputs the dense kernels are quicker than many small ones.
constexpr double kSparseShare = 0.3;

std::vector<int64_t> spatial(const std::vector<int64_t>& shape) { return {shape.begin() + 1, shape.end() - 1}; }

// x, filter, bias? → y
void conv_act(Call& c) {
  const Geometry g(c);
  const at::Tensor x = operand(c.stored(0), g);
  const Filter filter(c, 1);
  const std::optional<at::Tensor> bias = c.has(2) ? std::optional<at::Tensor>(weights_of(c, 2)) : std::nullopt;
  const std::vector<int64_t> shape = g.result(x.sizes(), filter.values().sizes());
  require(!bias || bias->numel() == shape.back(), "bias has another number of channels");
  c.out(forward(x, filter, bias, g, shape).to(g.results));
}

// dy, y?, filter → dx
void conv_input_grad(Call& c) {
  const Geometry g(c);
  const auto shape = c.integers();
  const at::Tensor dy = through_activation(c, g);
  const Filter filter(c, 2);
  require(dy.sizes() == at::IntArrayRef(g.result(shape, filter.values().sizes())), "dy has another shape than the result");
  const auto boxes = non_zero_boxes(dy, kSparseShare);
  if (!boxes) return c.out(input_gradient(dy, shape, filter, g, g.pads).to(g.results));
  at::Tensor dx = at::zeros(shape, dy.options());
  const std::vector<int64_t> window(filter.values().sizes().begin(), filter.values().sizes().end() - 2);
  for (const ImageBox& box : *boxes) {
    const Field field(box, window, spatial(shape), g);
    if (field.empty()) continue;
    std::vector<int64_t> part_shape{1}, from, to;
    for (size_t d = 0; d < window.size(); d++) {
      part_shape.push_back(field.end[d] - field.begin[d]);
      from.push_back(field.inner_begin[d] - field.begin[d]);
      to.push_back(field.inner_end[d] - field.begin[d]);
    }
    part_shape.push_back(shape.back());
    const at::Tensor part = input_gradient(crop(dy, box.image, box.begin, box.end), part_shape, filter, g, g.zeros());
    crop(dx, box.image, field.inner_begin, field.inner_end).add_(crop(part, 0, from, to));
  }
  c.out(dx.to(g.results));
}

// dy, y?, x → dFilter, dBias
void conv_filter_grad(Call& c) {
  const Geometry g(c);
  const auto shape = c.integers();  // [k…, in, out]
  const at::Tensor dy = through_activation(c, g);
  const at::Tensor x = operand(c.stored(2), g);
  require(dy.sizes() == at::IntArrayRef(g.result(x.sizes(), shape)), "dy has another shape than the result");
  c.out(bias_gradient(dy), 1);
  const auto boxes = non_zero_boxes(dy, kSparseShare);
  if (!boxes) return c.out(filter_gradient(dy, x, shape, g, g.pads), 0);
  at::Tensor sum = at::zeros(shape, dy.options().dtype(at::kFloat));
  const std::vector<int64_t> window(shape.begin(), shape.end() - 2);
  for (const ImageBox& box : *boxes) {
    const Field field(box, window, spatial(x.sizes().vec()), g);
    if (field.empty()) continue;
    at::Tensor seen = crop(x, box.image, field.inner_begin, field.inner_end);
    std::vector<int64_t> margins{0, 0};  // last axis first: channels
    for (size_t d = window.size(); d-- > 0;) {
      margins.push_back(field.inner_begin[d] - field.begin[d]);
      margins.push_back(field.end[d] - field.inner_end[d]);
    }
    seen = at::constant_pad_nd(seen, margins, 0);
    sum.add_(filter_gradient(crop(dy, box.image, box.begin, box.end), seen, shape, g, g.zeros()));
  }
  c.out(std::move(sum), 0);
}

}  // namespace

void add_conv(std::vector<Kernel>& k) {
  k.insert(k.end(), {{"ConvAct", conv_act}, {"ConvActInputGrad", conv_input_grad}, {"ConvActFilterGrad", conv_filter_grad}});
}

}  // namespace mdt
