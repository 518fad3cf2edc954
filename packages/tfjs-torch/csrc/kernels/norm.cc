// Instance norm, channels last: every channel of every image to mean 0 and variance 1.
#include <ATen/Parallel.h>

#include <algorithm>

#include "../call.h"

namespace mdt {
namespace {

struct Extent {
  int64_t images, voxels, channels;
  explicit Extent(const at::Tensor& x) : images(x.size(0)), channels(x.size(-1)) {
    voxels = channels > 0 && images > 0 ? x.numel() / (images * channels) : 0;
  }
};

// Sums over the voxels of one image, per channel: out[i * channels + c] += term(i, voxel offset, c). Each thread sums its
// own part in double; parts are added in a fixed order, so that a result never depends on timing.
template <int N, class F>
std::vector<double> sums(const Extent& e, F term) {
  const int64_t parts = std::max<int64_t>(1, std::min<int64_t>(at::get_num_threads(), e.voxels / 1024));
  std::vector<double> partial(parts * N * e.channels, 0.0);
  at::parallel_for(0, parts, 1, [&](int64_t first, int64_t last) {
    for (int64_t p = first; p < last; p++) {
      double* to = partial.data() + p * N * e.channels;
      for (int64_t v = e.voxels * p / parts; v < e.voxels * (p + 1) / parts; v++) term(v * e.channels, to);
    }
  });
  for (int64_t p = 1; p < parts; p++) {
    for (int64_t i = 0; i < N * e.channels; i++) partial[i] += partial[p * N * e.channels + i];
  }
  partial.resize(N * e.channels);
  return partial;
}

template <class F>
void each_voxel(const Extent& e, F apply) {
  const int64_t grain = std::max<int64_t>(1, 8192 / std::max<int64_t>(1, e.channels));
  at::parallel_for(0, e.voxels, grain, [&](int64_t first, int64_t last) {
    for (int64_t v = first; v < last; v++) apply(v * e.channels);
  });
}

struct Moments {
  std::vector<double> mean, inverse_deviation;
};

Moments moments(const Extent& e, const float* x, double epsilon) {
  const int64_t C = e.channels;
  std::vector<double> mean = sums<1>(e, [&](int64_t at, double* to) {
    for (int64_t c = 0; c < C; c++) to[c] += x[at + c];
  });
  for (double& m : mean) m /= static_cast<double>(e.voxels);
  std::vector<double> variance = sums<1>(e, [&](int64_t at, double* to) {
    for (int64_t c = 0; c < C; c++) {
      const double d = x[at + c] - mean[c];
      to[c] += d * d;
    }
  });
  for (double& v : variance) v = 1.0 / std::sqrt(v / static_cast<double>(e.voxels) + epsilon);
  return {std::move(mean), std::move(variance)};
}

// What is not on the processor is composed of ATen's kernels.
struct Normalized {
  at::Tensor x, inverse;  // [n, voxels, c]; [n, 1, c]
  Normalized(const at::Tensor& from, double epsilon) {
    const at::Tensor rows = from.reshape({from.size(0), -1, from.size(-1)});
    const auto [variance, mean] = at::var_mean(rows, at::OptionalIntArrayRef(1), 0, true);
    inverse = at::rsqrt(variance + epsilon);
    x = (rows - mean) * inverse;
  }
};

void instance_norm_composed(Call& c, double epsilon) {
  at::Tensor y = Normalized(c.in(0), epsilon).x;
  if (c.has(1)) y = y * c.in(1);
  if (c.has(2)) y = y + c.in(2);
  c.out(y.reshape(c.in(0).sizes()));
}

void instance_norm_grad_composed(Call& c, double epsilon) {
  const Normalized n(c.in(1), epsilon);
  const at::Tensor dy = c.in(0).reshape(n.x.sizes());
  const at::Tensor g = c.has(2) ? dy * c.in(2) : dy;
  const at::Tensor dx = n.inverse * (g - g.mean(1, true) - n.x * (g * n.x).mean(1, true));
  c.out(dx.reshape(c.in(1).sizes()), 0);
  c.out((dy * n.x).sum(at::IntArrayRef{0, 1}), 1);
  c.out(dy.sum(at::IntArrayRef{0, 1}), 2);
}

// x, scale?, offset? → y
void instance_norm(Call& c) {
  const double epsilon = c.number();
  if (!c.in(0).is_cpu()) return instance_norm_composed(c, epsilon);
  const at::Tensor x = c.in(0).contiguous();
  const Extent e(x);
  const int64_t C = e.channels;
  at::Tensor y = at::empty_like(x);
  const float* scale = c.has(1) ? c.in(1).const_data_ptr<float>() : nullptr;
  const float* offset = c.has(2) ? c.in(2).const_data_ptr<float>() : nullptr;
  for (int64_t n = 0; n < e.images; n++) {
    const float* from = x.const_data_ptr<float>() + n * e.voxels * C;
    float* to = y.mutable_data_ptr<float>() + n * e.voxels * C;
    const Moments m = moments(e, from, epsilon);
    std::vector<float> a(C), b(C);
    for (int64_t k = 0; k < C; k++) {
      const double gain = m.inverse_deviation[k] * (scale ? scale[k] : 1.0f);
      a[k] = static_cast<float>(gain);
      b[k] = static_cast<float>((offset ? offset[k] : 0.0f) - m.mean[k] * gain);
    }
    each_voxel(e, [&](int64_t at) {
      for (int64_t k = 0; k < C; k++) to[at + k] = from[at + k] * a[k] + b[k];
    });
  }
  c.out(std::move(y));
}

// dy, x, scale? → dx, dScale, dOffset
void instance_norm_grad(Call& c) {
  const double epsilon = c.number();
  if (!c.in(0).is_cpu()) return instance_norm_grad_composed(c, epsilon);
  const at::Tensor dy = c.in(0).contiguous(), x = c.in(1).contiguous();
  const Extent e(x);
  const int64_t C = e.channels;
  const float* scale = c.has(2) ? c.in(2).const_data_ptr<float>() : nullptr;
  at::Tensor dx = at::empty_like(x);
  std::vector<double> d_scale(C, 0.0), d_offset(C, 0.0);
  for (int64_t n = 0; n < e.images; n++) {
    const float* from = x.const_data_ptr<float>() + n * e.voxels * C;
    const float* grad = dy.const_data_ptr<float>() + n * e.voxels * C;
    float* to = dx.mutable_data_ptr<float>() + n * e.voxels * C;
    const Moments m = moments(e, from, epsilon);
    // [Σ dy, Σ dy·(x − mean)]
    const std::vector<double> s = sums<2>(e, [&](int64_t at, double* into) {
      for (int64_t k = 0; k < C; k++) {
        into[k] += grad[at + k];
        into[C + k] += static_cast<double>(grad[at + k]) * (from[at + k] - m.mean[k]);
      }
    });
    // dx = gain · (dy − mean(dy) − x̂ · mean(dy · x̂)), x̂ the normalised x: linear in dy and x.
    std::vector<float> by_dy(C), by_x(C), constant(C);
    for (int64_t k = 0; k < C; k++) {
      const double inverse = m.inverse_deviation[k], gain = inverse * (scale ? scale[k] : 1.0f);
      const double slope = gain * inverse * inverse * s[C + k] / static_cast<double>(e.voxels);
      by_dy[k] = static_cast<float>(gain);
      by_x[k] = static_cast<float>(-slope);
      constant[k] = static_cast<float>(slope * m.mean[k] - gain * s[k] / static_cast<double>(e.voxels));
      d_scale[k] += s[C + k] * inverse;
      d_offset[k] += s[k];
    }
    each_voxel(e, [&](int64_t at) {
      for (int64_t k = 0; k < C; k++) to[at + k] = grad[at + k] * by_dy[k] + from[at + k] * by_x[k] + constant[k];
    });
  }
  const auto as_tensor = [&](const std::vector<double>& values) {
    at::Tensor t = at::empty({C}, x.options());
    std::transform(values.begin(), values.end(), t.mutable_data_ptr<float>(), [](double v) { return static_cast<float>(v); });
    return t;
  };
  c.out(std::move(dx), 0);
  c.out(as_tensor(d_scale), 1);
  c.out(as_tensor(d_offset), 2);
}

}  // namespace

void add_norm(std::vector<Kernel>& k) {
  k.insert(k.end(), {{"InstanceNorm", instance_norm}, {"InstanceNormGrad", instance_norm_grad}});
}

}  // namespace mdt
