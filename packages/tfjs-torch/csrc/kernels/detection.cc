// RoIAlign of @mdt/native-ops on the memory of tensors, on the processor and on a CUDA device: nothing is copied.
#include "../../../native-ops/csrc/cpu/roi_align.h"
#include <ATen/Context.h>
#include <ATen/Parallel.h>

#include <algorithm>

#include "../call.h"
#include "../cuda_ops.h"
#include "../device.h"

namespace mdt {
namespace {

struct RoiCall {
  int64_t dim;
  std::vector<int64_t> pool, shapes;  // `shapes`: of the maps, one after the other
  std::vector<double> scales;
  bool single;
  int32_t ratio;
  int64_t maps;

  at::IntArrayRef map_shape(int64_t i) const { return at::IntArrayRef(shapes).slice(i * (dim + 2), dim + 2); }
  int64_t channels() const { return map_shape(0).back(); }
  // [rois, ...pool, channels]
  std::vector<int64_t> pooled_shape(int64_t rois) const {
    std::vector<int64_t> shape{rois};
    shape.insert(shape.end(), pool.begin(), pool.end());
    shape.push_back(channels());
    return shape;
  }
};

// `boxes`: [n, 2 · axes].
RoiCall roi_call(Call& c, const at::Tensor& boxes) {
  require(boxes.dim() == 2 && (boxes.size(1) == 4 || boxes.size(1) == 6), "boxes have four or six numbers each");
  RoiCall call;
  call.dim = boxes.size(1) / 2;
  call.pool = c.integers();
  const int64_t scales = c.integer();
  for (int64_t i = 0; i < scales; i++) call.scales.push_back(c.number());
  call.single = c.flag();
  call.ratio = static_cast<int32_t>(c.integer());
  call.shapes = c.integers();
  call.maps = static_cast<int64_t>(call.shapes.size()) / (call.dim + 2);
  const auto maps = static_cast<size_t>(call.maps), axes = static_cast<size_t>(call.dim);
  require(maps >= 1 && call.shapes.size() == maps * (axes + 2) && call.scales.size() == maps * axes, "maps, shapes and scales do not go together");
  require(call.pool.size() == axes && call.ratio >= 0 && call.ratio <= 1024, "pool or sampling ratio is out of range");
  for (const int64_t n : call.pool) require(n >= 1 && n <= 65536, "pool is out of range");
  for (const double s : call.scales) require(s > 0 && s < 1e9, "a scale is out of range");
  for (const int64_t n : call.shapes) require(n >= 0 && n < (int64_t{1} << 31), "a map's size is out of range");
  for (int64_t i = 0; i < call.maps; i++) {
    const at::IntArrayRef shape = call.map_shape(i);
    require(shape.front() == call.shapes[0] && shape.back() == call.channels(), "maps differ in batch or channels");
    for (const int64_t n : shape.slice(1, axes)) require(n >= 1, "a map has no voxels");
  }
  return call;
}

// Held by the kernel while the op reads them.
struct RoiTensors {
  at::Tensor boxes, images, levels;
};

// To see whether a box names an image and a map that are there, the device would have to be waited for: such a box reads nothing
// on CUDA, and is an error on a processor.
RoiTensors roi_tensors(const Call& c, size_t first, const RoiCall& call) {
  RoiTensors t{contiguous(c.in(first)), contiguous(c.in(first + 1)), contiguous(c.in(first + 2))};
  require(t.images.numel() == t.boxes.size(0) && t.levels.numel() == t.boxes.size(0), "as many images and levels as boxes are needed");
  if (!t.boxes.is_cpu()) return t;
  const auto within = [](const at::Tensor& x, int64_t end) {
    const int32_t* values = x.const_data_ptr<int32_t>();
    return std::all_of(values, values + x.numel(), [&](int32_t v) { return v >= 0 && v < end; });
  };
  require(within(t.images, call.shapes[0]) && within(t.levels, call.maps), "a box names an image or a map that is not there");
  return t;
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
std::vector<RoiMap<D, Value>> maps_of(const RoiCall& call, const std::vector<at::Tensor>& tensors) {
  std::vector<RoiMap<D, Value>> maps(tensors.size());
  for (size_t i = 0; i < maps.size(); i++) {
    maps[i].values = tensors[i].data_ptr<float>();
    std::copy_n(call.map_shape(i).begin() + 1, D, maps[i].size);
    std::copy_n(call.scales.begin() + i * D, D, maps[i].scale);
  }
  return maps;
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

template <int D>
void align(const RoiCall& call, const RoiTensors& rois, const std::vector<at::Tensor>& maps, at::Tensor& out) {
  const auto list = maps_of<D, const float>(call, maps);
  roi_align<D, float>(list.data(), static_cast<int32_t>(list.size()), call.shapes[0], out.size(-1), rois_of<D>(rois),
                      options_of<D>(call), execution(), out.data_ptr<float>());
}

template <int D>
void align_grad(const RoiCall& call, const RoiTensors& rois, const at::Tensor& dy, std::vector<at::Tensor>& maps) {
  const auto list = maps_of<D, float>(call, maps);
  roi_align_grad<D, float>(dy.data_ptr<float>(), list.data(), static_cast<int32_t>(list.size()), call.shapes[0], dy.size(-1),
                           rois_of<D>(rois), options_of<D>(call), execution());
}

// The same op on a CUDA device: its library queues the work on this thread's stream.
class OnDevice {
 public:
  OnDevice(const RoiCall& call, const RoiTensors& rois, const std::vector<at::Tensor>& maps) : maps_(maps.size()) {
    for (size_t i = 0; i < maps.size(); i++) {
      maps_[i].values = maps[i].data_ptr<float>();
      std::copy_n(call.map_shape(i).begin() + 1, call.dim, maps_[i].size);
      std::copy_n(call.scales.begin() + i * call.dim, call.dim, maps_[i].scale);
    }
    const c10::Device place = rois.boxes.device();
    request_.device = place.index();
    request_.stream = current_stream(place);
    request_.dim = static_cast<int32_t>(call.dim);
    request_.map_count = static_cast<int32_t>(maps_.size());
    request_.maps = maps_.data();
    request_.batch = call.shapes[0];
    request_.channels = call.channels();
    request_.count = rois.images.numel();
    request_.boxes = rois.boxes.data_ptr<float>();
    request_.images = rois.images.data_ptr<int32_t>();
    request_.levels = rois.levels.data_ptr<int32_t>();
    std::copy_n(call.pool.begin(), call.dim, request_.pool);
    request_.single = call.single;
    request_.ratio = call.ratio;
    request_.aligned = true;
  }

  void align(at::Tensor& out) { expect(ops_.roi_align(&request_, out.data_ptr<float>(), error())); }

  void align_grad(const at::Tensor& dy) {
    const bool deterministic = at::globalContext().deterministicAlgorithms();
    const size_t bytes = ops_.roi_align_grad_workspace(request_.dim, request_.count, deterministic);
    // Given back at once: the allocator hands it out again on this stream only, behind the op.
    const at::Tensor workspace = at::empty({static_cast<int64_t>(bytes)}, dy.options().dtype(at::kByte));
    expect(ops_.roi_align_grad(&request_, dy.data_ptr<float>(), deterministic, workspace.data_ptr(), bytes, error()));
  }

 private:
  cuda_api::ErrorText error() { return {text_, sizeof text_}; }
  void expect(int32_t failed) const {
    if (failed) throw std::runtime_error(text_);
  }

  const cuda_api::Ops& ops_ = cuda_ops();
  std::vector<cuda_api::RoiMap> maps_;
  cuda_api::RoiAlign request_{};
  char text_[512] = "";
};

// The boxes of one image of a batch, as those of a batch of its own.
struct OfImage {
  RoiCall call;
  RoiTensors rois;
  at::Tensor places;  // among all boxes
};

OfImage of_image(const RoiCall& call, const RoiTensors& rois, int64_t image) {
  RoiCall own = call;
  for (int64_t i = 0; i < call.maps; i++) own.shapes[i * (call.dim + 2)] = 1;
  const at::Tensor places = at::nonzero(rois.images == image).flatten();
  return {own, {rois.boxes.index_select(0, places), at::zeros_like(places, rois.images.options()), rois.levels.index_select(0, places)}, places};
}

// Maps in 16 bits are widened image by image.
at::Tensor align_images(const RoiCall& call, const RoiTensors& rois, const std::vector<at::Tensor>& maps) {
  at::Tensor out = at::empty(call.pooled_shape(rois.images.numel()), maps[0].options());
  for (int64_t image = 0; image < call.shapes[0]; image++) {
    const OfImage own = of_image(call, rois, image);
    if (own.places.numel() == 0) continue;
    std::vector<at::Tensor> wide;
    for (const at::Tensor& map : maps) wide.push_back(map.narrow(0, image, 1).to(at::kFloat).contiguous());
    at::Tensor pooled = at::empty(own.call.pooled_shape(own.places.numel()), maps[0].options().dtype(at::kFloat));
    call.dim == 3 ? align<3>(own.call, own.rois, wide, pooled) : align<2>(own.call, own.rois, wide, pooled);
    out.index_copy_(0, own.places, pooled.to(out.scalar_type()));
  }
  return out;
}

std::vector<at::Tensor> align_images_grad(const RoiCall& call, const RoiTensors& rois, const at::Tensor& dy) {
  std::vector<at::Tensor> maps;
  for (int64_t i = 0; i < call.maps; i++) maps.push_back(at::zeros(call.map_shape(i), dy.options()));
  for (int64_t image = 0; image < call.shapes[0]; image++) {
    const OfImage own = of_image(call, rois, image);
    if (own.places.numel() == 0) continue;
    std::vector<at::Tensor> wide;
    for (int64_t i = 0; i < call.maps; i++) wide.push_back(at::empty(own.call.map_shape(i), dy.options().dtype(at::kFloat)));
    const at::Tensor part = dy.index_select(0, own.places).to(at::kFloat);
    call.dim == 3 ? align_grad<3>(own.call, own.rois, part, wide) : align_grad<2>(own.call, own.rois, part, wide);
    for (size_t i = 0; i < maps.size(); i++) maps[i].narrow(0, image, 1).copy_(wide[i]);
  }
  return maps;
}

// boxes, images, levels, map...
void roi_align_forward(Call& c) {
  const RoiCall call = roi_call(c, c.in(0));
  const RoiTensors rois = roi_tensors(c, 0, call);
  std::vector<at::Tensor> maps;
  bool low = rois.boxes.is_cpu();
  for (int64_t i = 0; i < call.maps; i++) low = low && is_low(c.stored(3 + i)) && c.stored(3 + i).scalar_type() == c.stored(3).scalar_type();
  for (int64_t i = 0; i < call.maps; i++) {
    maps.push_back(contiguous(low ? c.stored(3 + i) : c.in(3 + i)));
    require(maps.back().sizes() == call.map_shape(i), "a map has another shape than was said");
  }
  if (low) return c.out(align_images(call, rois, maps));
  at::Tensor out = at::empty(call.pooled_shape(rois.images.numel()), c.options(at::kFloat));
  if (!out.is_cpu() && out.numel() > 0) OnDevice(call, rois, maps).align(out);
  if (out.is_cpu()) call.dim == 3 ? align<3>(call, rois, maps, out) : align<2>(call, rois, maps, out);
  c.out(out);
}

// dy, boxes, images, levels
void roi_align_backward(Call& c) {
  const bool low = is_low(c.stored(0)) && c.stored(0).is_cpu();
  const at::Tensor dy = contiguous(low ? c.stored(0) : c.in(0));
  const RoiCall call = roi_call(c, c.in(1));
  const RoiTensors rois = roi_tensors(c, 1, call);
  require(dy.sizes() == at::IntArrayRef(call.pooled_shape(rois.images.numel())), "dy has another shape than the result");
  std::vector<at::Tensor> maps;
  if (low) maps = align_images_grad(call, rois, dy);
  else for (int64_t i = 0; i < call.maps; i++) maps.push_back(at::empty(call.map_shape(i), c.options(at::kFloat)));
  if (!dy.is_cpu()) OnDevice(call, rois, maps).align_grad(dy);
  if (dy.is_cpu() && !low) call.dim == 3 ? align_grad<3>(call, rois, dy, maps) : align_grad<2>(call, rois, dy, maps);
  for (int64_t i = 0; i < call.maps; i++) c.out(maps[i], i);
}

}  // namespace

void add_detection(std::vector<Kernel>& k) {
  k.insert(k.end(), {
      {"RoiAlign", roi_align_forward},
      {"RoiAlignGrad", roi_align_backward},
  });
}

}  // namespace mdt
