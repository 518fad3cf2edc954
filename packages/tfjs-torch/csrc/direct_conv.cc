#include "direct_conv.h"

#include <ATen/Parallel.h>

#include <algorithm>
#include <cstring>
#include <memory>

#include "direct_kernels.h"
#include "elements.h"

namespace mdt::direct {
namespace {

// Taps of one axis that reach outputs `first + j · out_step`: tap t reads source index `j · in_step + offset + t`.
struct Phase {
  int64_t first, out_step, count, in_step, offset;
  std::vector<int64_t> taps;  // index into the window, by ascending source index
};

Phase forward_phase(const Shape& s, int d) {
  Phase p{0, 1, s.out[d], s.strides[d], -s.pads[d], {}};
  for (int64_t k = 0; k < s.window[d]; k++) p.taps.push_back(k);
  return p;
}

// An input element i gets output o through tap k where o · stride + k − pad = i: i's of one remainder share their taps.
std::vector<Phase> gradient_phases(const Shape& s, int d) {
  std::vector<Phase> phases;
  const int64_t stride = s.strides[d];
  for (int64_t r = 0; r < std::min(stride, s.in[d]); r++) {
    Phase p{r, stride, (s.in[d] - r + stride - 1) / stride, 1, 0, {}};
    for (int64_t k = s.window[d] - 1; k >= 0; k--) {
      if ((r + s.pads[d] - k) % stride == 0) {
        if (p.taps.empty()) p.offset = (r + s.pads[d] - k) / stride;
        p.taps.push_back(k);
      }
    }
    phases.push_back(std::move(p));
  }
  return phases;
}

// out[first + j · out_step] = Σ taps source · weights over every combination of one phase per axis.
template <class E>
struct RowConvolution {
  static constexpr int64_t kPack = simd::Products<E>::kPack;
  const Phase *z, *y, *x;
  int64_t channels_in, channels_out;
  std::array<int64_t, 3> source, target;
  int64_t images;
  std::vector<Group<E>> groups;  // weights [tap z, tap y, (tap x, in) / kPack, width, kPack]

  int64_t row_length() const { return static_cast<int64_t>(x->taps.size()) * channels_in; }
  // Packs of a row's weights.
  int64_t row_packs() const { return (row_length() + kPack - 1) / kPack; }

  // The window holds [in, out] blocks; `transposed` reads them as [out, in].
  void pack(const float* filter, const Shape& s, const float* bias, bool transposed) {
    groups = channel_groups<E>(channels_out);
    for (Group<E>& g : groups) {
      const int64_t width = g.kernels->width, row = row_packs() * width * kPack;
      g.weights.assign(z->taps.size() * y->taps.size() * row, E(0.0f));
      E* to = g.weights.data();
      for (int64_t kz : z->taps) {
        for (int64_t ky : y->taps) {
          int64_t at = 0;
          for (int64_t kx : x->taps) {
            const float* block = filter + ((kz * s.window[1] + ky) * s.window[2] + kx) * s.in_channels * s.out_channels;
            for (int64_t i = 0; i < channels_in; i++, at++) {
              const float* from = transposed ? block + g.first * channels_in + i : block + i * channels_out + g.first;
              const int64_t step = transposed ? channels_in : 1;
              E* packed = to + at / kPack * width * kPack + at % kPack;
              for (int64_t o = 0; o < g.count; o++) packed[o * kPack] = E(from[o * step]);
            }
          }
          to += row;
        }
      }
      if (!bias) continue;
      g.bias.assign(width, 0.0f);
      std::copy(bias + g.first, bias + g.first + g.count, g.bias.begin());
    }
  }

  void run(const E* from, E* to, float slope) const {
    const int64_t rows = images * z->count * y->count;
    int limit = 0;
    for (const Group<E>& g : groups) limit = std::max(limit, g.kernels->limit);
    at::parallel_for(0, rows, 1, [&](int64_t first, int64_t last) {
      const size_t row_taps = z->taps.size() * y->taps.size();
      Row row{std::vector<const E*>(row_taps), std::vector<size_t>(row_taps), 0, std::vector<const E*>(row_taps), std::vector<const E*>(row_taps),
              (limit - 1) * x->in_step + static_cast<int64_t>(x->taps.size()), {}};
      row.edge.resize(row_taps * row.reach * channels_in);
      for (int64_t index = first; index < last; index++) {
        const int64_t jy = index % y->count, jz = index / y->count % z->count, n = index / y->count / z->count;
        row.used = 0;
        for (size_t tz = 0; tz < z->taps.size(); tz++) {
          const int64_t sz = jz * z->in_step + z->offset + static_cast<int64_t>(tz);
          if (sz < 0 || sz >= source[0]) continue;
          for (size_t ty = 0; ty < y->taps.size(); ty++) {
            const int64_t sy = jy * y->in_step + y->offset + static_cast<int64_t>(ty);
            if (sy < 0 || sy >= source[1]) continue;
            row.inputs[row.used] = from + ((n * source[0] + sz) * source[1] + sy) * source[2] * channels_in;
            row.taps[row.used++] = (tz * y->taps.size() + ty) * row_packs() * kPack;
          }
        }
        E* out = to + (((n * target[0] + z->first + jz * z->out_step) * target[1] + y->first + jy * y->out_step) * target[2] + x->first) * channels_out;
        for (const Group<E>& g : groups) one_row(row, g, out + g.first, slope);
      }
    });
  }

 private:
  // One row of outputs: the input rows that reach it and room to pad them.
  struct Row {
    std::vector<const E*> inputs;
    std::vector<size_t> taps;  // where in a group's weights, by lane
    size_t used;
    std::vector<const E*> at, packed;
    int64_t reach;
    std::vector<E> edge;
  };

  void one_row(Row& row, const Group<E>& g, E* out, float slope) const {
    const int64_t taps = static_cast<int64_t>(x->taps.size());
    const int64_t tiles = (x->count + g.kernels->limit - 1) / g.kernels->limit;
    for (size_t r = 0; r < row.used; r++) row.packed[r] = g.weights.data() + row.taps[r] * g.kernels->width;
    TileArgs<E> args{row.at.data(), row.packed.data(), static_cast<int64_t>(row.used), row_length(), static_cast<ptrdiff_t>(x->in_step * channels_in),
                  static_cast<ptrdiff_t>(x->out_step * channels_out), nullptr, g.bias.empty() ? nullptr : g.bias.data(), slope, tail_mask(g.count)};
    for (int64_t tile = 0; tile < tiles; tile++) {
      const int64_t begin = x->count * tile / tiles, size = x->count * (tile + 1) / tiles - begin;
      const int64_t low = begin * x->in_step + x->offset, high = low + (size - 1) * x->in_step + taps;
      for (size_t r = 0; r < row.used; r++) {
        if (low >= 0 && high <= source[2]) {
          row.at[r] = row.inputs[r] + low * channels_in;
          continue;
        }
        // At the border the row is copied with zeros around it.
        E* padded = row.edge.data() + r * row.reach * channels_in;
        const int64_t from = std::clamp<int64_t>(low, 0, source[2]), to = std::clamp<int64_t>(high, from, source[2]);
        std::fill(padded, padded + (high - low) * channels_in, E(0.0f));
        if (to > from) std::memcpy(padded + (from - low) * channels_in, row.inputs[r] + from * channels_in, (to - from) * channels_in * sizeof(E));
        row.at[r] = padded;
      }
      args.out = out + begin * args.out_step;
      g.kernels->row[size](args);
    }
  }
};

template <class E>
void forward_pass(const Shape& s, const E* x, const float* filter, const float* bias, float slope, E* y) {
  const Phase phases[3] = {forward_phase(s, 0), forward_phase(s, 1), forward_phase(s, 2)};
  RowConvolution<E> c{&phases[0], &phases[1], &phases[2], s.in_channels, s.out_channels, s.in, s.out, s.images, {}};
  c.pack(filter, s, bias, false);
  c.run(x, y, slope);
}

template <class E>
void input_gradient_pass(const Shape& s, const E* dy, const float* filter, E* dx) {
  const std::vector<Phase> zs = gradient_phases(s, 0), ys = gradient_phases(s, 1), xs = gradient_phases(s, 2);
  for (const Phase& z : zs) {
    for (const Phase& y : ys) {
      for (const Phase& x : xs) {
        RowConvolution<E> c{&z, &y, &x, s.out_channels, s.in_channels, s.out, s.in, s.images, {}};
        c.pack(filter, s, nullptr, true);
        c.run(dy, dx, 1.0f);
      }
    }
  }
}

// Outputs of a row that are summed together: what they read stays in the second-level cache when it is widened.
constexpr int64_t kSpan = 512;

// What one group of output channels adds to dFilter from a part of a row of dy, [begin, end): sum [taps, in, width].
template <class E>
void filter_gradient_row(const Shape& s, const Group<E>& g, const E* dy, const E* x, int64_t row, int64_t begin, int64_t end, float* sum, std::vector<float>& room) {
  const Kernels<E>& k = *g.kernels;
  const int64_t blocks = (s.in_channels + k.limit - 1) / k.limit, stride = s.strides[2];
  const int64_t oy = row % s.out[1], oz = row / s.out[1] % s.out[0], n = row / s.out[1] / s.out[0];
  const int64_t grad_size = (end - begin) * s.out_channels, seen_size = ((end - begin - 1) * stride + s.window[2]) * s.in_channels;
  if (!std::is_same_v<E, float>) room.resize(std::max<size_t>(room.size(), grad_size + seen_size));
  const float* grad = as_floats(dy + (row * s.out[2] + begin) * s.out_channels, grad_size, room.data()) + g.first;
  for (int64_t kz = 0; kz < s.window[0]; kz++) {
    for (int64_t ky = 0; ky < s.window[1]; ky++) {
      const int64_t iz = oz * s.strides[0] + kz - s.pads[0], iy = oy * s.strides[1] + ky - s.pads[1];
      if (iz < 0 || iz >= s.in[0] || iy < 0 || iy >= s.in[1]) continue;
      const int64_t low = std::clamp<int64_t>(begin * stride - s.pads[2], 0, s.in[2]);
      const int64_t high = std::clamp<int64_t>((end - 1) * stride - s.pads[2] + s.window[2], low, s.in[2]);
      const float* seen = as_floats(x + (((n * s.in[0] + iz) * s.in[1] + iy) * s.in[2] + low) * s.in_channels, (high - low) * s.in_channels, room.data() + grad_size);
      for (int64_t kx = 0; kx < s.window[2]; kx++) {
        // The outputs for which this tap lies inside the row.
        const int64_t shift = kx - s.pads[2];
        const int64_t first = std::max(begin, shift >= 0 ? 0 : (-shift + stride - 1) / stride);
        const int64_t last = shift >= s.in[2] ? 0 : std::min(end, (s.in[2] - 1 - shift) / stride + 1);
        if (first >= last) continue;
        const int64_t tap = (kz * s.window[1] + ky) * s.window[2] + kx;
        for (int64_t b = 0; b < blocks; b++) {
          const int64_t c = s.in_channels * b / blocks, size = s.in_channels * (b + 1) / blocks - c;
          k.outer[size](OuterArgs{seen + (first * stride + shift - low) * s.in_channels + c, grad + (first - begin) * s.out_channels, last - first,
                                  static_cast<ptrdiff_t>(stride * s.in_channels), static_cast<ptrdiff_t>(s.out_channels),
                                  sum + (tap * s.in_channels + c) * k.width, tail_mask(g.count)});
        }
      }
    }
  }
}

template <class E>
void filter_gradient_pass(const Shape& s, const E* dy, const E* x, float* d_filter) {
  const int64_t taps = s.window[0] * s.window[1] * s.window[2], rows = s.images * s.out[0] * s.out[1];
  // Parts are cut by the thread count alone and added in order: the result does not depend on timing.
  const int64_t parts = std::max<int64_t>(1, std::min<int64_t>(at::get_num_threads(), rows));
  for (const Group<E>& g : channel_groups<E>(s.out_channels)) {
    const int64_t part_size = taps * s.in_channels * g.kernels->width;
    const std::unique_ptr<float[]> sums(new float[parts * part_size]());
    at::parallel_for(0, parts, 1, [&](int64_t first, int64_t last) {
      std::vector<float> room;
      for (int64_t part = first; part < last; part++) {
        for (int64_t row = rows * part / parts; row < rows * (part + 1) / parts; row++) {
          for (int64_t at = 0; at < s.out[2]; at += kSpan) {
            filter_gradient_row(s, g, dy, x, row, at, std::min(s.out[2], at + kSpan), sums.get() + part * part_size, room);
          }
        }
      }
    });
    at::parallel_for(0, taps * s.in_channels, 1024, [&](int64_t first, int64_t last) {
      for (int64_t i = first; i < last; i++) {
        for (int64_t o = 0; o < g.count; o++) {
          float total = 0;
          for (int64_t part = 0; part < parts; part++) total += sums[part * part_size + i * g.kernels->width + o];
          d_filter[i * s.out_channels + g.first + o] = total;
        }
      }
    });
  }
}

}  // namespace

#ifdef MDT_AVX2
Passes<float> avx2_passes() { return {forward_pass<float>, input_gradient_pass<float>, filter_gradient_pass<float>}; }
#else
template <class E>
Passes<E> avx512_passes() {
  return {forward_pass<E>, input_gradient_pass<E>, filter_gradient_pass<E>};
}
template Passes<float> avx512_passes();
template Passes<simd::BFloat16> avx512_passes();
#endif

}  // namespace mdt::direct
