// Threads of one call: made for it, gone with it, so that no state outlives a call or a JS environment.
#pragma once

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <exception>
#include <functional>
#include <mutex>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

namespace mdt {

// How an op runs.
struct Execution {
  int threads = 0;                            // 0: one per processor that this process may use
  const std::atomic<int32_t>* stop = nullptr;  // not 0: the caller has lost interest; what was computed so far is worthless

  bool stopped() const { return stop != nullptr && stop->load(std::memory_order_relaxed) != 0; }

  int team_size() const {
    if (threads > 0) return threads;
    return std::max(1, static_cast<int>(std::thread::hardware_concurrency()));
  }
};

class ThreadTeam {
 public:
  // The calling thread is one of the team. Where the system refuses more threads, the team is smaller.
  // Work that is not `worthwhile` is done by the calling thread alone.
  explicit ThreadTeam(const Execution& execution, bool worthwhile = true) : execution_(execution) {
    const int threads = worthwhile ? execution.team_size() : 1;
    try {
      for (int i = 1; i < threads; ++i) workers_.emplace_back([this] { work(); });
    } catch (const std::system_error&) {
    }
  }

  ~ThreadTeam() {
    {
      const std::lock_guard<std::mutex> lock(mutex_);
      stopping_ = true;
    }
    wake_.notify_all();
    for (auto& worker : workers_) worker.join();
  }

  ThreadTeam(const ThreadTeam&) = delete;
  ThreadTeam& operator=(const ThreadTeam&) = delete;

  // Calls `body(i)` once for each i in [0, count), shared among the team, unless the call is stopped. What `body` throws
  // ends the work and is thrown here.
  void for_each(int64_t count, const std::function<void(int64_t)>& body) {
    if (workers_.empty() || count < 2) {
      for (int64_t i = 0; i < count && !execution_.stopped(); ++i) body(i);
      return;
    }
    {
      const std::lock_guard<std::mutex> lock(mutex_);
      body_ = &body;
      count_ = count;
      next_ = 0;
      busy_ = workers_.size();
      ++round_;
    }
    wake_.notify_all();
    drain();
    std::unique_lock<std::mutex> lock(mutex_);
    done_.wait(lock, [this] { return busy_ == 0; });
    if (failure_) std::rethrow_exception(std::exchange(failure_, nullptr));
  }

  int size() const { return static_cast<int>(workers_.size()) + 1; }

  // The same for ranges: `body(begin, end)` for parts of [0, count) that are at least `grain` long, the last one excepted.
  void for_ranges(int64_t count, int64_t grain, const std::function<void(int64_t, int64_t)>& body) {
    for_each((count + grain - 1) / grain,
             [&](int64_t part) { body(part * grain, std::min(count, (part + 1) * grain)); });
  }

 private:
  void drain() {
    try {
      for (int64_t i = next_++; i < count_ && !execution_.stopped(); i = next_++) (*body_)(i);
    } catch (...) {
      const std::lock_guard<std::mutex> lock(mutex_);
      failure_ = std::current_exception();
      next_ = count_;
    }
  }

  void work() {
    uint64_t seen = 0;
    for (;;) {
      {
        std::unique_lock<std::mutex> lock(mutex_);
        wake_.wait(lock, [&] { return stopping_ || round_ != seen; });
        if (stopping_) return;
        seen = round_;
      }
      drain();
      const std::lock_guard<std::mutex> lock(mutex_);
      if (--busy_ == 0) done_.notify_one();
    }
  }

  const Execution execution_;
  std::vector<std::thread> workers_;
  std::mutex mutex_;
  std::condition_variable wake_;
  std::condition_variable done_;
  const std::function<void(int64_t)>* body_ = nullptr;
  int64_t count_ = 0;
  std::atomic<int64_t> next_{0};
  std::size_t busy_ = 0;
  uint64_t round_ = 0;
  bool stopping_ = false;
  std::exception_ptr failure_;
};

}  // namespace mdt
