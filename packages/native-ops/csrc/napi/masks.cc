// Masks of boxes put back into the image.
#include "../cpu/paste_masks.h"

#include <string>
#include <vector>

#include "checks.h"
#include "results.h"
#include "subjects.h"
#include "worker.h"

namespace mdt {
namespace {

// pasteMasks(masks: Float32Array [n, ...maskSize], maskSize: Int32Array [dim], boxes, size: Int32Array [dim], dim,
//            threshold: number | null, threads, stop): [n, ...size], Uint8Array, or Float32Array without a threshold
struct PasteMasksJob {
  static constexpr const char* op = "pasteMasks";
  Execution execution;
  Values<float> masks;
  Values<int32_t> mask_size;
  std::vector<double> boxes;
  Values<int32_t> size;
  int dim = 0;
  bool binary = false;
  double threshold = 0;
  double values = 0;
  void* out = nullptr;

  explicit PasteMasksJob(Arguments& args) {
    constexpr double kInfinity = std::numeric_limits<double>::infinity();
    masks = args.values<float>("masks");
    mask_size = args.values<int32_t>("maskSize");
    boxes = args.reals("boxes");
    size = args.values<int32_t>("size");
    dim = args.integer("dim", 2, 3);
    binary = args.has_value();
    if (binary) {
      threshold = args.number("threshold", -kInfinity, kInfinity);
    } else {
      args.skip();
    }
    execution = args.execution();
    const auto n = static_cast<double>(box_count(op, "boxes", boxes.size(), dim));
    expect_length(op, "masks", masks.size(), n * product_of_sizes(args, "maskSize", mask_size, dim), "boxes and maskSize");
    values = n * product_of_sizes(args, "size", size, dim);
  }

  napi_value allocate(napi_env env) {
    const NewArray<void> array = new_array_of(env, op, binary ? napi_uint8_array : napi_float32_array, values);
    out = array.data;
    return array.value;
  }

  void run() const { dim == 2 ? paste<2>() : paste<3>(); }

  template <int D>
  void paste() const {
    int64_t from[D];
    int64_t to[D];
    for (int d = 0; d < D; ++d) {
      from[d] = mask_size[d];
      to[d] = size[d];
    }
    if (binary) {
      paste_masks<D>(masks.data(), from, boxes, to, threshold, execution, static_cast<uint8_t*>(out));
    } else {
      paste_masks<D>(masks.data(), from, boxes, to, threshold, execution, static_cast<float*>(out));
    }
  }

  napi_value result(napi_env, napi_value allocated) const { return allocated; }
};

}  // namespace

void expose_masks(napi_env env, napi_value exports) { expose<PasteMasksJob>(env, exports); }

}  // namespace mdt
