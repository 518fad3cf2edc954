// Runs the work of the CUDA kernels on the host, where items are taken forwards, backwards and shuffled, and compares it with
// the CPU ops on random input:  g++ -std=c++17 cuda-steps.cc -pthread && ./a.out SEED ROUNDS
#include <cstdio>
#include <cstdlib>
#include <limits>
#include <numeric>
#include <random>
#include <string>
#include <vector>

#include "../csrc/cpu/box_iou.h"
#include "../csrc/cpu/box_pairs.h"
#include "../csrc/cpu/nms.h"
#include "../csrc/cpu/roi_align.h"
#include "../csrc/cuda/box_iou_steps.h"
#include "../csrc/cuda/nms_steps.h"
#include "../csrc/cuda/roi_align_steps.h"

namespace {

using mdt::cuda::HostTeam;
using mdt::cuda::Order;

constexpr Order kOrders[] = {Order::kForward, Order::kBackward, Order::kShuffled};

std::mt19937_64 random_bits;

int64_t integer(int64_t low, int64_t high) { return std::uniform_int_distribution<int64_t>(low, high)(random_bits); }
double real(double low, double high) { return std::uniform_real_distribution<double>(low, high)(random_bits); }

[[noreturn]] void fail(const std::string& what) {
  std::printf("failed: %s\n", what.c_str());
  std::exit(1);
}

// Boxes on a grid, so that ties, duplicates and touching sides are common; some are inverted or not finite.
template <int D>
std::vector<double> boxes_of(int64_t n, double spread) {
  constexpr double kOdd[] = {std::numeric_limits<double>::quiet_NaN(), std::numeric_limits<double>::infinity(), -1e300};
  std::vector<double> rows(n * 2 * D);
  for (int64_t i = 0; i < n; ++i) {
    for (int d = 0; d < D; ++d) {
      rows[i * 2 * D + d] = std::floor(real(0, spread));
      rows[i * 2 * D + D + d] = rows[i * 2 * D + d] + static_cast<double>(integer(-1, 12));
    }
    if (integer(0, 50) == 0) rows[i * 2 * D + integer(0, 2 * D - 1)] = kOdd[integer(0, 2)];
  }
  return rows;
}

// What sorting on the device gives.
std::vector<int32_t> sorted_by(const std::vector<uint64_t>& keys) {
  std::vector<int32_t> order(keys.size());
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(), [&](int32_t a, int32_t b) { return keys[a] < keys[b]; });
  return order;
}

template <int D>
std::vector<int32_t> nms_on_host(Order order, const std::vector<double>& boxes, const std::vector<double>& scores,
                                 const std::vector<int32_t>& groups, const mdt::NmsOptions& options) {
  const int64_t n = static_cast<int64_t>(scores.size());
  std::vector<uint64_t> keys;
  for (double score : scores) keys.push_back(mdt::cuda::score_key(score));
  const std::vector<int32_t> by_score = sorted_by(keys);
  std::vector<uint64_t> group_keys(n, 0);
  for (int64_t rank = 0; rank < n && !groups.empty(); ++rank) group_keys[rank] = static_cast<uint32_t>(groups[by_score[rank]]);
  const std::vector<int32_t> by_group = sorted_by(group_keys);

  // Rubbish in the workspace, exact sizes: the steps have to write what they read, and stay inside (-fsanitize=address).
  std::vector<mdt::cuda::NmsRow<D>> rows(n);
  std::vector<int32_t> segment(n, -7), starts(n + 1, -7), found(n, -7), chunks((n + mdt::cuda::kChunk - 1) / mdt::cuda::kChunk + 1, -7);
  std::vector<uint64_t> mask(n * mdt::cuda::kWords, ~uint64_t{0});
  std::vector<uint8_t> struck(n, 7), stays(n, 7);
  int32_t segments = -7;
  int64_t pending = -7;
  int32_t count = -7;
  std::vector<int32_t> kept(std::min(n, options.max_boxes));
  mdt::cuda::NmsState<D> state{};
  state.n = n;
  state.iou_threshold = options.iou_threshold;
  state.plus = options.plus;
  state.max_boxes = options.max_boxes;
  state.groups = groups.empty() ? nullptr : groups.data();
  state.by_score = by_score.data();
  state.by_group = by_group.data();
  state.rows = rows.data();
  state.segment = segment.data();
  state.starts = starts.data();
  state.found = found.data();
  state.mask = mask.data();
  state.struck = struck.data();
  state.stays = stays.data();
  state.chunks = chunks.data();
  state.segments = &segments;
  state.pending = &pending;
  mdt::cuda::nms_steps(HostTeam{order}, state, boxes.data(), kept.data(), &count);
  if (count < 0 || count > static_cast<int32_t>(kept.size())) fail("nms: the count is " + std::to_string(count));
  kept.resize(count);
  return kept;
}

template <int D>
void check_nms() {
  const int64_t most[] = {1, 2, 64, 65, 511, 512, 513, 1500, 3000};
  const int64_t n = std::max<int64_t>(1, most[integer(0, 8)] - integer(0, 1));
  const double spread = integer(0, 1) ? 300 : 30;
  const std::vector<double> boxes = boxes_of<D>(n, spread);
  std::vector<double> scores(n);
  for (double& score : scores) score = static_cast<double>(integer(-20, 20)) / 20;
  for (int64_t i = 0; i < n / 40; ++i) scores[integer(0, n - 1)] = std::numeric_limits<double>::quiet_NaN();
  for (int64_t i = 0; i < n / 40; ++i) scores[integer(0, n - 1)] = -0.0;
  std::vector<int32_t> groups;
  const int64_t kinds[] = {0, 1, 3, n};
  const int64_t group_count = kinds[integer(0, 3)];
  for (int64_t i = 0; i < n && group_count > 0; ++i) groups.push_back(static_cast<int32_t>(integer(-1, group_count) * 400009));
  mdt::NmsOptions options{};
  options.iou_threshold = integer(0, 3) == 0 ? 0 : real(0, 0.9);
  options.plus = static_cast<double>(integer(0, 1));
  options.max_boxes = integer(0, 1) ? std::numeric_limits<int32_t>::max() : integer(0, 600);
  const auto expected = mdt::nms<D>(boxes, scores, groups.empty() ? nullptr : groups.data(), options, mdt::Execution{1});
  for (Order order : kOrders) {
    if (nms_on_host<D>(order, boxes, scores, groups, options) == expected) continue;
    fail("nms of " + std::to_string(n) + " boxes in " + std::to_string(D) + "D, " + std::to_string(group_count) + " groups, at " +
         std::to_string(options.iou_threshold));
  }
}

// The same values, none beyond [-1, 1] and none NaN, however huge the boxes are.
bool same(const std::vector<double>& got, const std::vector<double>& expected) {
  constexpr double kRounding = 1e-12;
  return got == expected && std::all_of(got.begin(), got.end(), [](double v) { return std::abs(v) <= 1 + kRounding; });
}

template <int D>
void check_box_iou() {
  const int64_t n = integer(0, 40);
  const int64_t m = integer(0, 40);
  const std::vector<double> a = boxes_of<D>(n, 20);
  const std::vector<double> b = boxes_of<D>(m, 20);
  const double plus = static_cast<double>(integer(0, 1));
  std::vector<double> expected(n * m), got(n * m, 7);
  mdt::box_iou<D>(a, b, plus, mdt::Execution{1}, expected.data());
  const auto fill = [&](mdt::cuda::Overlap overlap) {
    HostTeam{Order::kShuffled}.each(n * m, mdt::cuda::FillIou<D, double>{{D, a.data(), n, b.data(), m, plus, overlap, got.data()}});
    return got;
  };
  if (!same(fill(mdt::cuda::Overlap::kIou), expected)) fail("boxIou in " + std::to_string(D) + "D");
  mdt::box_pairs<D>(a, b, plus, mdt::PairMeasure::kGiou, mdt::Execution{1}, expected.data());
  if (!same(fill(mdt::cuda::Overlap::kGiou), expected)) fail("GIoU in " + std::to_string(D) + "D");
  mdt::box_pairs<D>(a, b, plus, mdt::PairMeasure::kDiou, mdt::Execution{1}, expected.data());
  if (!same(fill(mdt::cuda::Overlap::kDiou), expected)) fail("DIoU in " + std::to_string(D) + "D");
}

double furthest(const std::vector<float>& a, const std::vector<float>& b) {
  double most = 0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    const double distance = std::abs(static_cast<double>(a[i]) - b[i]);
    if (!(distance <= most)) most = distance;
  }
  return most;
}

template <int D>
void check_roi_align() {
  constexpr int32_t kMaps = 2;
  const int64_t batch = integer(1, 2);
  const int64_t channels = integer(1, 9);
  const int64_t count = integer(0, 12);
  mdt::RoiAlignOptions<D> options{};
  options.sampling = integer(0, 1) ? mdt::RoiSampling::kSingle : mdt::RoiSampling::kAverage;
  options.ratio = static_cast<int32_t>(integer(0, 3));
  options.aligned = integer(0, 1) != 0;
  int64_t bins = 1;
  for (int64_t& pool : options.pool) bins *= pool = integer(1, 4);
  std::vector<float> maps[kMaps], expected_grad[kMaps], grad[kMaps];
  mdt::RoiMap<D, const float> inputs[kMaps];
  mdt::RoiMap<D, float> outputs[kMaps];
  for (int32_t m = 0; m < kMaps; ++m) {
    int64_t values = batch * channels;
    for (int d = 0; d < D; ++d) {
      values *= inputs[m].size[d] = outputs[m].size[d] = integer(1, 9);
      inputs[m].scale[d] = outputs[m].scale[d] = real(0.2, 1.2);
    }
    maps[m].resize(values);
    for (float& value : maps[m]) value = static_cast<float>(real(-1, 1));
    inputs[m].values = maps[m].data();
    expected_grad[m].assign(values, 7);
    grad[m].assign(values, 7);
  }
  std::vector<double> boxes = boxes_of<D>(count, 12);
  for (double& value : boxes) value += real(-0.5, 0.5);
  std::vector<int32_t> images(count), levels(count);
  for (int32_t& image : images) image = static_cast<int32_t>(integer(-1, batch));
  for (int32_t& level : levels) level = static_cast<int32_t>(integer(-1, kMaps));
  const mdt::Rois<D, double> rois{boxes.data(), integer(0, 3) ? images.data() : nullptr, levels.data(), count};
  std::vector<float> dy(count * bins * channels), expected(dy.size(), 7), got(dy.size(), 0);
  for (float& value : dy) value = static_cast<float>(real(-1, 1));

  mdt::roi_align<D, double>(inputs, kMaps, batch, channels, rois, options, mdt::Execution{1}, expected.data());
  for (int32_t m = 0; m < kMaps; ++m) {
    const mdt::cuda::PoolBin<D, double> pool{{inputs[m], m, batch, channels, rois, options}, got.data()};
    HostTeam{Order::kShuffled}.each(pool.items(), pool);
  }
  if (!(furthest(got, expected) < 1e-5)) fail("roiAlign in " + std::to_string(D) + "D: " + std::to_string(furthest(got, expected)));

  for (int32_t m = 0; m < kMaps; ++m) outputs[m].values = expected_grad[m].data();
  mdt::roi_align_grad<D, double>(dy.data(), outputs, kMaps, batch, channels, rois, options, mdt::Execution{1});
  std::vector<mdt::cuda::Reach> reach(count * D);
  for (Order order : kOrders) {
    for (int32_t m = 0; m < kMaps; ++m) {
      outputs[m].values = grad[m].data();
      const mdt::cuda::RoiLevel<D, float, double> level{outputs[m], m, batch, channels, rois, options};
      const mdt::cuda::FindReach<D, double> find{level, reach.data()};
      HostTeam{order}.each(find.items(), find);
      const mdt::cuda::GatherCell<D, double> gather{level, reach.data(), dy.data()};
      HostTeam{order}.each(gather.items(), gather);
      if (grad[m] != expected_grad[m]) fail("deterministic roiAlignGrad in " + std::to_string(D) + "D differs from the CPU");
      std::fill(grad[m].begin(), grad[m].end(), 0.0f);
      const mdt::cuda::ScatterBin<D, double> scatter{level, dy.data()};
      HostTeam{order}.each(scatter.items(), scatter);
      if (!(furthest(grad[m], expected_grad[m]) < 1e-4)) fail("roiAlignGrad in " + std::to_string(D) + "D");
    }
  }
}

}  // namespace

int main(int argc, char** argv) {
  const int seed = argc > 1 ? std::atoi(argv[1]) : 1;
  const int rounds = argc > 2 ? std::atoi(argv[2]) : 200;
  random_bits.seed(seed);
  for (int round = 0; round < rounds; ++round) {
    check_nms<2>();
    check_nms<3>();
    check_box_iou<2>();
    check_box_iou<3>();
    check_roi_align<2>();
    check_roi_align<3>();
  }
  std::printf("%d rounds agree\n", rounds);
}
