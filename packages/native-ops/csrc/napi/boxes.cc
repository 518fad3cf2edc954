// Non-maximum suppression and IoU.
#include <string>
#include <vector>

#include "backend.h"
#include "checks.h"
#include "results.h"
#include "subjects.h"
#include "worker.h"

namespace mdt {
namespace {

// nms(boxes, scores, groups: Int32Array | null, dim, iouThreshold, inclusive, maxBoxes, threads, stop): Int32Array
struct NmsJob {
  static constexpr const char* op = "nms";
  Execution execution;
  std::vector<double> boxes;
  std::vector<double> scores;
  Values<int32_t> groups;
  int dim = 0;
  NmsOptions options{};
  std::vector<int32_t> kept;

  explicit NmsJob(Arguments& args) {
    boxes = args.reals("boxes");
    scores = args.reals("scores");
    const bool grouped = args.has_value();
    groups = args.optional_values<int32_t>("groups");
    dim = args.integer("dim", 2, 3);
    options.iou_threshold = args.number("iouThreshold", 0, std::numeric_limits<double>::infinity());
    options.plus = args.boolean("inclusive") ? 1 : 0;
    options.max_boxes = args.integer("maxBoxes", 0, std::numeric_limits<int32_t>::max());
    execution = args.execution();
    const auto n = static_cast<double>(box_count(op, "boxes", boxes.size(), dim));
    expect_length(op, "scores", scores.size(), n, "one per box");
    if (grouped) expect_length(op, "groups", groups.size(), n, "one per box");
  }

  napi_value allocate(napi_env) { return nullptr; }

  void run() {
    const int32_t* group = groups.size() > 0 ? groups.data() : nullptr;
    kept = dim == 2 ? backend::nms<2>(boxes, scores, group, options, execution) : backend::nms<3>(boxes, scores, group, options, execution);
  }

  napi_value result(napi_env env, napi_value) const { return to_array(env, op, kept); }
};

// boxIou(a, b, dim, inclusive, threads, stop): Float64Array of [a, b]
struct BoxIouJob {
  static constexpr const char* op = "boxIou";
  Execution execution;
  std::vector<double> a;
  std::vector<double> b;
  int dim = 0;
  double plus = 0;
  double* out = nullptr;

  explicit BoxIouJob(Arguments& args) {
    a = args.reals("a");
    b = args.reals("b");
    dim = args.integer("dim", 2, 3);
    plus = args.boolean("inclusive") ? 1 : 0;
    execution = args.execution();
  }

  napi_value allocate(napi_env env) {
    const double pairs = static_cast<double>(box_count(op, "a", a.size(), dim)) * box_count(op, "b", b.size(), dim);
    const NewArray<double> matrix = new_array<double>(env, op, pairs);
    out = matrix.data;
    return matrix.value;
  }

  void run() const { dim == 2 ? backend::box_iou<2>(a, b, plus, execution, out) : backend::box_iou<3>(a, b, plus, execution, out); }

  napi_value result(napi_env, napi_value allocated) const { return allocated; }
};

}  // namespace

void expose_boxes(napi_env env, napi_value exports) {
  expose<NmsJob>(env, exports);
  expose<BoxIouJob>(env, exports);
}

}  // namespace mdt
