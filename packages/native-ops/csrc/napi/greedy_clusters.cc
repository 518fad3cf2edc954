// Greedy clusters of boxes.
#include "../cpu/greedy_clusters.h"

#include <string>
#include <vector>

#include "checks.h"
#include "results.h"
#include "subjects.h"
#include "worker.h"

namespace mdt {
namespace {

// greedyClusters(boxes, groups: Int32Array, links: Int32Array | null, dim, iouThreshold, inclusive, threads, stop): Int32Array,
//                the seed of each box
struct GreedyClustersJob {
  static constexpr const char* op = "greedyClusters";
  Execution execution;
  std::vector<double> boxes;
  Values<int32_t> groups;
  Values<int32_t> links;
  bool linked = false;
  int dim = 0;
  double iou_threshold = 0;
  double plus = 0;
  std::vector<int32_t> owners;

  explicit GreedyClustersJob(Arguments& args) {
    boxes = args.reals("boxes");
    groups = args.values<int32_t>("groups");
    linked = args.has_value();
    links = args.optional_values<int32_t>("links");
    dim = args.integer("dim", 2, 3);
    iou_threshold = args.number("iouThreshold", 0, std::numeric_limits<double>::infinity());
    plus = args.boolean("inclusive") ? 1 : 0;
    execution = args.execution();
    const auto n = static_cast<double>(box_count(op, "boxes", boxes.size(), dim));
    expect_length(op, "groups", groups.size(), n, "one per box");
    if (!linked) return;
    const auto count = static_cast<int64_t>(links.size() / 2);
    for (std::size_t i = 0; i < links.size(); ++i) expect_group("links", links.data()[i], -1, count);
    for (std::size_t i = 0; i < groups.size(); ++i) expect_group("groups", groups.data()[i], 0, count);
  }

  static void expect_group(const char* name, int32_t group, int64_t least, int64_t count) {
    if (group >= least && group < count) return;
    const std::string range = std::to_string(least) + " to " + std::to_string(count - 1);
    throw JsError{ErrorKind::kRange, std::string(op) + ": " + name + " has " + std::to_string(group) + ", expected " + range};
  }

  napi_value allocate(napi_env) { return nullptr; }

  void run() {
    const int32_t* link = linked ? links.data() : nullptr;
    owners = dim == 2 ? greedy_clusters(boxes_of<2>(boxes), groups.data(), link, iou_threshold, plus, execution)
                      : greedy_clusters(boxes_of<3>(boxes), groups.data(), link, iou_threshold, plus, execution);
  }

  napi_value result(napi_env env, napi_value) const { return to_array(env, op, owners); }
};

}  // namespace

void expose_greedy_clusters(napi_env env, napi_value exports) { expose<GreedyClustersJob>(env, exports); }

}  // namespace mdt
