// Weighted box clustering.
#include "../cpu/weighted_clusters.h"

#include <string>
#include <vector>

#include "checks.h"
#include "results.h"
#include "subjects.h"
#include "worker.h"

namespace mdt {
namespace {

// weightedClusters(boxes, scores, weights, overlaps, groups: Int32Array, patches: Int32Array, dim, iouThreshold,
//                  predictionsPerTile, missingWeight, sizeWeight, countBoxes, inclusive, threads, stop):
//                  [Float64Array, Float64Array, Int32Array, Int32Array], boxes, scores, groups and members of the clusters
struct WeightedClustersJob {
  static constexpr const char* op = "weightedClusters";
  Execution execution;
  Values<double> boxes;
  Values<double> scores;
  Values<double> weights;
  Values<double> overlaps;
  Values<int32_t> groups;
  Values<int32_t> patches;
  int dim = 0;
  WeightedClustersOptions options{};
  WeightedClusters clusters;

  explicit WeightedClustersJob(Arguments& args) {
    constexpr double kLargest = std::numeric_limits<double>::max();
    boxes = args.real_values("boxes");
    scores = args.real_values("scores");
    weights = args.real_values("weights");
    overlaps = args.real_values("overlaps");
    groups = args.values<int32_t>("groups");
    patches = args.values<int32_t>("patches");
    dim = args.integer("dim", 2, 3);
    options.iou_threshold = args.number("iouThreshold", 0, std::numeric_limits<double>::infinity());
    options.predictions_per_tile = args.number("predictionsPerTile", 0, kLargest);
    options.missing_weight = args.number("missingWeight", 0, kLargest);
    options.size_weight = args.boolean("sizeWeight");
    options.count_boxes = args.boolean("countBoxes");
    options.plus = args.boolean("inclusive") ? 1 : 0;
    execution = args.execution();
    const auto n = static_cast<double>(box_count(op, "boxes", boxes.size(), dim));
    expect_length(op, "scores", scores.size(), n, "one per box");
    expect_length(op, "weights", weights.size(), n, "one per box");
    expect_length(op, "overlaps", overlaps.size(), n, "one per box");
    expect_length(op, "groups", groups.size(), n, "one per box");
    expect_length(op, "patches", patches.size(), n, "one per box");
  }

  napi_value allocate(napi_env) { return nullptr; }

  void run() {
    const ClusterCandidates candidates{scores.size(),   boxes.data(),  scores.data(), weights.data(),
                                       overlaps.data(), groups.data(), patches.data()};
    clusters = dim == 2 ? weighted_clusters<2>(candidates, options, execution)
                        : weighted_clusters<3>(candidates, options, execution);
  }

  napi_value result(napi_env env, napi_value) const {
    return to_list(env, op,
                   {to_array(env, op, clusters.boxes), to_array(env, op, clusters.scores), to_array(env, op, clusters.groups),
                    to_array(env, op, clusters.members)});
  }
};

}  // namespace

void expose_weighted_clusters(napi_env env, napi_value exports) { expose<WeightedClustersJob>(env, exports); }

}  // namespace mdt
