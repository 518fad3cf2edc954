// Who runs the steps of a kernel. A kernel's work is a function over a team, so that the same source runs as one launch on
// the device and, item by item, in the tests on machines without one.
//
//   team.each(count, body)     body(i) for every i in [0, count), in any order and at the same time; returns when all are done
//   team.groups(count, body)   body(i, inner) for every i likewise, where `inner` is a team of one block for the steps inside
#pragma once

#include <cstdint>

#if defined(__CUDACC__)
#include <cooperative_groups.h>
#define MDT_STEPS __device__ inline
#else
#include <algorithm>
#include <numeric>
#include <random>
#include <vector>
#define MDT_STEPS inline
#endif

namespace mdt::cuda {

#if defined(__CUDACC__)

struct BlockTeam {
  template <class Body>
  __device__ void each(int64_t count, const Body& body) const {
    for (int64_t i = threadIdx.x; i < count; i += blockDim.x) body(i);
    __syncthreads();
  }
};

// All blocks of a cooperative launch.
struct GridTeam {
  template <class Body>
  __device__ void each(int64_t count, const Body& body) const {
    const int64_t step = static_cast<int64_t>(gridDim.x) * blockDim.x;
    for (int64_t i = static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x; i < count; i += step) body(i);
    cooperative_groups::this_grid().sync();
  }

  template <class Body>
  __device__ void groups(int64_t count, const Body& body) const {
    for (int64_t i = blockIdx.x; i < count; i += gridDim.x) body(i, BlockTeam{});
    cooperative_groups::this_grid().sync();
  }
};

MDT_STEPS void add(float* sum, float term) { atomicAdd(sum, term); }

#else

enum class Order { kForward, kBackward, kShuffled };

// One thread that takes the items in a chosen order: steps that lean on the order of their items show.
struct HostTeam {
  Order order = Order::kForward;

  template <class Body>
  void each(int64_t count, const Body& body) const {
    std::vector<int64_t> items(count);
    std::iota(items.begin(), items.end(), int64_t{0});
    if (order == Order::kBackward) std::reverse(items.begin(), items.end());
    if (order == Order::kShuffled) std::shuffle(items.begin(), items.end(), std::mt19937_64(static_cast<uint64_t>(count)));
    for (int64_t i : items) body(i);
  }

  template <class Body>
  void groups(int64_t count, const Body& body) const {
    each(count, [&](int64_t i) { body(i, *this); });
  }
};

MDT_STEPS void add(float* sum, float term) { *sum += term; }

#endif

}  // namespace mdt::cuda
