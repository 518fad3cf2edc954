// RoIAlign of @mdt/native-ops on the memory of tensors: nothing is copied. What lives on another device takes the way over the host.
#include "../../../native-ops/csrc/cpu/roi_align.h"
#include <ATen/Parallel.h>

#include <algorithm>

#include "../call.h"

namespace mdt {
namespace {

struct RoiCall {
  std::vector<int64_t> pool, shapes;
  std::vector<double> scales;
  bool single;
  int32_t ratio;
  int64_t maps;
};

RoiCall roi_call(Call& c, int64_t dim) {
  RoiCall call;
  call.pool = c.integers();
  const int64_t scales = c.integer();
  for (int64_t i = 0; i < scales; i++) call.scales.push_back(c.number());
  call.single = c.flag();
  call.ratio = static_cast<int32_t>(c.integer());
  call.shapes = c.integers();
  call.maps = static_cast<int64_t>(call.shapes.size()) / (dim + 2);
  const auto maps = static_cast<size_t>(call.maps), axes = static_cast<size_t>(dim);
  require(maps >= 1 && call.shapes.size() == maps * (axes + 2) && call.scales.size() == maps * axes, "maps, shapes and scales do not go together");
  require(call.pool.size() == axes && call.ratio >= 0 && call.ratio <= 1024, "pool or sampling ratio is out of range");
  for (const int64_t n : call.pool) require(n >= 1 && n <= 65536, "pool is out of range");
  for (const double s : call.scales) require(s > 0 && s < 1e9, "a scale is out of range");
  for (size_t i = 0; i < call.shapes.size(); i++) {
    const size_t first = i / (axes + 2) * (axes + 2);
    require(call.shapes[i] >= 0 && call.shapes[i] < (int64_t{1} << 31), "a map's size is out of range");
    require(call.shapes[first] == call.shapes[0] && call.shapes[first + axes + 1] == call.shapes[axes + 1], "maps differ in batch or channels");
  }
  return call;
}

template <int D>
RoiAlignOptions<D> options_of(const RoiCall& call) {
  RoiAlignOptions<D> options;
  std::copy_n(call.pool.begin(), D, options.pool);
  options.sampling = call.single ? RoiSampling::kSingle : RoiSampling::kAverage;
  options.ratio = call.ratio;
  options.aligned = true;
  return options;
}

template <int D, class Value>
RoiMap<D, Value> map_of(const RoiCall& call, int64_t i, Value* values) {
  RoiMap<D, Value> map;
  map.values = values;
  for (int d = 0; d < D; d++) {
    map.size[d] = call.shapes[i * (D + 2) + 1 + d];
    map.scale[d] = call.scales[i * D + d];
  }
  return map;
}

// Spatial axes of boxes [n, 2 · axes].
int64_t axes_of(const at::Tensor& boxes) {
  require(boxes.dim() == 2 && (boxes.size(1) == 4 || boxes.size(1) == 6), "boxes have four or six numbers each");
  return boxes.size(1) / 2;
}

at::Tensor on_host(const at::Tensor& x) { return x.cpu().contiguous(); }

at::Tensor on_device(const Call& c, const at::Tensor& x) { return x.to(c.options(at::kFloat).device()); }

// Held by the caller while the op reads them.
struct RoiTensors {
  at::Tensor boxes, images, levels;
};

RoiTensors roi_tensors(const Call& c, size_t first) {
  return {on_host(c.in(first)), on_host(c.in(first + 1)), on_host(c.in(first + 2))};
}

// Every box names an image and a map that are there.
void check_tensors(const RoiTensors& t, const RoiCall& call) {
  require(t.images.numel() == t.boxes.size(0) && t.levels.numel() == t.boxes.size(0), "as many images and levels as boxes are needed");
  const auto within = [](const at::Tensor& x, int64_t end) {
    const int32_t* values = x.const_data_ptr<int32_t>();
    return std::all_of(values, values + x.numel(), [&](int32_t v) { return v >= 0 && v < end; });
  };
  require(within(t.images, call.shapes[0]) && within(t.levels, call.maps), "a box names an image or a map that is not there");
}

template <int D>
Rois<D, float> rois_of(const RoiTensors& t) {
  return {t.boxes.data_ptr<float>(), t.images.data_ptr<int32_t>(), t.levels.data_ptr<int32_t>(), t.images.numel()};
}

Execution execution() {
  Execution execution;
  execution.threads = at::get_num_threads();
  return execution;
}

// boxes, images, levels, map...
template <int D>
void roi_align_forward(Call& c, const RoiCall& call) {
  const RoiTensors tensors = roi_tensors(c, 0);
  check_tensors(tensors, call);
  std::vector<at::Tensor> held;
  std::vector<RoiMap<D, const float>> maps;
  for (int64_t i = 0; i < call.maps; i++) {
    held.push_back(on_host(c.in(3 + i)));
    const at::IntArrayRef shape(call.shapes.data() + i * (D + 2), D + 2);
    require(held.back().sizes() == shape, "a map has another shape than was said");
    maps.push_back(map_of<D, const float>(call, i, held.back().data_ptr<float>()));
  }
  const int64_t channels = held[0].size(-1);
  std::vector<int64_t> shape{tensors.images.numel()};
  shape.insert(shape.end(), call.pool.begin(), call.pool.end());
  shape.push_back(channels);
  at::Tensor out = at::empty(shape, held[0].options());
  roi_align<D, float>(maps.data(), static_cast<int32_t>(call.maps), held[0].size(0), channels, rois_of<D>(tensors),
                      options_of<D>(call), execution(), out.data_ptr<float>());
  c.out(on_device(c, out));
}

// dy, boxes, images, levels
template <int D>
void roi_align_backward(Call& c, const RoiCall& call) {
  const at::Tensor dy = on_host(c.in(0));
  const RoiTensors tensors = roi_tensors(c, 1);
  check_tensors(tensors, call);
  std::vector<int64_t> pooled{tensors.boxes.size(0)};
  pooled.insert(pooled.end(), call.pool.begin(), call.pool.end());
  pooled.push_back(call.shapes[D + 1]);
  require(dy.sizes() == at::IntArrayRef(pooled), "dy has another shape than the result");
  std::vector<at::Tensor> outs;
  std::vector<RoiMap<D, float>> maps;
  for (int64_t i = 0; i < call.maps; i++) {
    const auto first = call.shapes.begin() + i * (D + 2);
    outs.push_back(at::empty(std::vector<int64_t>(first, first + D + 2), dy.options()));
    maps.push_back(map_of<D, float>(call, i, outs.back().data_ptr<float>()));
  }
  roi_align_grad<D, float>(dy.data_ptr<float>(), maps.data(), static_cast<int32_t>(call.maps), call.shapes[0], dy.size(-1),
                           rois_of<D>(tensors), options_of<D>(call), execution());
  for (int64_t i = 0; i < call.maps; i++) c.out(on_device(c, outs[i]), i);
}

}  // namespace

void add_detection(std::vector<Kernel>& k) {
  k.insert(k.end(), {
      {"RoiAlign", [](Call& c) {
         const int64_t dim = axes_of(c.in(0));
         const RoiCall call = roi_call(c, dim);
         dim == 3 ? roi_align_forward<3>(c, call) : roi_align_forward<2>(c, call);
       }},
      {"RoiAlignGrad", [](Call& c) {
         const int64_t dim = axes_of(c.in(1));
         const RoiCall call = roi_call(c, dim);
         dim == 3 ? roi_align_backward<3>(c, call) : roi_align_backward<2>(c, call);
       }},
  });
}

}  // namespace mdt
