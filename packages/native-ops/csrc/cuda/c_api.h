// RoIAlign on device memory for other native libraries of the process: a table of C functions that the CUDA addon exports.
// Whoever uses it includes this header alone, opens the addon's file at run time and looks up `kEntryPoint`; the struct's layout
// and the functions change only together with `kVersion`. Nothing here needs CUDA's headers, throws, or ends the process.
#pragma once

#include <cstddef>
#include <cstdint>

namespace mdt::cuda_api {

constexpr int32_t kVersion = 1;
constexpr int32_t kMostAxes = 3;
constexpr const char* kEntryPoint = "mdt_cuda_ops";

// One level of a pyramid, float32 [batch, ...size, channels]; of `size` and `scale` the first `dim` values count.
struct RoiMap {
  void* values;
  int64_t size[kMostAxes];
  double scale[kMostAxes];  // cells per unit of the boxes
};

// Pointers are to memory of device number `device`, but for `maps`, which is host memory that is read during the call. Work is
// queued on `stream`, a cudaStream_t of that device.
struct RoiAlign {
  int32_t device;
  void* stream;
  int32_t dim;  // 2 or 3
  int32_t map_count;
  const RoiMap* maps;
  int64_t batch;
  int64_t channels;
  int64_t count;          // RoIs
  const float* boxes;     // [count, 2 * dim]: min..., max...
  const int32_t* images;  // [count], or null: all on image 0
  const int32_t* levels;  // [count], or null: all on map 0
  int64_t pool[kMostAxes];
  int32_t single;   // 1: one sample in the middle of each bin; 0: the mean of `ratio` samples per axis
  int32_t ratio;    // 0: as many as a bin has cells, rounded up
  int32_t aligned;  // of the mean: cell centres at 1/2
};

// Receives a sentence, cut to `bytes` with the null byte that ends it.
struct ErrorText {
  char* text;
  std::size_t bytes;
};

// Functions that give int32_t give 0 when all went well, else 1 and a sentence in `error`.
struct Ops {
  int32_t version;
  // Writes out [count, ...pool, channels].
  int32_t (*roi_align)(const RoiAlign* call, float* out, ErrorText error);
  // Bytes of device memory, aligned to 256, that the gradient wants; free again once the stream has come past.
  std::size_t (*roi_align_grad_workspace)(int32_t dim, int64_t count, int32_t deterministic);
  // Overwrites the values of the maps with the gradient; dy [count, ...pool, channels].
  int32_t (*roi_align_grad)(const RoiAlign* call, const float* dy, int32_t deterministic, void* workspace, std::size_t bytes,
                            ErrorText error);
};

// What `kEntryPoint` is; null where the addon does not speak this version.
using EntryPoint = const Ops* (*)(int32_t version);

}  // namespace mdt::cuda_api
