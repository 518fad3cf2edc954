// Convolutions, channels last: Winograd's or our direct kernels where they are quicker, ATen's (oneDNN's) elsewhere.
#include "../channel_sums.h"
#include "../conv_filter.h"
#include "../conv_method.h"
#include "../conv_product.h"
#include "../elements.h"
#include "../sparse_boxes.h"
#include "../winograd.h"

namespace mdt {
namespace {

at::Tensor floats(const at::Tensor& x) {
  if (!x.is_floating_point()) throw std::invalid_argument("expected floats");
  return contiguous(x);
}

// The type in which a product reads images like x: that of products, or x's own where it is widened on the way.
at::ScalarType read_as(const at::Tensor& x, Method how, const Geometry& g) {
  const bool low = x.scalar_type() == at::kBFloat16 && g.results == at::kBFloat16;
  return low && how == Method::kWinograd && winograd::reads_bfloat16() ? at::kBFloat16 : g.products;
}

// Images whose elements have to be converted are taken in parts of about so many bytes.
constexpr int64_t kPartBytes = int64_t{8} << 20;

// Calls part(first, count) until all have had their turn.
template <class F>
void in_parts(int64_t all, int64_t bytes, F part) {
  const int64_t most = std::clamp<int64_t>(kPartBytes * all / std::max<int64_t>(1, bytes), 1, std::max<int64_t>(1, all));
  for (int64_t first = 0; first < all; first += most) part(first, std::min(most, all - first));
}

// What a window of one voxel sees of an image.
at::Tensor strided(const at::Tensor& x, const Geometry& g) {
  at::Tensor seen = x;
  for (size_t d = 0; d < g.strides.size(); d++) seen = seen.slice(static_cast<int64_t>(d) + 1, 0, std::nullopt, g.strides[d]);
  return seen;
}

Geometry without_strides(const Geometry& g) {
  Geometry dense = g;
  dense.strides = g.ones();
  return dense;
}

// Whether to take what is seen first: it is less to convert.
bool skips(const direct::Shape& s) { return is_pointwise_but_strides(s) && !is_pointwise(s); }

std::vector<int64_t> with_images(const std::vector<int64_t>& shape, int64_t images) {
  std::vector<int64_t> part = shape;
  part[0] = images;
  return part;
}

// result[…] = f(part of x, shape of that part of the result), part by part. A pointwise product knows no images: slices are their parts.
template <class F>
at::Tensor converting(const at::Tensor& x, const std::vector<int64_t>& shape, bool pointwise, at::ScalarType type, F f) {
  at::Tensor result = at::empty(shape, x.options().dtype(type));
  const at::Tensor from = pointwise ? x.flatten(0, 1) : x, to = pointwise ? result.flatten(0, 1) : result;
  in_parts(from.size(0), (x.numel() + result.numel()) * static_cast<int64_t>(sizeof(float)), [&](int64_t first, int64_t count) {
    const at::Tensor seen = from.narrow(0, first, count), written = to.narrow(0, first, count);
    if (pointwise) written.copy_(f(seen.unsqueeze(0), written.unsqueeze(0).sizes().vec()).squeeze(0));
    else written.copy_(f(seen, with_images(shape, count)));
  });
  return result;
}

at::Tensor through_activation(Call& c, const Geometry& g) {
  const at::Tensor dy = floats(c.stored(0));
  require(g.activation == 0 || c.stored(1).sizes() == dy.sizes(), "y has another shape than dy");
  if (g.activation == 0) return dy;
  const at::Tensor y = converted(floats(c.stored(1)), dy.scalar_type());
  return g.activation == 1 ? at::threshold_backward(dy, y, 0) : at::leaky_relu_backward(dy, y, 0.01, true);
}

constexpr float kSlopes[] = {1.0f, 0.0f, 0.01f};  // by activation

at::Tensor& activate(at::Tensor& y, const Geometry& g) {
  if (g.activation == 1) y.relu_();
  if (g.activation == 2) at::leaky_relu_(y, 0.01);
  return y;
}

at::Tensor as_rows(const at::Tensor& x) { return x.reshape({-1, x.size(-1)}); }

// x [n, …, in], filter [k…, in, out] → [n, …, out]; filter and bias float32.
at::Tensor forward(const at::Tensor& input, const Filter& filter, const std::optional<at::Tensor>& bias, const Geometry& g,
                   const std::vector<int64_t>& shape) {
  const direct::Shape s = direct_shape(input.sizes(), shape, filter.values().sizes(), g, g.pads);
  const Method how = method(input, g.products, s, Pass::kForward);
  const at::ScalarType type = read_as(input, how, g);
  if (input.is_cpu() && (type != input.scalar_type() || type != g.results)) {
    if (skips(s)) return forward(contiguous(strided(input, g)), filter, bias, without_strides(g), shape);
    return converting(input, shape, is_pointwise(s), g.results, [&](const at::Tensor& part, const std::vector<int64_t>& part_shape) {
      Geometry same = g;
      same.results = type;
      return forward(converted(part, type), filter, bias, same, part_shape);
    });
  }
  const at::Tensor x = converted(input, type);
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
  const at::Tensor given = contiguous(gradient);
  const direct::Shape s = direct_shape(shape, given.sizes(), filter.values().sizes(), g, pads);
  const Method how = method(given, g.products, s, Pass::kInputGradient);
  const at::ScalarType type = read_as(given, how, g);
  if (given.is_cpu() && (type != given.scalar_type() || type != g.results)) {
    if (skips(s)) {
      at::Tensor dx = at::zeros(shape, given.options().dtype(g.results));
      at::Tensor seen = strided(dx, g);
      seen.copy_(input_gradient(given, seen.sizes().vec(), filter, without_strides(g), pads));
      return dx;
    }
    return converting(given, shape, is_pointwise(s), g.results, [&](const at::Tensor& part, const std::vector<int64_t>& part_shape) {
      Geometry same = g;
      same.results = type;
      return input_gradient(converted(part, type), part_shape, filter, same, pads);
    });
  }
  const at::Tensor dy = converted(given, type);
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

struct WeightGradients {
  at::Tensor filter, bias;  // the bias where it came along, in float32 both
};

WeightGradients filter_gradient(const at::Tensor& gradient, const at::Tensor& input, const std::vector<int64_t>& shape, const Geometry& g,
                           const std::vector<int64_t>& pads) {
  const at::Tensor given = contiguous(gradient), seen_by = contiguous(input);
  const direct::Shape s = direct_shape(seen_by.sizes(), given.sizes(), shape, g, pads);
  const Method how = method(given, g.products, s, Pass::kFilterGradient);
  const bool alike = given.scalar_type() == seen_by.scalar_type();
  const at::ScalarType type = alike ? read_as(given, how, g) : g.products;
  if (given.is_cpu() && (!alike || type != given.scalar_type())) {
    if (skips(s)) return filter_gradient(given, strided(seen_by, g), shape, without_strides(g), pads);
    const bool pointwise = is_pointwise(s);
    const at::Tensor from = pointwise ? given.flatten(0, 1) : given, of = pointwise ? seen_by.flatten(0, 1) : seen_by;
    at::Tensor sum;
    in_parts(from.size(0), (given.numel() + seen_by.numel()) * static_cast<int64_t>(sizeof(float)), [&](int64_t first, int64_t count) {
      const auto part = [&](const at::Tensor& x) {
        const at::Tensor some = converted(x.narrow(0, first, count), type);
        return pointwise ? some.unsqueeze(0) : some;
      };
      const at::Tensor filter = filter_gradient(part(from), part(of), shape, g, pads).filter;
      if (sum.defined()) sum.add_(filter);
      else sum = filter;
    });
    if (!sum.defined()) sum = at::zeros(shape, given.options().dtype(at::kFloat));
    return {sum, {}};
  }
  const at::Tensor dy = converted(given, type), x = converted(seen_by, type);
  if (how == Method::kAten && is_low(dy) && is_pointwise_but_strides(s) && !is_pointwise(s)) {  // what is seen of x is small
    return {at::mm(as_rows(strided(x, g)).t(), as_rows(dy)).to(at::kFloat).reshape(shape), {}};
  }
  if (how == Method::kProduct) return {filter_gradient_by_product(s, dy, x, shape), {}};
  at::Tensor filter = at::empty(shape, dy.options().dtype(at::kFloat));
  if (how != Method::kAten) {
    with_elements(dy, [&](auto zero) {
      using E = decltype(zero);
      (how == Method::kWinograd ? winograd::filter_gradient<E> : direct::filter_gradient<E>)(s, dy.const_data_ptr<E>(), x.const_data_ptr<E>(), filter.mutable_data_ptr<float>());
    });
    return {filter, {}};
  }
  const bool with_bias = is_low(dy) && dy.is_cpu();  // oneDNN's bfloat16 sums it on its way; its float32 goes over dy again
  const auto [unused, filter_part, bias] = backward(dy, x, filter_shape(shape, x), g, pads, {false, true, with_bias});
  return {filter_from_aten(filter_part), with_bias ? bias.to(at::kFloat) : at::Tensor()};
}

// Σ dy over everything but channels.
at::Tensor bias_gradient(const at::Tensor& dy) {
  const int64_t channels = dy.size(-1);
  if (!dy.is_cpu()) return dy.reshape({-1, channels}).sum(0, false, at::kFloat);
  at::Tensor sum = at::empty({channels}, dy.options().dtype(at::kFloat));
  with_elements(dy, [&](auto zero) {
    using E = decltype(zero);
    const E* from = dy.const_data_ptr<E>();
    const auto sums = block_sums<1>(channels > 0 ? dy.numel() / channels : 0, channels, [&](int64_t row, int64_t rows, float* to) {
      add_rows(from + row * channels, rows, channels, to);
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
  const at::Tensor x = floats(c.stored(0));
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
  const at::Tensor x = floats(c.stored(2));
  require(dy.sizes() == at::IntArrayRef(g.result(x.sizes(), shape)), "dy has another shape than the result");
  const auto boxes = non_zero_boxes(dy, kSparseShare);
  if (!boxes) {
    const WeightGradients gradients = filter_gradient(dy, x, shape, g, g.pads);
    c.out(gradients.filter, 0);
    return c.out(gradients.bias.defined() ? gradients.bias : bias_gradient(dy), 1);
  }
  c.out(bias_gradient(dy), 1);
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
    sum.add_(filter_gradient(crop(dy, box.image, box.begin, box.end), seen, shape, g, g.zeros()).filter);
  }
  c.out(std::move(sum), 0);
}

}  // namespace

void add_conv(std::vector<Kernel>& k) {
  k.insert(k.end(), {{"ConvAct", conv_act}, {"ConvActInputGrad", conv_input_grad}, {"ConvActFilterGrad", conv_filter_grad}});
}

}  // namespace mdt
