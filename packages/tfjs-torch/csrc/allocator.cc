#include "allocator.h"

#include <c10/core/Allocator.h>
#include <c10/core/CPUAllocator.h>
#include <sys/mman.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <map>
#include <mutex>
#include <new>
#include <string>
#include <unordered_map>

namespace mdt {
namespace {

constexpr size_t kLarge = size_t{1} << 20;      // smaller blocks stay with the system's allocator
constexpr size_t kHugePage = size_t{2} << 20;
// Unused blocks are kept while all memory together stays near the most that tensors ever used at once, and up to a limit.
constexpr size_t kSlack = size_t{256} << 20;
constexpr size_t kMaxCached = size_t{4} << 30;

// Sizes are rounded up to eighths of a power of two, so that nearly equal requests share blocks.
size_t size_class(size_t bytes) {
  size_t power = kLarge;
  while (power * 2 <= bytes) power *= 2;
  const size_t step = power / 8;
  return (bytes + step - 1) / step * step;
}

class BlockCache {
 public:
  void* take(size_t bytes) {
    const size_t size = size_class(bytes);
    {
      std::lock_guard lock(mutex_);
      const auto found = unused_.lower_bound(size);
      if (found != unused_.end() && found->first <= size + size / 4) {
        const auto [fitting, block] = *found;
        unused_.erase(found);
        cached_ -= fitting;
        hold(block, fitting);
        return block;
      }
    }
    void* block = system_block(size);
    if (block == nullptr) {
      release_all();  // what lies unused may be all that is missing
      block = system_block(size);
    }
    if (block == nullptr) return nullptr;
    std::lock_guard lock(mutex_);
    hold(block, size);
    return block;
  }

  // False when the block is not one of ours.
  bool give(void* block) {
    std::lock_guard lock(mutex_);
    const auto found = sizes_.find(block);
    if (found == sizes_.end()) return false;
    const size_t size = found->second;
    sizes_.erase(found);
    used_ -= size;
    unused_.emplace(size, block);
    cached_ += size;
    while (cached_ > kMaxCached || (cached_ > 0 && used_ + cached_ > peak_ + kSlack)) {
      const auto largest = std::prev(unused_.end());
      cached_ -= largest->first;
      std::free(largest->second);
      unused_.erase(largest);
    }
    return true;
  }

 private:
  void hold(void* block, size_t size) {
    sizes_[block] = size;
    used_ += size;
    peak_ = std::max(peak_, used_);
  }

  static void* system_block(size_t size) {
    void* block = nullptr;
    if (posix_memalign(&block, size >= kHugePage ? kHugePage : 64, size) != 0) return nullptr;
    if (size >= kHugePage) madvise(block, size, MADV_HUGEPAGE);
    return block;
  }

  void release_all() {
    std::lock_guard lock(mutex_);
    for (const auto& [size, block] : unused_) std::free(block);
    unused_.clear();
    cached_ = 0;
  }

  std::mutex mutex_;
  std::multimap<size_t, void*> unused_;
  std::unordered_map<void*, size_t> sizes_;  // of blocks in use
  size_t cached_ = 0, used_ = 0, peak_ = 0;  // bytes
};

// Lives as long as the process: tensors may outlive everything that could own it.
BlockCache& cache() {
  static auto* instance = new BlockCache();
  return *instance;
}

void release(void* block) {
  if (block != nullptr && !cache().give(block)) std::free(block);
}

class Allocator final : public c10::Allocator {
 public:
  c10::DataPtr allocate(size_t bytes) override {
    void* block = nullptr;
    if (bytes >= kLarge) {
      block = cache().take(bytes);
    } else if (bytes > 0 && posix_memalign(&block, 64, bytes) != 0) {
      block = nullptr;
    }
    if (bytes > 0 && block == nullptr) throw std::runtime_error("out of memory: " + std::to_string(bytes) + " bytes were asked for");
    return {block, block, &release, c10::Device(c10::DeviceType::CPU)};
  }
  c10::DeleterFnPtr raw_deleter() const override { return &release; }
  void copy_data(void* to, const void* from, size_t bytes) const override { std::memcpy(to, from, bytes); }
};

}  // namespace

void install_allocator() {
  static std::once_flag once;
  std::call_once(once, [] {
    static auto* allocator = new Allocator();
    c10::SetCPUAllocator(allocator, 1);
  });
}

}  // namespace mdt
