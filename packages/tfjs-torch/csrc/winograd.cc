#include "winograd.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>

#include <algorithm>
#include <atomic>

#include "direct_kernels.h"
#include "transpose.h"
#include "winograd_tiles.h"

namespace mdt::winograd {
namespace {

// Products are float, whatever the elements are.
using Group = direct::Group<float>;

// A worker's buffers of transformed tiles should leave room in the second-level cache. The filter's gradient goes through
// all of its sums with every chunk and wants larger ones. Both measured on 1 MiB per core.
struct ChunkSize {
  int64_t bytes, least_tiles;
};
constexpr ChunkSize kChunk{384 * 1024, 24}, kGradientChunk{3072 * 1024, 48};

constexpr uint16_t kAllLanes = 0xffff;  // rows of transformed channels are as wide as the kernels
constexpr int64_t kFloat = sizeof(float);
constexpr int64_t kLargeBlock = (int64_t{1} << 20) / kFloat;

// Uninitialised memory from ATen's allocator, asked for in sizes that it keeps (allocator.cc).
class Buffer {
 public:
  explicit Buffer(int64_t floats) : tensor_(at::empty({std::max(floats, kLargeBlock)}, at::kFloat)) {}
  float* data() const { return tensor_.mutable_data_ptr<float>(); }

 private:
  at::Tensor tensor_;
};

// Transformed filters of one group of output channels: [point, tap z, in, width].
struct GroupFilters {
  Group group;
  float* at;
  int64_t point;  // floats from point to point
};

int64_t place_groups(std::vector<GroupFilters>& list, int64_t channels_in, int64_t channels_out, int64_t window_z) {
  int64_t floats = 0;
  for (Group& g : direct::channel_groups<float>(channels_out)) {
    const int64_t point = window_z * channels_in * g.kernels->width;
    list.push_back({std::move(g), nullptr, point});
    floats += kPoints * point;
  }
  return floats;
}

void set_memory(std::vector<GroupFilters>& list, float* memory) {
  for (GroupFilters& g : list) {
    g.at = memory;
    memory += kPoints * g.point;
  }
}

// `filter` [kz, 3, 3, in, out]; `flipped` turns it round along y and x.
void transform_filters(const std::vector<GroupFilters>& groups, const Layer& l, const float* filter, bool flipped) {
  constexpr int64_t kTaps = kWindow * kWindow;
  const int64_t block = l.channels_in * l.channels_out, step = flipped ? -block : block;
  at::parallel_for(0, l.window_z * l.channels_in, 32, [&](int64_t first, int64_t last) {
    for (int64_t row = first; row < last; row++) {  // an input channel of a tap along z
      const int64_t tap = row / l.channels_in, in = row % l.channels_in;
      const float* from = filter + (tap * kTaps + (flipped ? kTaps - 1 : 0)) * block + in * l.channels_out;
      for (const GroupFilters& f : groups) {
        const Tile<float, float> t{from + f.group.first, kWindow * step, step, f.at + row * f.group.kernels->width, kInputs * f.point, f.point, kInputs, kInputs};
        transform<FilterAxis, Padding::kZero>(t, f.group.count);
      }
    }
  });
}

int64_t widest(const std::vector<GroupFilters>& groups) {
  int64_t width = 0;
  for (const GroupFilters& f : groups) width = std::max<int64_t>(width, f.group.kernels->width);
  return width;
}

// A chunk's part of the target, before the last transform: [point, tile, width] = Σ taps slices · filters.
struct Product {
  int64_t tiles, point;
  float* at;
};

// `slices`: a chunk of the source, one per tap.
template <class E>
void multiply(const Layer& l, const GroupFilters& f, const Source<InputAxis, E>& source, const std::vector<SliceTap>& taps, const std::vector<const float*>& slices,
              const Product& product) {
  const direct::Kernels<float>& k = *f.group.kernels;
  const int64_t blocks = (product.tiles + k.limit - 1) / k.limit;
  std::vector<const float*> rows(taps.size()), weights(taps.size());
  direct::TileArgs<float> args{rows.data(), weights.data(), static_cast<int64_t>(taps.size()), l.channels_in, source.width, k.width, nullptr, nullptr, 1.0f, kAllLanes};
  for (int64_t p = 0; p < kPoints; p++) {
    for (size_t r = 0; r < taps.size(); r++) weights[r] = f.at + p * f.point + taps[r].tap * l.channels_in * k.width;
    for (int64_t b = 0; b < blocks; b++) {
      const int64_t begin = product.tiles * b / blocks, size = product.tiles * (b + 1) / blocks - begin;
      for (size_t r = 0; r < taps.size(); r++) rows[r] = slices[r] + p * source.point + begin * source.width;
      args.out = product.at + p * product.point + begin * k.width;
      k.row[size](args);
    }
  }
}

// The products of a chunk back to outputs.
template <class E>
void write_tiles(const Layer& l, const Work& work, const Work::Item& item, int64_t z, const Group& g, const Product& product, const float* bias, float slope,
                 E* to) {
  const float* from = product.at;
  for (int64_t tile = item.first; tile < item.last; tile++, from += g.kernels->width) {
    const Work::Place place = work.place(tile);
    E* at = to + (((place.image * l.target[0] + z) * l.target[1] + place.y) * l.target[2] + place.x) * l.channels_out + g.first;
    transform<OutputAxis, Padding::kKeep>(Tile<float, E>{from, kInputs * product.point, product.point, at, l.target[2] * l.channels_out, l.channels_out,
                                           static_cast<int>(std::min<int64_t>(kOutputs, l.target[1] - place.y)),
                                           static_cast<int>(std::min<int64_t>(kOutputs, l.target[2] - place.x)), bias ? bias + g.first : nullptr, slope},
                                          g.count);
  }
}

int64_t chunk_tiles(const ChunkSize& size, int64_t floats_per_tile) {
  return std::max(size.least_tiles, size.bytes / kFloat / kPoints / floats_per_tile);
}

// `filter` [kz, 3, 3, in, out], or, transposed, [kz, 3, 3, out, in] to be turned round along y and x.
template <class E>
void convolve(const Layer& l, const E* from, const float* filter, bool transposed, const float* bias, float slope, E* to) {
  std::vector<GroupFilters> groups;
  const Buffer filters(place_groups(groups, l.channels_in, l.channels_out, l.window_z));
  set_memory(groups, filters.data());
  if (transposed) {
    const Matrices taps{l.window_z * kWindow * kWindow, l.channels_out, l.channels_in};
    const Buffer turned(taps.count * taps.rows * taps.columns);
    transpose(filter, taps, turned.data());
    transform_filters(groups, l, turned.data(), true);
  } else {
    transform_filters(groups, l, filter, false);
  }

  const int64_t product_width = widest(groups);
  const Work work(l, chunk_tiles(kChunk, l.window_z * packed_width(l.channels_in) + product_width));
  const Source<InputAxis, E> source{work, from, l.source, l.channels_in, l.pad_y, l.pad_x};
  const int64_t window_floats = l.window_z * source.slice_floats(), product_floats = kPoints * point_stride(work.largest, product_width);
  const int64_t worker_floats = window_floats + product_floats + source.edge_floats();
  const int64_t workers = std::min<int64_t>(at::get_num_threads(), work.count());
  const Buffer memory(workers * worker_floats);
  std::atomic<int64_t> next{0};
  at::parallel_for(0, workers, 1, [&](int64_t first, int64_t last) {
    for (int64_t worker = first; worker < last; worker++) {
      float *slices = memory.data() + worker * worker_floats, *products = slices + window_floats;
      Window<E> window(source, l.window_z, slices, products + product_floats);
      std::vector<const float*> seen(l.window_z);
      for (int64_t index = next++; index < work.count(); index = next++) {
        const Work::Item item = work.item(index);
        window.start(item);
        for (int64_t z = item.z_first; z < item.z_last; z++) {
          const auto& taps = l.slices[z];
          for (size_t r = 0; r < taps.size(); r++) seen[r] = window.slice(taps[r].source);
          for (const GroupFilters& f : groups) {
            const Product product{item.last - item.first, point_stride(work.largest, f.group.kernels->width), products};
            multiply(l, f, source, taps, seen, product);
            write_tiles(l, work, item, z, f.group, product, bias, slope, to);
          }
        }
      }
    }
  });
}

template <class E>
void forward_pass(const Shape& s, const E* x, const float* filter, const float* bias, float slope, E* y) {
  convolve(forward_layer(s), x, filter, false, bias, slope, y);
}

template <class E>
void input_gradient_pass(const Shape& s, const E* dy, const float* filter, E* dx) {
  convolve(gradient_layer(s), dy, filter, true, nullptr, 1.0f, dx);
}

// Adds what one slice of a chunk gives to the sums [point, tap z, in, width]: V_pᵀ · W_p at each point.
template <class E>
void add_products(const Layer& l, const std::vector<GroupFilters>& sums, const Source<InputAxis, E>& inputs, const std::vector<SliceTap>& taps,
                  const std::vector<const float*>& slices, const Source<GradientAxis, E>& gradients, const float* gradient, int64_t tiles) {
  for (int64_t p = 0; p < kPoints; p++) {
    for (size_t r = 0; r < taps.size(); r++) {
      for (const GroupFilters& f : sums) {
        const direct::Kernels<float>& k = *f.group.kernels;
        const int64_t blocks = (l.channels_in + k.limit - 1) / k.limit;
        for (int64_t b = 0; b < blocks; b++) {
          const int64_t c = l.channels_in * b / blocks, size = l.channels_in * (b + 1) / blocks - c;
          k.outer[size]({slices[r] + p * inputs.point + c, gradient + p * gradients.point + f.group.first, tiles, inputs.width, gradients.width,
                         f.at + p * f.point + (taps[r].tap * l.channels_in + c) * k.width, kAllLanes});
        }
      }
    }
  }
}

// The sums of `parts`, `part_floats` apart, added in order and transformed to [kz, 3, 3, in, out].
void write_filters(const Layer& l, const std::vector<GroupFilters>& sums, int64_t parts, int64_t part_floats, float* d_filter) {
  const int64_t block = l.channels_in * l.channels_out;
  at::parallel_for(0, l.window_z * l.channels_in, 16, [&](int64_t first, int64_t last) {
    for (int64_t row = first; row < last; row++) {
      const int64_t tap = row / l.channels_in, in = row % l.channels_in;
      float* to = d_filter + tap * kWindow * kWindow * block + in * l.channels_out;
      for (const GroupFilters& f : sums) {
        const int64_t width = f.group.kernels->width;
        float* sum = f.at + row * width;
        for (int64_t p = 0; p < kPoints; p++) {
          float* total = sum + p * f.point;
          for (int64_t part = 1; part < parts; part++) {
            for (int64_t o = 0; o < width; o++) total[o] += total[part * part_floats + o];
          }
        }
        transform<FilterGradientAxis, Padding::kKeep>(Tile<float, float>{sum, kInputs * f.point, f.point, to + f.group.first, kWindow * block, block, kWindow, kWindow}, f.group.count);
      }
    }
  });
}

template <class E>
void filter_gradient_pass(const Shape& s, const E* dy, const E* x, float* d_filter) {
  const Layer l = forward_layer(s);
  std::vector<GroupFilters> groups;
  const int64_t sum_floats = place_groups(groups, l.channels_in, l.channels_out, l.window_z);
  const Work work(l, chunk_tiles(kGradientChunk, l.window_z * packed_width(l.channels_in) + packed_width(l.channels_out)));
  const Source<InputAxis, E> inputs{work, x, l.source, l.channels_in, l.pad_y, l.pad_x};
  const Source<GradientAxis, E> gradients{work, dy, l.target, l.channels_out, 0, 0};
  const int64_t window_floats = l.window_z * inputs.slice_floats(), gradient_floats = gradients.slice_floats();
  const int64_t part_floats = sum_floats + window_floats + gradient_floats + std::max(inputs.edge_floats(), gradients.edge_floats());
  // Parts are cut by the thread count alone and added in order: the result does not depend on timing.
  const int64_t parts = std::max<int64_t>(1, std::min<int64_t>(at::get_num_threads(), work.count()));
  const Buffer memory(parts * part_floats);
  at::parallel_for(0, parts, 1, [&](int64_t first, int64_t last) {
    for (int64_t part = first; part < last; part++) {
      float *sum = memory.data() + part * part_floats, *slices = sum + sum_floats, *gradient = slices + window_floats, *edge = gradient + gradient_floats;
      std::fill(sum, sum + sum_floats, 0.0f);
      std::vector<GroupFilters> sums = groups;
      set_memory(sums, sum);
      Window<E> window(inputs, l.window_z, slices, edge);
      std::vector<const float*> seen(l.window_z);
      for (int64_t index = work.count() * part / parts; index < work.count() * (part + 1) / parts; index++) {
        const Work::Item item = work.item(index);
        window.start(item);
        for (int64_t z = item.z_first; z < item.z_last; z++) {
          const auto& taps = l.slices[z];
          if (taps.empty()) continue;
          gradients.read(item, z, gradient, edge);
          for (size_t r = 0; r < taps.size(); r++) seen[r] = window.slice(taps[r].source);
          add_products(l, sums, inputs, taps, seen, gradients, gradient, item.last - item.first);
        }
      }
    }
  });
  set_memory(groups, memory.data());
  write_filters(l, groups, parts, part_floats, d_filter);
}

}  // namespace

#ifdef MDT_AVX2
template <class E>
direct::Passes<E> avx2_passes() {
  return {forward_pass<E>, input_gradient_pass<E>, filter_gradient_pass<E>};
}
template direct::Passes<float> avx2_passes();
template direct::Passes<simd::BFloat16> avx2_passes();
#else
template <class E>
direct::Passes<E> avx512_passes() {
  return {forward_pass<E>, input_gradient_pass<E>, filter_gradient_pass<E>};
}
template direct::Passes<float> avx512_passes();
template direct::Passes<simd::BFloat16> avx512_passes();
#endif

}  // namespace mdt::winograd
