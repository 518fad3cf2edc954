// RoIAlign of @mdt/native-ops on the memory of tensors: nothing is copied. What lives on another device takes the way over the host.
#include "../../../native-ops/csrc/cpu/roi_align.h"
#include <ATen/Parallel.h>

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

at::Tensor on_host(const at::Tensor& x) { return x.cpu().contiguous(); }

at::Tensor on_device(const Call& c, const at::Tensor& x) { return x.to(c.options(at::kFloat).device()); }

// Held by the caller while the op reads them.
struct RoiTensors {
  at::Tensor boxes, images, levels;
};

RoiTensors roi_tensors(const Call& c, size_t first) {
  return {on_host(c.in(first)), on_host(c.in(first + 1)), on_host(c.in(first + 2))};
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
  std::vector<at::Tensor> held;
  std::vector<RoiMap<D, const float>> maps;
  for (int64_t i = 0; i < call.maps; i++) {
    held.push_back(on_host(c.in(3 + i)));
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
         const int64_t dim = c.in(0).size(1) / 2;
         const RoiCall call = roi_call(c, dim);
         dim == 3 ? roi_align_forward<3>(c, call) : roi_align_forward<2>(c, call);
       }},
      {"RoiAlignGrad", [](Call& c) {
         const int64_t dim = c.in(1).size(1) / 2;
         const RoiCall call = roi_call(c, dim);
         dim == 3 ? roi_align_backward<3>(c, call) : roi_align_backward<2>(c, call);
       }},
  });
}

}  // namespace mdt
