// Soft non-maximum suppression.
#include "../cpu/soft_nms.h"

#include <string>
#include <vector>

#include "checks.h"
#include "results.h"
#include "subjects.h"
#include "worker.h"

namespace mdt {
namespace {

// softNms(boxes, scores, groups: Int32Array | null, dim, gaussian, iouThreshold, sigma, minScore, inclusive, maxBoxes, threads,
//         stop): [Int32Array, Float64Array], the boxes kept and their scores
struct SoftNmsJob {
  static constexpr const char* op = "softNms";
  Execution execution;
  std::vector<double> boxes;
  std::vector<double> scores;
  Values<int32_t> groups;
  int dim = 0;
  SoftNmsOptions options{};
  SoftNmsResult kept;

  explicit SoftNmsJob(Arguments& args) {
    constexpr double kInfinity = std::numeric_limits<double>::infinity();
    boxes = args.reals("boxes");
    scores = args.reals("scores");
    const bool grouped = args.has_value();
    groups = args.optional_values<int32_t>("groups");
    dim = args.integer("dim", 2, 3);
    options.gaussian = args.boolean("gaussian");
    options.iou_threshold = args.number("iouThreshold", 0, kInfinity);
    options.sigma = args.number("sigma", 0, kInfinity);
    options.min_score = args.number("minScore", 0, kInfinity);
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
    kept = dim == 2 ? soft_nms<2>(boxes, scores, group, options, execution)
                    : soft_nms<3>(boxes, scores, group, options, execution);
  }

  napi_value result(napi_env env, napi_value) const {
    return to_list(env, op, {to_array(env, op, kept.kept), to_array(env, op, kept.scores)});
  }
};

}  // namespace

void expose_soft_nms(napi_env env, napi_value exports) { expose<SoftNmsJob>(env, exports); }

}  // namespace mdt
