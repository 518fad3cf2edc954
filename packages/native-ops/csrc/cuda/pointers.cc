// Ops on device memory: addresses as BigInt, 0n for null. They queue their work on a stream and return at once. What an
// address points to cannot be checked here: wrong ones end in an error of the device, as in any CUDA program.
#include "pointers.h"

#include <limits>
#include <string>
#include <vector>

#include "../napi/arguments.h"
#include "box_iou.h"
#include "device_call.h"
#include "nms.h"
#include "roi_align.h"

namespace mdt {
namespace {

constexpr int kMaxInt = std::numeric_limits<int32_t>::max();
constexpr double kMaxBytes = 9007199254740991;  // 2^53 - 1, the largest whole number of JS

// Calls body(args) and gives JS what it returns.
template <class Body>
napi_value now(napi_env env, napi_callback_info info, const char* op, const Body& body) {
  return guarded(env, op, [&]() -> napi_value {
    Arguments args(env, info, op, false);
    return body(args);
  });
}

// The last two arguments of every op: the number of the device, and the stream.
struct Queue {
  int device;
  cudaStream_t stream;

  explicit Queue(Arguments& args)
      : device(args.integer("device", 0, 1023)), stream(reinterpret_cast<cudaStream_t>(args.address("stream", 1, true))) {}
};

template <class T>
T* pointer(Arguments& args, const char* name, bool nullable = false) {
  return reinterpret_cast<T*>(args.address(name, alignof(T), nullable));
}

napi_value bytes_value(napi_env env, const char* op, std::size_t bytes) {
  napi_value value = nullptr;
  check(napi_create_double(env, static_cast<double>(bytes), &value), op, "make the result");
  return value;
}

// nmsWorkspaceBytes(count, dim, device): number
napi_value nms_workspace_bytes(napi_env env, napi_callback_info info) {
  constexpr const char* op = "nmsWorkspaceBytes";
  return now(env, info, op, [&](Arguments& args) {
    const int64_t count = args.integer("count", 0, kMaxInt);
    const int dim = args.integer("dim", 2, 3);
    const on_device::DeviceScope scope(args.integer("device", 0, 1023));
    std::size_t bytes = 0;
    on_device::expect(cuda::nms_workspace(count, dim, &bytes));
    return bytes_value(env, op, bytes);
  });
}

template <class Real>
void queue_nms(Arguments& args, int dim, int64_t count) {
  cuda::NmsCall<Real> call{};
  call.dim = dim;
  call.n = count;
  call.boxes = pointer<const Real>(args, "boxes", count == 0);
  call.scores = pointer<const Real>(args, "scores", count == 0);
  call.groups = pointer<const int32_t>(args, "groups", true);
  call.iou_threshold = args.number("iouThreshold", 0, std::numeric_limits<double>::infinity());
  call.plus = args.boolean("inclusive") ? 1 : 0;
  call.max_boxes = args.integer("maxBoxes", 0, kMaxInt);
  call.kept = pointer<int32_t>(args, "kept", count == 0 || call.max_boxes == 0);
  call.kept_count = pointer<int32_t>(args, "keptCount");
  void* const workspace = reinterpret_cast<void*>(args.address("workspace", 256, count == 0));
  const double bytes = args.number("workspaceBytes", 0, kMaxBytes);
  const Queue queue(args);
  const on_device::DeviceScope scope(queue.device);
  on_device::expect(cuda::nms(call, workspace, static_cast<std::size_t>(bytes), queue.stream));
}

// nmsPointers(count, dim, double, boxes, scores, groups, iouThreshold, inclusive, maxBoxes, kept, keptCount, workspace,
// workspaceBytes, device, stream)
napi_value nms_pointers(napi_env env, napi_callback_info info) {
  return now(env, info, "nmsPointers", [](Arguments& args) -> napi_value {
    const int64_t count = args.integer("count", 0, kMaxInt);
    const int dim = args.integer("dim", 2, 3);
    args.boolean("double") ? queue_nms<double>(args, dim, count) : queue_nms<float>(args, dim, count);
    return nullptr;
  });
}

template <class Real>
void queue_box_iou(Arguments& args, int dim) {
  cuda::BoxIouCall<Real> call{};
  call.dim = dim;
  call.n = args.integer("countA", 0, kMaxInt);
  call.m = args.integer("countB", 0, kMaxInt);
  call.a = pointer<const Real>(args, "a", call.n == 0);
  call.b = pointer<const Real>(args, "b", call.m == 0);
  call.plus = args.boolean("inclusive") ? 1 : 0;
  call.overlap = static_cast<cuda::Overlap>(args.integer("overlap", 0, 2));
  call.out = pointer<Real>(args, "out", call.n * call.m == 0);
  const Queue queue(args);
  const on_device::DeviceScope scope(queue.device);
  on_device::expect(cuda::box_iou(call, queue.stream));
}

// boxIouPointers(dim, double, countA, countB, a, b, inclusive, overlap: 0 IoU, 1 GIoU, 2 DIoU, out, device, stream)
napi_value box_iou_pointers(napi_env env, napi_callback_info info) {
  return now(env, info, "boxIouPointers", [](Arguments& args) -> napi_value {
    const int dim = args.integer("dim", 2, 3);
    args.boolean("double") ? queue_box_iou<double>(args, dim) : queue_box_iou<float>(args, dim);
    return nullptr;
  });
}

// What both directions of RoIAlign take after (dim, double): maps: BigUint64Array, sizes: Int32Array [maps, dim], scales:
// Float64Array [maps, dim], batch, channels, count, boxes, images, levels, pool: Int32Array [dim], single, ratio, aligned
template <int D, class Value, class Real>
struct RoiCall {
  std::vector<RoiMap<D, Value>> maps;
  cuda::RoiAlignCall<D, Value, Real> call{};

  explicit RoiCall(Arguments& args) {
    const auto addresses = args.values<uint64_t>("maps");
    const auto sizes = args.values<int32_t>("sizes");
    const auto scales = args.values<double>("scales");
    const std::string lengths = std::to_string(D) + " for each of " + std::to_string(addresses.size()) + " maps";
    if (sizes.size() != addresses.size() * D) throw args.range_error("sizes", std::to_string(sizes.size()) + " values", lengths);
    if (scales.size() != sizes.size()) throw args.range_error("scales", std::to_string(scales.size()) + " values", lengths);
    for (std::size_t m = 0; m < addresses.size(); ++m) {
      RoiMap<D, Value> map{};
      map.values = reinterpret_cast<Value*>(static_cast<uintptr_t>(addresses[m]));
      if (addresses[m] == 0 || addresses[m] % alignof(float) != 0) throw args.range_error("maps", "no address of floats", "one");
      for (int d = 0; d < D; ++d) {
        map.size[d] = positive(args, "sizes", sizes[m * D + d]);
        map.scale[d] = scales[m * D + d];
      }
      maps.push_back(map);
    }
    if (maps.empty()) throw args.range_error("maps", "empty", "one map at least");
    call.maps = maps.data();
    call.map_count = static_cast<int32_t>(maps.size());
    call.batch = args.integer("batch", 0, kMaxInt);
    call.channels = args.integer("channels", 1, kMaxInt);
    call.rois.count = args.integer("count", 0, kMaxInt);
    call.rois.boxes = pointer<const Real>(args, "boxes", call.rois.count == 0);
    call.rois.images = pointer<const int32_t>(args, "images", true);
    call.rois.levels = pointer<const int32_t>(args, "levels", true);
    const auto pool = args.values<int32_t>("pool");
    if (pool.size() != D) throw args.range_error("pool", std::to_string(pool.size()) + " values", std::to_string(D));
    for (int d = 0; d < D; ++d) call.options.pool[d] = positive(args, "pool", pool[d]);
    call.options.sampling = args.boolean("single") ? RoiSampling::kSingle : RoiSampling::kAverage;
    call.options.ratio = args.integer("ratio", 0, 1024);
    call.options.aligned = args.boolean("aligned");
  }

 private:
  static int32_t positive(const Arguments& args, const char* name, int32_t value) {
    if (value < 1) throw args.range_error(name, std::to_string(value), "1 or more");
    return value;
  }
};

template <int D, class Real>
void queue_roi_align(Arguments& args) {
  const RoiCall<D, const float, Real> roi(args);
  float* const out = pointer<float>(args, "out", roi.call.rois.count == 0);
  const Queue queue(args);
  const on_device::DeviceScope scope(queue.device);
  on_device::expect(cuda::roi_align(roi.call, out, queue.stream));
}

template <int D, class Real>
void queue_roi_align_grad(Arguments& args) {
  const RoiCall<D, float, Real> roi(args);
  const float* const dy = pointer<const float>(args, "dy", roi.call.rois.count == 0);
  const bool deterministic = args.boolean("deterministic");
  void* const workspace = reinterpret_cast<void*>(args.address("workspace", 256, true));
  const double bytes = args.number("workspaceBytes", 0, workspace == nullptr ? 0 : kMaxBytes);
  const Queue queue(args);
  const on_device::DeviceScope scope(queue.device);
  on_device::expect(cuda::roi_align_grad(dy, roi.call, deterministic, workspace, static_cast<std::size_t>(bytes), queue.stream));
}

// roiAlignPointers(dim, double, ...RoiCall, out, device, stream)
napi_value roi_align_pointers(napi_env env, napi_callback_info info) {
  return now(env, info, "roiAlignPointers", [](Arguments& args) -> napi_value {
    const bool flat = args.integer("dim", 2, 3) == 2;
    if (args.boolean("double")) {
      flat ? queue_roi_align<2, double>(args) : queue_roi_align<3, double>(args);
    } else {
      flat ? queue_roi_align<2, float>(args) : queue_roi_align<3, float>(args);
    }
    return nullptr;
  });
}

// roiAlignGradPointers(dim, double, ...RoiCall, dy, deterministic, workspace, workspaceBytes, device, stream)
napi_value roi_align_grad_pointers(napi_env env, napi_callback_info info) {
  return now(env, info, "roiAlignGradPointers", [](Arguments& args) -> napi_value {
    const bool flat = args.integer("dim", 2, 3) == 2;
    if (args.boolean("double")) {
      flat ? queue_roi_align_grad<2, double>(args) : queue_roi_align_grad<3, double>(args);
    } else {
      flat ? queue_roi_align_grad<2, float>(args) : queue_roi_align_grad<3, float>(args);
    }
    return nullptr;
  });
}

// roiAlignGradWorkspaceBytes(count, dim): number, of the deterministic op
napi_value roi_align_grad_workspace_bytes(napi_env env, napi_callback_info info) {
  constexpr const char* op = "roiAlignGradWorkspaceBytes";
  return now(env, info, op, [&](Arguments& args) {
    const int64_t count = args.integer("count", 0, kMaxInt);
    const bool flat = args.integer("dim", 2, 3) == 2;
    return bytes_value(env, op, flat ? cuda::roi_align_grad_workspace<2>(count, true) : cuda::roi_align_grad_workspace<3>(count, true));
  });
}

}  // namespace

void expose_pointer_ops(napi_env env, napi_value exports) {
  const auto add = [&](const char* name, napi_callback callback) {
    napi_value function = nullptr;
    check(napi_create_function(env, name, NAPI_AUTO_LENGTH, callback, nullptr, &function), name, "be made");
    check(napi_set_named_property(env, exports, name, function), name, "be exported");
  };
  add("nmsWorkspaceBytes", nms_workspace_bytes);
  add("nmsPointers", nms_pointers);
  add("boxIouPointers", box_iou_pointers);
  add("roiAlignPointers", roi_align_pointers);
  add("roiAlignGradPointers", roi_align_grad_pointers);
  add("roiAlignGradWorkspaceBytes", roi_align_grad_workspace_bytes);
}

}  // namespace mdt
