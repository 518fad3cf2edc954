// Runs kernels in order on one native thread, which alone owns the tensor table. JavaScript gives out the slot numbers,
// so that it never waits for a kernel to know where its result will be.
#pragma once
#include <ATen/ATen.h>

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "device.h"
#include "layout.h"

namespace mdt {

// What went wrong in a kernel; `code` is the code of the JavaScript error.
struct Failure {
  std::string message;
  const char* code;
};
using FailurePtr = std::shared_ptr<const Failure>;

// The failure that an exception being handled stands for; `what` says who failed.
FailurePtr current_failure(const std::string& who);

// What a slot holds: a tensor, or the error of the kernel that should have made it.
struct Slot {
  at::Tensor tensor;
  FailurePtr error;
  at::Tensor prepared{};  // the tensor as a kernel reads it, for its next call
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
  Executor(Device device, int threads);
  ~Executor();

  // Ends the threads of all executors before the process takes down what they use; what is queued is dropped. Node leaves
  // environments as they are where a program calls process.exit().
  static void stop_all();

  const Device& device() const { return device_; }

  // args: [outputs: n, then slot, rank, sizes… of each] [inputs: n, slot or −1…] [attributes: n, value…]
  void run(int opcode, std::vector<double> args);
  // `host`: memory of device().host_buffer.
  void upload(int64_t slot, at::Tensor host);
  void free(int64_t slot);
  // These call back on the executor's thread once all earlier commands are done: with a row-major tensor in host memory or
  // an error.
  void read(int64_t slot, std::function<void(at::Tensor, FailurePtr)> done);
  void notify(std::function<void()> done);

  // These wait for the queue.
  MemoryUse memory();
  std::vector<KernelProfile> profile();
  void set_threads(int threads);

 private:
  struct Command {
    std::function<void()> run;  // empty where a kernel is to run
    size_t bytes = 0;           // of host memory that it holds
    int opcode = 0;
    std::vector<double> args;
  };
  void post(Command command);
  void post(std::function<void()> run, size_t bytes = 0) { post(Command{std::move(run), bytes, 0, {}}); }
  void post_and_wait(std::function<void()> run);
  void stop();
  void loop(int threads);
  bool take();
  void execute(int opcode, const std::vector<double>& args);
  Slot& slot(int64_t index);

  Device device_;
  std::mutex mutex_;
  std::condition_variable wake_, room_;
  std::deque<Command> queue_;
  size_t queued_bytes_ = 0;
  bool sleeping_ = false;
  std::atomic<bool> ready_{false};  // the queue holds something
  std::atomic<bool> stopping_{false};
  std::deque<Command> taken_;  // from the queue, by the executor's thread

  std::vector<Slot> table_;              // only touched by the executor's thread
  std::vector<KernelProfile> profile_;   // likewise
  std::mutex stop_mutex_;  // held while the thread is joined
  std::thread thread_;
};

}  // namespace mdt
