// Memory of the tensors on the CPU: counted, limited, and kept for the next tensor of its size.
#pragma once
#include <cstddef>
#include <stdexcept>

namespace mdt {

// Bytes of this process, all environments together.
struct MemoryStats {
  size_t live;  // that tensors asked for and hold
  size_t peak;  // the most that `live` was since the last reset
  size_t pool;  // kept for tensors to come
};

class OutOfMemory : public std::runtime_error {
  using std::runtime_error::runtime_error;
};

// Makes ATen take its memory here. A training step makes and frees the same large tensors again and again; fresh memory from
// the system costs a page fault for every 4 KiB, up to a fifth of the step. Blocks of a MiB or more are therefore kept, as long
// as what is live and what is kept together stay below the most that was ever live.
void install_allocator();

MemoryStats memory_stats();
void reset_peak_memory();

// `memory`: the most that may be live, beyond it OutOfMemory is thrown; `pool`: the most that is kept.
void set_memory_limits(size_t memory, size_t pool);

// Gives all that is kept back to the system.
void empty_pool();

}  // namespace mdt
