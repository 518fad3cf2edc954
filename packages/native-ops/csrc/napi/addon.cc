// What JS sees. One job per op; each is exported twice, as `op` and as `opAsync`, with the same arguments.
#include <node_api.h>

#include <cstring>
#include <string>
#include <utility>
#include <vector>

#include "../cpu/box_iou.h"
#include "../cpu/nms.h"
#include "arguments.h"
#include "worker.h"

namespace mdt {
namespace {

constexpr int kMaxThreads = 1024;

// A length that must be a multiple of the values per box.
std::size_t box_count(const char* op, const char* name, const std::vector<double>& rows, int dim) {
  if (rows.size() % (2 * dim) != 0) {
    throw JsError{ErrorKind::kRange, std::string(op) + ": " + name + " has " + std::to_string(rows.size()) +
                                         " values, expected a multiple of " + std::to_string(2 * dim)};
  }
  return rows.size() / (2 * dim);
}

void expect_length(const char* op, const char* name, std::size_t length, std::size_t expected) {
  if (length == expected) return;
  throw JsError{ErrorKind::kRange, std::string(op) + ": " + name + " has " + std::to_string(length) + " values, expected " +
                                       std::to_string(expected) + " (one per box)"};
}

// nms(boxes, scores, groups: Int32Array | null, dim, iouThreshold, inclusive, maxBoxes, threads): Int32Array
struct NmsJob {
  static constexpr const char* op = "nms";
  std::vector<double> boxes;
  std::vector<double> scores;
  std::vector<int32_t> groups;
  int dim = 0;
  NmsOptions options{};
  std::vector<int32_t> kept;

  explicit NmsJob(Arguments& args) {
    boxes = args.reals("boxes");
    scores = args.reals("scores");
    const bool grouped = args.has_value();
    groups = args.optional_ints("groups");
    dim = args.integer("dim", 2, 3);
    options.iou_threshold = args.number("iouThreshold", 0, std::numeric_limits<double>::infinity());
    options.plus = args.boolean("inclusive") ? 1 : 0;
    options.max_boxes = args.integer("maxBoxes", 0, std::numeric_limits<int32_t>::max());
    options.threads = args.integer("threads", 0, kMaxThreads);
    const std::size_t n = box_count(op, "boxes", boxes, dim);
    expect_length(op, "scores", scores.size(), n);
    if (grouped) expect_length(op, "groups", groups.size(), n);
  }

  napi_value allocate(napi_env) { return nullptr; }

  void run() { kept = dim == 2 ? nms<2>(boxes, scores, groups, options) : nms<3>(boxes, scores, groups, options); }

  napi_value result(napi_env env, napi_value) const {
    void* data = nullptr;
    napi_value buffer = nullptr;
    napi_value array = nullptr;
    check(napi_create_arraybuffer(env, kept.size() * sizeof(int32_t), &data, &buffer), op, "make the result");
    if (!kept.empty()) std::memcpy(data, kept.data(), kept.size() * sizeof(int32_t));
    check(napi_create_typedarray(env, napi_int32_array, kept.size(), buffer, 0, &array), op, "make the result");
    return array;
  }
};

// boxIou(a, b, dim, inclusive, threads): Float64Array of [a, b]
struct BoxIouJob {
  static constexpr const char* op = "boxIou";
  std::vector<double> a;
  std::vector<double> b;
  int dim = 0;
  double plus = 0;
  int threads = 0;
  double* out = nullptr;

  explicit BoxIouJob(Arguments& args) {
    a = args.reals("a");
    b = args.reals("b");
    dim = args.integer("dim", 2, 3);
    plus = args.boolean("inclusive") ? 1 : 0;
    threads = args.integer("threads", 0, kMaxThreads);
    box_count(op, "a", a, dim);
    box_count(op, "b", b, dim);
  }

  napi_value allocate(napi_env env) {
    const std::size_t pairs = (a.size() / (2 * dim)) * (b.size() / (2 * dim));
    // V8 ends the process when an array buffer cannot be had, so the size is checked here.
    constexpr std::size_t kMaxPairs = std::size_t{1} << 30;
    if (pairs > kMaxPairs) {
      throw JsError{ErrorKind::kRange, std::string(op) + ": the matrix would have " + std::to_string(pairs) +
                                           " values, expected at most " + std::to_string(kMaxPairs)};
    }
    void* data = nullptr;
    napi_value buffer = nullptr;
    napi_value array = nullptr;
    check(napi_create_arraybuffer(env, pairs * sizeof(double), &data, &buffer), op, "make the result");
    check(napi_create_typedarray(env, napi_float64_array, pairs, buffer, 0, &array), op, "make the result");
    out = static_cast<double*>(data);
    return array;
  }

  void run() const { dim == 2 ? box_iou<2>(a, b, plus, threads, out) : box_iou<3>(a, b, plus, threads, out); }

  napi_value result(napi_env, napi_value allocated) const { return allocated; }
};

template <class Job>
napi_value call_now(napi_env env, napi_callback_info info) {
  return guarded(env, Job::op, [&] {
    Arguments args(env, info, Job::op);
    return run_now(env, Job(args));
  });
}

template <class Job>
napi_value call_async(napi_env env, napi_callback_info info) {
  return guarded(env, Job::op, [&] {
    Arguments args(env, info, Job::op);
    return run_async(env, Job(args));
  });
}

void expose(napi_env env, napi_value exports, const char* name, napi_callback callback) {
  napi_value function = nullptr;
  check(napi_create_function(env, name, NAPI_AUTO_LENGTH, callback, nullptr, &function), name, "make the function");
  check(napi_set_named_property(env, exports, name, function), name, "export the function");
}

}  // namespace
}  // namespace mdt

NAPI_MODULE_INIT() {
  return mdt::guarded(env, "mdt_native_ops", [&] {
    mdt::expose(env, exports, "nms", mdt::call_now<mdt::NmsJob>);
    mdt::expose(env, exports, "nmsAsync", mdt::call_async<mdt::NmsJob>);
    mdt::expose(env, exports, "boxIou", mdt::call_now<mdt::BoxIouJob>);
    mdt::expose(env, exports, "boxIouAsync", mdt::call_async<mdt::BoxIouJob>);
    return exports;
  });
}
