// Normalisation by groups of channels, channels last: each group of each image to mean 0 and variance 1. One channel a group is
// instance norm; one image that holds a whole batch is batch norm. Sums and statistics are float32 and double, also where
// elements are held in bfloat16.
#include <ATen/Parallel.h>

#include <algorithm>
#include <cmath>

#include "../call.h"
#include "../channel_sums.h"
#include "../elements.h"

namespace mdt {
namespace {

struct Extent {
  int64_t images, voxels, channels, groups;
  Extent(const at::Tensor& x, int64_t groups) : images(x.size(0)), channels(x.size(-1)), groups(groups) {
    voxels = channels > 0 && images > 0 ? x.numel() / (images * channels) : 0;
  }
  int64_t group_of(int64_t channel) const { return channel / (channels / groups); }
  // Values that one mean is taken over.
  double count() const { return static_cast<double>(voxels) * static_cast<double>(channels / groups); }
  // Sums per channel to their group's, per channel.
  void by_group(std::vector<double>& sums) const {
    std::vector<double> total(groups, 0.0);
    for (int64_t c = 0; c < channels; c++) total[group_of(c)] += sums[c];
    for (int64_t c = 0; c < channels; c++) sums[c] = total[group_of(c)];
  }
};

// Voxels that are widened and narrowed together.
constexpr int64_t kBlockFloats = 4096;

// Calls f(first voxel, voxels) for blocks of an image, on all threads.
template <class F>
void each_block(const Extent& e, F f) {
  const int64_t block = std::max<int64_t>(1, kBlockFloats / std::max<int64_t>(1, e.channels));
  at::parallel_for(0, (e.voxels + block - 1) / block, 2, [&](int64_t first, int64_t last) {
    for (int64_t b = first; b < last; b++) f(b * block, std::min(block, e.voxels - b * block));
  });
}

template <class E>
float value(E v) { return static_cast<float>(v); }

struct Moments {
  std::vector<double> mean, inverse_deviation;  // per channel, equal within a group
};

template <class E>
Moments moments(const Extent& e, const E* x, double epsilon) {
  const int64_t C = e.channels;
  std::vector<double> mean = channel_sums<1>(e.voxels, C, [&](int64_t at, float* to) {
    for (int64_t c = 0; c < C; c++) to[c] += value(x[at + c]);
  });
  e.by_group(mean);
  for (double& m : mean) m /= e.count();
  const std::vector<float> centre(mean.begin(), mean.end());
  std::vector<double> variance = channel_sums<1>(e.voxels, C, [&](int64_t at, float* to) {
    for (int64_t c = 0; c < C; c++) {
      const float d = value(x[at + c]) - centre[c];
      to[c] += d * d;
    }
  });
  // What rounding the centre to float left out.
  for (int64_t c = 0; c < C; c++) variance[c] -= static_cast<double>(e.voxels) * (mean[c] - centre[c]) * (mean[c] - centre[c]);
  e.by_group(variance);
  for (double& v : variance) v = 1.0 / std::sqrt(std::max(0.0, v / e.count()) + epsilon);
  return {std::move(mean), std::move(variance)};
}

// What is not on the processor is composed of ATen's kernels.
struct Normalized {
  at::Tensor x, inverse;  // [n, voxels, groups, c / groups]; [n, 1, groups, 1]
  Normalized(const at::Tensor& from, int64_t groups, double epsilon) {
    const at::Tensor rows = from.reshape({from.size(0), -1, groups, from.size(-1) / groups});
    const auto [variance, mean] = at::var_mean(rows, at::IntArrayRef{1, 3}, 0, true);
    inverse = at::rsqrt(variance + epsilon);
    x = (rows - mean) * inverse;
  }
  at::Tensor per_channel(const at::Tensor& values) const { return values.reshape({1, 1, x.size(2), x.size(3)}); }
};

void group_norm_composed(Call& c, int64_t groups, double epsilon) {
  const Normalized n(c.in(0), groups, epsilon);
  at::Tensor y = n.x;
  if (c.has(1)) y = y * n.per_channel(c.in(1));
  if (c.has(2)) y = y + n.per_channel(c.in(2));
  c.out(y.reshape(c.in(0).sizes()).to(c.stored(0).scalar_type()));
}

void group_norm_grad_composed(Call& c, int64_t groups, double epsilon) {
  const Normalized n(c.in(1), groups, epsilon);
  const at::IntArrayRef group{1, 3}, rows{0, 1};
  const at::Tensor dy = c.in(0).reshape(n.x.sizes());
  const at::Tensor g = c.has(2) ? dy * n.per_channel(c.in(2)) : dy;
  const at::Tensor dx = n.inverse * (g - g.mean(group, true) - n.x * (g * n.x).mean(group, true));
  c.out(dx.reshape(c.in(1).sizes()).to(c.stored(1).scalar_type()), 0);
  c.out((dy * n.x).sum(rows).reshape({-1}), 1);
  c.out(dy.sum(rows).reshape({-1}), 2);
}

template <class E>
void normalise(const Extent& e, const E* x, const float* scale, const float* offset, double epsilon, E* y) {
  const int64_t C = e.channels;
  for (int64_t n = 0; n < e.images; n++, x += e.voxels * C, y += e.voxels * C) {
    const Moments m = moments(e, x, epsilon);
    std::vector<float> a(C), b(C);
    for (int64_t k = 0; k < C; k++) {
      const double gain = m.inverse_deviation[k] * (scale ? scale[k] : 1.0f);
      a[k] = static_cast<float>(gain);
      b[k] = static_cast<float>((offset ? offset[k] : 0.0f) - m.mean[k] * gain);
    }
    each_block(e, [&](int64_t first, int64_t voxels) {
      std::vector<float> in(std::is_same_v<E, float> ? 0 : voxels * C), out(in.size());
      const float* from = as_floats(x + first * C, voxels * C, in.data());
      float* to = floats_for(y + first * C, out.data());
      for (int64_t v = 0; v < voxels; v++, from += C, to += C) {
        for (int64_t k = 0; k < C; k++) to[k] = from[k] * a[k] + b[k];
      }
      write_floats(out.data(), voxels * C, y + first * C);
    });
  }
}

template <class E>
void normalise_grad(const Extent& e, const E* dy, const E* x, const float* scale, double epsilon, E* dx, double* d_scale, double* d_offset) {
  const int64_t C = e.channels;
  for (int64_t n = 0; n < e.images; n++, x += e.voxels * C, dy += e.voxels * C, dx += e.voxels * C) {
    const Moments m = moments(e, x, epsilon);
    const std::vector<float> centre(m.mean.begin(), m.mean.end());
    // [Σ dy, Σ dy·(x − mean)]
    const std::vector<double> s = channel_sums<2>(e.voxels, C, [&](int64_t at, float* into) {
      for (int64_t k = 0; k < C; k++) {
        const float d = value(dy[at + k]);
        into[k] += d;
        into[C + k] += d * (value(x[at + k]) - centre[k]);
      }
    });
    // dx = gain · dy − (mean of gain · dy) − x̂ · (mean of gain · dy · x̂) over the group, x̂ the normalised x: linear in dy and x.
    std::vector<double> gain(C), mean_dy(C), mean_dyx(C);
    for (int64_t k = 0; k < C; k++) {
      const double inverse = m.inverse_deviation[k];
      gain[k] = inverse * (scale ? scale[k] : 1.0f);
      mean_dy[k] = gain[k] * s[k];
      mean_dyx[k] = gain[k] * s[C + k];
      d_scale[k] += s[C + k] * inverse;
      d_offset[k] += s[k];
    }
    e.by_group(mean_dy);
    e.by_group(mean_dyx);
    std::vector<float> by_dy(C), by_x(C), constant(C);
    for (int64_t k = 0; k < C; k++) {
      const double inverse = m.inverse_deviation[k], slope = inverse * inverse * mean_dyx[k] / e.count();
      by_dy[k] = static_cast<float>(gain[k]);
      by_x[k] = static_cast<float>(-slope);
      constant[k] = static_cast<float>(slope * m.mean[k] - mean_dy[k] / e.count());
    }
    each_block(e, [&](int64_t first, int64_t voxels) {
      const int64_t room = std::is_same_v<E, float> ? 0 : voxels * C;
      std::vector<float> in(room), in_dy(room), out(room);
      const float *from = as_floats(x + first * C, voxels * C, in.data()), *grad = as_floats(dy + first * C, voxels * C, in_dy.data());
      float* to = floats_for(dx + first * C, out.data());
      for (int64_t v = 0; v < voxels; v++, from += C, grad += C, to += C) {
        for (int64_t k = 0; k < C; k++) to[k] = grad[k] * by_dy[k] + from[k] * by_x[k] + constant[k];
      }
      write_floats(out.data(), voxels * C, dx + first * C);
    });
  }
}

// One float for each channel, if there.
const float* optional_floats(const Call& c, size_t i, int64_t channels) {
  if (!c.has(i)) return nullptr;
  require(c.in(i).numel() == channels && c.in(i).is_contiguous(), "scale or offset has another number of channels");
  return c.in(i).const_data_ptr<float>();
}

void check_groups(const at::Tensor& x, int64_t groups) {
  require(x.dim() >= 2 && x.size(-1) >= 1, "x has no batch, or no channels");
  require(groups >= 1 && x.size(-1) % groups == 0, "groups do not divide the channels");
}

// x, scale?, offset? → y
void group_norm(Call& c) {
  const int64_t groups = c.integer();
  const double epsilon = c.number();
  check_groups(c.stored(0), groups);
  if (!c.stored(0).is_cpu()) return group_norm_composed(c, groups, epsilon);
  const at::Tensor x = contiguous(c.stored(0));
  at::Tensor y = at::empty_like(x);
  with_elements(x, [&](auto zero) {
    using E = decltype(zero);
    normalise(Extent(x, groups), x.const_data_ptr<E>(), optional_floats(c, 1, x.size(-1)), optional_floats(c, 2, x.size(-1)), epsilon, y.mutable_data_ptr<E>());
  });
  c.out(std::move(y));
}

at::Tensor to_floats(const std::vector<double>& values) {
  at::Tensor t = at::empty({static_cast<int64_t>(values.size())}, at::kFloat);
  std::copy(values.begin(), values.end(), t.mutable_data_ptr<float>());
  return t;
}

// dy, x, scale? → dx, dScale, dOffset
void group_norm_grad(Call& c) {
  const int64_t groups = c.integer();
  const double epsilon = c.number();
  check_groups(c.stored(1), groups);
  require(c.stored(0).sizes() == c.stored(1).sizes(), "dy has another shape than x");
  if (!c.stored(0).is_cpu()) return group_norm_grad_composed(c, groups, epsilon);
  const at::Tensor x = contiguous(c.stored(1)), dy = contiguous(converted(c.stored(0), x.scalar_type()));
  at::Tensor dx = at::empty_like(x);
  std::vector<double> d_scale(x.size(-1), 0.0), d_offset(x.size(-1), 0.0);
  with_elements(x, [&](auto zero) {
    using E = decltype(zero);
    normalise_grad(Extent(x, groups), dy.const_data_ptr<E>(), x.const_data_ptr<E>(), optional_floats(c, 2, x.size(-1)), epsilon, dx.mutable_data_ptr<E>(), d_scale.data(), d_offset.data());
  });
  c.out(std::move(dx), 0);
  c.out(to_floats(d_scale), 1);
  c.out(to_floats(d_offset), 2);
}

// x → mean and variance of each channel
void channel_moments(Call& c) {
  check_groups(c.stored(0), 1);
  if (!c.stored(0).is_cpu()) {
    const auto [variance, mean] = at::var_mean(c.in(0).reshape({-1, c.in(0).size(-1)}), at::OptionalIntArrayRef(0), 0, false);
    c.out(mean, 0);
    return c.out(variance, 1);
  }
  const at::Tensor x = contiguous(c.stored(0));
  const int64_t C = x.size(-1);
  const Moments m = with_elements(x, [&](auto zero) {
    Extent e(x, C);
    e.voxels *= e.images;
    return moments(e, x.const_data_ptr<decltype(zero)>(), 0.0);
  });
  std::vector<double> variance;
  for (const double inverse : m.inverse_deviation) variance.push_back(1.0 / (inverse * inverse));
  c.out(to_floats(m.mean), 0);
  c.out(to_floats(variance), 1);
}

}  // namespace

void add_norm(std::vector<Kernel>& k) {
  k.insert(k.end(), {{"GroupNorm", group_norm}, {"GroupNormGrad", group_norm_grad}, {"ChannelMoments", channel_moments}});
}

}  // namespace mdt
