// The ops of ../cpu on a CUDA device, with the same arguments and host memory: the addon's jobs call either.
// `Execution::threads` is the number of the device here.
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

#include "../cpu/box_pairs.h"
#include "../cpu/nms.h"
#include "../parallel.h"
#include "box_iou.h"
#include "device_call.h"
#include "nms.h"
#include "roi_align.h"

namespace mdt::on_device {

template <int D>
std::vector<int32_t> nms(const std::vector<double>& rows, const std::vector<double>& scores, const int32_t* groups,
                         const NmsOptions& options, const Execution& execution) {
  DeviceCall device(execution.threads);
  const std::size_t n = scores.size();
  const std::size_t most = std::min(n, static_cast<std::size_t>(options.max_boxes));
  int32_t* const kept = device.allocate<int32_t>(most);
  int32_t* const kept_count = device.allocate<int32_t>(1);
  const cuda::NmsCall<double> call{D,
                                   device.upload(rows.data(), rows.size()),
                                   device.upload(scores.data(), n),
                                   device.upload(groups, n),
                                   static_cast<int64_t>(n),
                                   options.iou_threshold,
                                   options.plus,
                                   options.max_boxes,
                                   kept,
                                   kept_count};
  std::size_t bytes = 0;
  expect(cuda::nms_workspace(call.n, D, &bytes));
  expect(cuda::nms(call, device.allocate<char>(bytes), bytes, device.stream()));
  int32_t count = 0;
  device.download(&count, kept_count, 1);
  std::vector<int32_t> result(count);
  device.download(result.data(), kept, result.size());
  return result;
}

namespace detail {

template <int D>
void overlaps(const std::vector<double>& a, const std::vector<double>& b, double plus, cuda::Overlap overlap,
              const Execution& execution, double* out) {
  DeviceCall device(execution.threads);
  const auto n = static_cast<int64_t>(a.size() / (2 * D));
  const auto m = static_cast<int64_t>(b.size() / (2 * D));
  double* const matrix = device.allocate<double>(n * m);
  const cuda::BoxIouCall<double> call{
      D, device.upload(a.data(), a.size()), n, device.upload(b.data(), b.size()), m, plus, overlap, matrix};
  expect(cuda::box_iou(call, device.stream()));
  device.download(out, matrix, n * m);
}

}  // namespace detail

template <int D>
void box_iou(const std::vector<double>& a, const std::vector<double>& b, double plus, const Execution& execution, double* out) {
  detail::overlaps<D>(a, b, plus, cuda::Overlap::kIou, execution, out);
}

template <int D>
void box_pairs(const std::vector<double>& a, const std::vector<double>& b, double plus, PairMeasure measure,
               const Execution& execution, double* out) {
  const auto overlap = measure == PairMeasure::kGiou ? cuda::Overlap::kGiou : cuda::Overlap::kDiou;
  detail::overlaps<D>(a, b, plus, overlap, execution, out);
}

namespace detail {

template <int D, class Value>
std::size_t map_values(const RoiMap<D, Value>& map, int64_t batch, int64_t channels) {
  std::size_t values = static_cast<std::size_t>(batch * channels);
  for (int d = 0; d < D; ++d) values *= static_cast<std::size_t>(map.size[d]);
  return values;
}

template <int D, class Real>
Rois<D, Real> upload(DeviceCall& device, const Rois<D, Real>& rois) {
  const auto count = static_cast<std::size_t>(rois.count);
  return {device.upload(rois.boxes, count * 2 * D), device.upload(rois.images, count), device.upload(rois.levels, count), rois.count};
}

template <int D>
std::size_t pooled_values(const RoiAlignOptions<D>& options, int64_t rois, int64_t channels) {
  std::size_t values = static_cast<std::size_t>(rois * channels);
  for (int d = 0; d < D; ++d) values *= static_cast<std::size_t>(options.pool[d]);
  return values;
}

}  // namespace detail

template <int D, class Real>
void roi_align(const RoiMap<D, const float>* maps, int32_t map_count, int64_t batch, int64_t channels,
               const Rois<D, Real>& rois, const RoiAlignOptions<D>& options, const Execution& execution, float* out) {
  DeviceCall device(execution.threads);
  std::vector<RoiMap<D, const float>> on_device(maps, maps + map_count);
  for (auto& map : on_device) map.values = device.upload(map.values, detail::map_values(map, batch, channels));
  const std::size_t values = detail::pooled_values(options, rois.count, channels);
  float* const pooled = device.allocate<float>(values);
  const cuda::RoiAlignCall<D, const float, Real> call{on_device.data(), map_count, batch, channels, detail::upload(device, rois), options};
  expect(cuda::roi_align(call, pooled, device.stream()));
  device.download(out, pooled, values);
}

// Deterministic, like the op on the CPU.
template <int D, class Real>
void roi_align_grad(const float* dy, const RoiMap<D, float>* maps, int32_t map_count, int64_t batch, int64_t channels,
                    const Rois<D, Real>& rois, const RoiAlignOptions<D>& options, const Execution& execution) {
  DeviceCall device(execution.threads);
  std::vector<RoiMap<D, float>> on_device(maps, maps + map_count);
  for (auto& map : on_device) map.values = device.allocate<float>(detail::map_values(map, batch, channels));
  const cuda::RoiAlignCall<D, float, Real> call{on_device.data(), map_count, batch, channels, detail::upload(device, rois), options};
  const float* const gradient = device.upload(dy, detail::pooled_values(options, rois.count, channels));
  const std::size_t bytes = cuda::roi_align_grad_workspace<D>(rois.count, true);
  expect(cuda::roi_align_grad(gradient, call, true, device.allocate<char>(bytes), bytes, device.stream()));
  for (int32_t m = 0; m < map_count; ++m) {
    device.download(maps[m].values, on_device[m].values, detail::map_values(maps[m], batch, channels));
  }
}

}  // namespace mdt::on_device
