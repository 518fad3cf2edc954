#include "nms.h"

#include <cub/device/device_radix_sort.cuh>
#include <limits>

#include "launch.h"
#include "nms_steps.h"

namespace mdt::cuda {

template <int D, class Real>
__global__ void __launch_bounds__(kThreads)
    nms_kernel(NmsState<D> state, const Real* boxes, int32_t* kept, int32_t* kept_count) {
  nms_steps(GridTeam{}, state, boxes, kept, kept_count);
}

template <class Real>
struct WriteScoreKeys {
  const Real* scores;
  uint64_t* keys;
  int32_t* boxes;
  __device__ void operator()(int64_t i) const {
    keys[i] = score_key(static_cast<double>(scores[i]));
    boxes[i] = static_cast<int32_t>(i);
  }
};

struct WriteGroupKeys {
  const int32_t* groups;
  const int32_t* by_score;
  uint64_t* keys;
  int32_t* ranks;
  __device__ void operator()(int64_t rank) const {
    if (groups != nullptr) keys[rank] = static_cast<uint32_t>(groups[by_score[rank]]);
    ranks[rank] = static_cast<int32_t>(rank);
  }
};

namespace {

// The arrays of one call in its workspace.
template <int D>
struct NmsWorkspace {
  NmsState<D> state{};
  uint64_t* keys = nullptr;
  uint64_t* sorted_keys = nullptr;
  int32_t* items = nullptr;
  int32_t* by_score = nullptr;
  int32_t* by_group = nullptr;
  void* sort = nullptr;
  std::size_t sort_bytes = 0;
  std::size_t bytes = 0;

  Status carve(int64_t n, void* base) {
    const auto status = status_of(
        cub::DeviceRadixSort::SortPairs(nullptr, sort_bytes, keys, keys, items, items, static_cast<int>(n)), "plan to sort");
    if (!status.ok()) return status;
    Carver carver(base);
    keys = carver.take<uint64_t>(n);
    sorted_keys = carver.take<uint64_t>(n);
    items = carver.take<int32_t>(n);
    by_score = carver.take<int32_t>(n);
    by_group = carver.take<int32_t>(n);
    sort = carver.take<char>(static_cast<int64_t>(sort_bytes));
    state.n = n;
    state.by_score = by_score;
    state.by_group = by_group;
    state.rows = carver.take<NmsRow<D>>(n);
    state.segment = carver.take<int32_t>(n);
    state.starts = carver.take<int32_t>(n + 1);
    state.found = carver.take<int32_t>(n);
    state.mask = carver.take<uint64_t>(n * kWords);
    state.struck = carver.take<uint8_t>(n);
    state.stays = carver.take<uint8_t>(n);
    state.chunks = carver.take<int32_t>((n + kChunk - 1) / kChunk + 1);
    state.segments = carver.take<int32_t>(1);
    state.pending = carver.take<int64_t>(1);
    bytes = carver.used();
    return {};
  }
};

template <int D, class Real>
Status run(const NmsCall<Real>& call, void* workspace, std::size_t bytes, cudaStream_t stream) {
  const int n = static_cast<int>(call.n);
  NmsWorkspace<D> w;
  if (auto s = w.carve(n, workspace); !s.ok()) return s;
  if (bytes < w.bytes) {
    return {"the workspace has " + std::to_string(bytes) + " bytes, expected " + std::to_string(w.bytes)};
  }
  const auto sort = [&](int32_t* sorted, int bits, const char* what) {
    return status_of(cub::DeviceRadixSort::SortPairs(w.sort, w.sort_bytes, w.keys, w.sorted_keys, w.items, sorted, n, 0, bits,
                                                     stream),
                     what);
  };
  if (auto s = for_each(n, WriteScoreKeys<Real>{call.scores, w.keys, w.items}, stream); !s.ok()) return s;
  if (auto s = sort(w.by_score, 64, "sort by score"); !s.ok()) return s;
  int32_t* const ranks = call.groups == nullptr ? w.by_group : w.items;
  if (auto s = for_each(n, WriteGroupKeys{call.groups, w.by_score, w.keys, ranks}, stream); !s.ok()) return s;
  if (call.groups != nullptr) {
    if (auto s = sort(w.by_group, 32, "sort by group"); !s.ok()) return s;
  }
  w.state.iou_threshold = call.iou_threshold;
  w.state.plus = call.plus;
  w.state.max_boxes = call.max_boxes;
  w.state.groups = call.groups;
  return launch_together(call.n * kWords, nms_kernel<D, Real>, stream, w.state, call.boxes, call.kept, call.kept_count);
}

}  // namespace

Status nms_workspace(int64_t n, int dim, std::size_t* bytes) {
  *bytes = 0;
  if (n < 0 || n > std::numeric_limits<int32_t>::max()) return {"n is " + std::to_string(n)};
  if (n == 0) return {};
  const auto plan = [&](auto workspace) {
    const Status status = workspace.carve(n, nullptr);
    *bytes = workspace.bytes;
    return status;
  };
  return dim == 2 ? plan(NmsWorkspace<2>{}) : plan(NmsWorkspace<3>{});
}

template <class Real>
Status nms(const NmsCall<Real>& call, void* workspace, std::size_t bytes, cudaStream_t stream) {
  if (call.n == 0) return status_of(cudaMemsetAsync(call.kept_count, 0, sizeof(int32_t), stream), "write the count");
  return call.dim == 2 ? run<2>(call, workspace, bytes, stream) : run<3>(call, workspace, bytes, stream);
}

template Status nms(const NmsCall<float>&, void*, std::size_t, cudaStream_t);
template Status nms(const NmsCall<double>&, void*, std::size_t, cudaStream_t);

}  // namespace mdt::cuda
