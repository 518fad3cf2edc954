// Runs kernels in order on one native thread, which alone owns the tensor table. JavaScript gives out the slot numbers,
// so that it never waits for a kernel to know where its result will be.
#pragma once
#include <ATen/ATen.h>

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "layout.h"

namespace mdt {

// What a slot holds: a tensor, or the error of the kernel that should have made it.
struct Slot {
  at::Tensor tensor;
  std::shared_ptr<const std::string> error;
};

struct KernelProfile {
  double seconds = 0;
  int64_t calls = 0;
  Copies copies;
};

struct MemoryUse {
  int64_t bytes = 0;    // of distinct storages
  int64_t tensors = 0;  // slots in use
};

class Executor {
 public:
  explicit Executor(int threads);
  ~Executor();

  // args: [outputs: n, slot…] [inputs: n, slot or −1…] [attributes: n, value…]
  void run(int opcode, std::vector<double> args);
  void upload(int64_t slot, at::Tensor tensor);
  void free(int64_t slot);
  // Calls back on the executor's thread once all earlier commands are done, with a row-major tensor or an error.
  void read(int64_t slot, std::function<void(at::Tensor, std::shared_ptr<const std::string>)> done);

  // These wait for the queue.
  MemoryUse memory();
  std::vector<KernelProfile> profile();
  void set_threads(int threads);

 private:
  using Command = std::function<void()>;
  void post(Command command);
  void post_and_wait(Command command);
  void loop(int threads);
  void execute(int opcode, const std::vector<double>& args);
  Slot& slot(int64_t index);

  std::mutex mutex_;
  std::condition_variable wake_, room_;
  std::deque<Command> queue_;
  bool stopping_ = false;

  std::vector<Slot> table_;              // only touched by the executor's thread
  std::vector<KernelProfile> profile_;   // likewise
  std::thread thread_;
};

}  // namespace mdt
