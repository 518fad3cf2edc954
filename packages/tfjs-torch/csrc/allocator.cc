#include "allocator.h"

#include <c10/core/Allocator.h>
#include <c10/core/CPUAllocator.h>

#include <algorithm>
#include <atomic>
#include <cstring>
#include <limits>
#include <map>
#include <mutex>
#include <string>
#include <unordered_map>

#include "system_memory.h"

namespace mdt {
namespace {

constexpr size_t kLarge = size_t{1} << 20;  // smaller blocks stay with the system's allocator
constexpr size_t kUnlimited = std::numeric_limits<size_t>::max();

// Sizes are rounded up to sixteenths of a power of two, so that nearly equal requests share blocks.
size_t size_class(size_t bytes) {
  size_t power = kLarge;
  while (power <= bytes / 2) power *= 2;
  const size_t step = power / 16;
  return (bytes + step - 1) / step * step;
}

// Bytes that are live, by request, with the limit on them.
class Ledger {
 public:
  // False where the limit does not allow it.
  bool add(size_t bytes) {
    const size_t before = live_.fetch_add(bytes);
    if (bytes > limit_ || before > limit_ - bytes) {
      live_.fetch_sub(bytes);
      return false;
    }
    size_t peak = peak_;
    while (peak < before + bytes && !peak_.compare_exchange_weak(peak, before + bytes)) continue;
    return true;
  }
  void remove(size_t bytes) { live_.fetch_sub(bytes); }
  size_t live() const { return live_; }
  size_t peak() const { return peak_; }
  size_t limit() const { return limit_; }
  void set_limit(size_t bytes) { limit_ = bytes; }
  void reset_peak() { peak_ = live_.load(); }

 private:
  std::atomic<size_t> live_{0}, peak_{0}, limit_{kUnlimited};
};

// Large blocks, in use and kept.
class Pool {
 public:
  // Null where the system has none.
  void* take(size_t bytes) {
    const size_t size = size_class(bytes);
    {
      std::lock_guard lock(mutex_);
      const auto found = kept_.lower_bound(size);
      if (found != kept_.end() && found->first <= size + size / 8) {
        const auto [fitting, block] = *found;
        kept_.erase(found);
        kept_bytes_ -= fitting;
        hold(block, {fitting, bytes});
        return block;
      }
      shrink(size);
    }
    void* block = system_allocate(size);
    if (block == nullptr) {
      empty();  // what lies unused may be all that is missing
      block = system_allocate(size);
    }
    if (block == nullptr) return nullptr;
    std::lock_guard lock(mutex_);
    hold(block, {size, bytes});
    return block;
  }

  // Takes a block back and says how many bytes were asked for; 0 where it is not one of ours.
  size_t give(void* block) {
    std::lock_guard lock(mutex_);
    const auto found = held_.find(block);
    if (found == held_.end()) return 0;
    const auto [size, requested] = found->second;
    held_.erase(found);
    held_bytes_ -= size;
    kept_.emplace(size, block);
    kept_bytes_ += size;
    shrink(0);
    return requested;
  }

  void empty() {
    std::lock_guard lock(mutex_);
    while (!kept_.empty()) drop();
  }

  void set_limit(size_t bytes) {
    std::lock_guard lock(mutex_);
    limit_ = bytes;
    shrink(0);
  }

  void reset_peak() {
    std::lock_guard lock(mutex_);
    peak_bytes_ = held_bytes_;
    shrink(0);
  }

  size_t kept_bytes() {
    std::lock_guard lock(mutex_);
    return kept_bytes_;
  }

 private:
  struct Block {
    size_t size, requested;
  };

  void hold(void* block, Block what) {
    held_.emplace(block, what);
    held_bytes_ += what.size;
    peak_bytes_ = std::max(peak_bytes_, held_bytes_);
  }

  // Makes room for `coming` bytes: what is held and what is kept stay within the limit and the peak.
  void shrink(size_t coming) {
    while (!kept_.empty() && (kept_bytes_ > limit_ || held_bytes_ + coming + kept_bytes_ > peak_bytes_)) drop();
  }

  // Largest first: the fewest calls into the system.
  void drop() {
    const auto largest = std::prev(kept_.end());
    kept_bytes_ -= largest->first;
    system_free(largest->second);
    kept_.erase(largest);
  }

  std::mutex mutex_;
  std::multimap<size_t, void*> kept_;
  std::unordered_map<void*, Block> held_;
  size_t kept_bytes_ = 0, held_bytes_ = 0, peak_bytes_ = 0, limit_ = kUnlimited;
};

// Both live as long as the process: tensors may outlive everything that could own them.
Ledger& ledger() {
  static auto* instance = new Ledger();
  return *instance;
}
Pool& pool() {
  static auto* instance = new Pool();
  return *instance;
}

// A small block is preceded by the number of bytes asked for.
void* small_block(size_t bytes) {
  auto* block = static_cast<char*>(system_allocate(bytes + kAlignment));
  if (block == nullptr) return nullptr;
  std::memcpy(block, &bytes, sizeof bytes);
  return block + kAlignment;
}

void release_small(void* memory) {
  if (memory == nullptr) return;
  char* block = static_cast<char*>(memory) - kAlignment;
  size_t bytes;
  std::memcpy(&bytes, block, sizeof bytes);
  ledger().remove(bytes);
  system_free(block);
}

void release_large(void* memory) {
  if (memory != nullptr) ledger().remove(pool().give(memory));
}

void release_any(void* memory) {
  if (memory == nullptr) return;
  const size_t bytes = pool().give(memory);
  if (bytes > 0) ledger().remove(bytes);
  else release_small(memory);
}

class Allocator final : public c10::Allocator {
 public:
  c10::DataPtr allocate(size_t bytes) override {
    const c10::Device cpu(c10::DeviceType::CPU);
    if (bytes == 0) return {nullptr, nullptr, &release_small, cpu};
    if (!ledger().add(bytes)) refuse(bytes, " of " + std::to_string(ledger().limit()) + " allowed");
    const bool large = bytes >= kLarge;
    void* memory = large ? pool().take(bytes) : small_block(bytes);
    if (memory == nullptr) {
      ledger().remove(bytes);
      refuse(bytes, ", the system has no more");
    }
    return {memory, memory, large ? &release_large : &release_small, cpu};
  }
  c10::DeleterFnPtr raw_deleter() const override { return &release_any; }
  void copy_data(void* to, const void* from, size_t bytes) const override { std::memcpy(to, from, bytes); }

 private:
  [[noreturn]] static void refuse(size_t bytes, const std::string& limit) {
    throw OutOfMemory("out of memory: " + std::to_string(bytes) + " bytes were asked for while tensors hold " + std::to_string(ledger().live()) + limit);
  }
};

}  // namespace

void install_allocator() {
  static std::once_flag once;
  std::call_once(once, [] {
    static auto* allocator = new Allocator();
    c10::SetCPUAllocator(allocator, 1);
  });
}

MemoryStats memory_stats() { return {ledger().live(), ledger().peak(), pool().kept_bytes()}; }

void reset_peak_memory() {
  ledger().reset_peak();
  pool().reset_peak();
}

void set_memory_limits(size_t memory, size_t pool_bytes) {
  ledger().set_limit(memory);
  pool().set_limit(pool_bytes);
}

void empty_pool() { pool().empty(); }

}  // namespace mdt
