#include "executor.h"

#include <ATen/Parallel.h>
#include <c10/core/InferenceMode.h>
#include <c10/util/Exception.h>

#include <chrono>
#include <sstream>
#include <unordered_set>

#include "call.h"

namespace mdt {

namespace {

// A training step queues about two thousand commands. Beyond these bounds the caller waits: uploads made far ahead must not
// fill the memory.
constexpr size_t kMaxQueued = 65536;
constexpr size_t kMaxQueuedBytes = size_t{512} << 20;
// Commands that the executor takes at a time: each time it takes the lock, JavaScript may have to wait.
constexpr size_t kTaken = 64;
// How long the executor looks for the next command before it sleeps: waking it costs JavaScript more than a small kernel does.
constexpr auto kWatch = std::chrono::microseconds(30);

void describe_shape(std::ostringstream& text, const double* sizes, size_t rank) {
  text << "[";
  for (size_t d = 0; d < rank; d++) text << (d > 0 ? "," : "") << static_cast<int64_t>(sizes[d]);
  text << "]";
}

// Name(Float[2,3], none) → [2]
std::string describe(const char* name, const std::vector<const at::Tensor*>& inputs) {
  std::ostringstream text;
  text << name << "(";
  for (size_t i = 0; i < inputs.size(); i++) {
    if (i > 0) text << ", ";
    if (inputs[i] == nullptr) {
      text << "none";
      continue;
    }
    const std::vector<double> sizes(inputs[i]->sizes().begin(), inputs[i]->sizes().end());
    text << c10::toString(inputs[i]->scalar_type());
    describe_shape(text, sizes.data(), sizes.size());
  }
  text << ")";
  return text.str();
}

constexpr const char* kOutOfMemory = "OUT_OF_MEMORY";
constexpr const char* kKernelFailed = "KERNEL_FAILED";

}  // namespace

FailurePtr current_failure(const std::string& who) {
  const auto failure = [&](const std::string& what, const char* code) { return std::make_shared<Failure>(Failure{who + ": " + what, code}); };
  try {
    throw;
  } catch (const OutOfMemory& e) {
    return failure(e.what(), kOutOfMemory);
  } catch (const c10::OutOfMemoryError& e) {
    return failure(e.what_without_backtrace(), kOutOfMemory);
  } catch (const std::bad_alloc&) {
    return failure("out of memory", kOutOfMemory);
  } catch (const c10::Error& e) {
    return failure(e.what_without_backtrace(), kKernelFailed);
  } catch (const std::exception& e) {
    return failure(e.what(), kKernelFailed);
  } catch (...) {
    return failure("unknown native error", kKernelFailed);
  }
}

const std::vector<Kernel>& kernels() {
  static const std::vector<Kernel> list = [] {
    std::vector<Kernel> all;
    add_elementwise(all);
    add_reduce(all);
    add_shape(all);
    add_index(all);
    add_linear(all);
    add_conv(all);
    add_grouped_conv(all);
    add_complex(all);
    add_batch_norm(all);
    add_pool(all);
    add_resize(all);
    add_norm(all);
    add_optimizer(all);
    add_detection(all);
    return all;
  }();
  return list;
}

namespace {

// The executors of the process. Never destroyed: it is used while the process ends.
struct Registry {
  std::mutex mutex;
  std::unordered_set<Executor*> executors;
};
Registry& registry() {
  static auto* const instance = new Registry();
  return *instance;
}

}  // namespace

Executor::Executor(Device device, int threads)
    : device_(std::move(device)), profile_(kernels().size()), thread_([this, threads] { loop(threads); }) {
  const std::lock_guard lock(registry().mutex);
  registry().executors.insert(this);
}

Executor::~Executor() {
  stop();
  const std::lock_guard lock(registry().mutex);
  registry().executors.erase(this);
}

void Executor::stop_all() {
  const std::lock_guard lock(registry().mutex);
  for (Executor* executor : registry().executors) executor->stop();
}

void Executor::stop() {
  std::deque<Command> dropped;  // what has not begun; the running kernel is finished
  {
    std::lock_guard lock(mutex_);
    stopping_ = true;
    dropped.swap(queue_);
  }
  wake_.notify_all();
  room_.notify_all();
  const std::lock_guard lock(stop_mutex_);
  if (thread_.joinable()) thread_.join();
}

void Executor::loop(int threads) {
  at::set_num_threads(threads);  // OpenMP keeps the count per thread
  const c10::InferenceMode no_autograd;
  device_.enter();
  while (take()) {
    while (!taken_.empty() && !stopping_) {
      const Command command = std::move(taken_.front());
      taken_.pop_front();
      if (command.run) command.run();
      else execute(command.opcode, command.args);
    }
  }
  table_.clear();
}

// Waits for commands and takes some; false where the executor is to stop.
bool Executor::take() {
  const bool alone = std::thread::hardware_concurrency() < 2;  // whom it waits for could not run
  const auto patience = std::chrono::steady_clock::now() + kWatch;
  while (!alone && !ready_ && !stopping_ && std::chrono::steady_clock::now() < patience) {
  }
  std::unique_lock lock(mutex_);
  sleeping_ = true;
  wake_.wait(lock, [this] { return stopping_ || !queue_.empty(); });
  sleeping_ = false;
  if (stopping_) return false;
  // What holds memory of the host ends a turn: the bound counts it until it runs.
  for (size_t bytes = 0; bytes == 0 && !queue_.empty() && taken_.size() < kTaken;) {
    bytes = queue_.front().bytes;
    queued_bytes_ -= bytes;
    taken_.push_back(std::move(queue_.front()));
    queue_.pop_front();
  }
  ready_ = !queue_.empty();
  if (queue_.size() <= kMaxQueued / 2 && queued_bytes_ <= kMaxQueuedBytes / 2) room_.notify_all();
  return true;
}

void Executor::post(Command command) {
  bool wake = false;
  {
    std::unique_lock lock(mutex_);
    if (queue_.size() >= kMaxQueued || queued_bytes_ >= kMaxQueuedBytes) {
      room_.wait(lock, [this] { return stopping_ || (queue_.size() <= kMaxQueued / 2 && queued_bytes_ <= kMaxQueuedBytes / 2); });
    }
    if (stopping_) return;
    queued_bytes_ += command.bytes;
    queue_.push_back(std::move(command));
    ready_ = true;
    wake = sleeping_;
  }
  if (wake) wake_.notify_one();
}

void Executor::post_and_wait(std::function<void()> run) {
  std::mutex mutex;
  std::condition_variable finished;
  bool done = false;
  post([&] {
    run();
    std::lock_guard lock(mutex);
    done = true;
    finished.notify_one();
  });
  std::unique_lock lock(mutex);
  finished.wait(lock, [&] { return done; });
}

Slot& Executor::slot(int64_t index) {
  if (index >= static_cast<int64_t>(table_.size())) table_.resize(std::max<size_t>(index + 1, table_.size() * 2));
  return table_[index];
}

void Executor::run(int opcode, std::vector<double> args) {
  post(Command{{}, 0, opcode, std::move(args)});
}

void Executor::upload(int64_t index, at::Tensor host) {
  const size_t bytes = host.nbytes();
  auto put = [this, index, host = std::move(host)]() mutable {
    Slot& target = slot(index);
    try {
      target = Slot{device_.from_host(std::move(host)), nullptr};
    } catch (...) {
      target = Slot{{}, current_failure("upload")};
    }
  };
  post(std::move(put), bytes);
}

void Executor::free(int64_t index) {
  post([this, index] { slot(index) = Slot{}; });
}

void Executor::read(int64_t index, std::function<void(at::Tensor, FailurePtr)> done) {
  post([this, index, done = std::move(done)] {
    const Slot& from = slot(index);
    if (from.error) return done({}, from.error);
    if (!from.tensor.defined()) return done({}, std::make_shared<Failure>(Failure{"read: the tensor is disposed", kKernelFailed}));
    at::Tensor values;
    FailurePtr error;
    try {
      values = device_.to_host(is_low(from.tensor) ? from.tensor.to(at::kFloat) : from.tensor);
    } catch (...) {
      error = current_failure(describe("read", {&from.tensor}));
    }
    done(std::move(values), std::move(error));
  });
}

void Executor::notify(std::function<void()> done) { post(std::move(done)); }

MemoryUse Executor::memory() {
  MemoryUse use;
  post_and_wait([&] {
    std::unordered_set<const void*> seen;
    for (const Slot& s : table_) {
      if (!s.tensor.defined()) continue;
      use.tensors++;
      const auto& storage = s.tensor.storage();
      if (seen.insert(storage.unsafeGetStorageImpl()).second) use.bytes += storage.nbytes();
    }
  });
  return use;
}

std::vector<KernelProfile> Executor::profile() {
  std::vector<KernelProfile> result;
  post_and_wait([&] {
    result = profile_;
    profile_.assign(profile_.size(), {});
  });
  return result;
}

void Executor::set_threads(int threads) {
  post_and_wait([&] { at::set_num_threads(threads); });
}

void Executor::execute(int opcode, const std::vector<double>& args) {
  const Kernel& kernel = kernels()[opcode];
  struct Output {
    int64_t slot;
    const double* sizes;
    size_t rank;
  };
  std::vector<Output> outputs(static_cast<size_t>(args[0]));
  size_t at = 1;
  for (Output& o : outputs) {
    o = {static_cast<int64_t>(args[at]), args.data() + at + 2, static_cast<size_t>(args[at + 1])};
    at += 2 + o.rank;
    slot(o.slot);  // grow now: inputs are pointers into the table
  }
  std::vector<const at::Tensor*> inputs(static_cast<size_t>(args[at++]), nullptr);
  std::vector<at::Tensor*> prepared(inputs.size(), nullptr);
  FailurePtr error;
  for (size_t i = 0; i < inputs.size(); i++) {
    const int64_t index = static_cast<int64_t>(args[at + i]);
    if (index < 0 || error) continue;
    Slot& s = slot(index);
    if (s.error) {
      error = s.error;  // the first failure is the one to report
    } else if (!s.tensor.defined()) {
      error = std::make_shared<Failure>(Failure{std::string(kernel.name) + ": input " + std::to_string(i) + " is disposed", kKernelFailed});
    } else {
      inputs[i] = &s.tensor;
      prepared[i] = &s.prepared;
    }
  }
  at += inputs.size();
  const size_t num_attrs = static_cast<size_t>(args[at++]);
  std::vector<at::Tensor> results;
  if (!error) {
    Call call(inputs, std::move(prepared), args.data() + at, num_attrs, outputs.size(), device_.place());
    copies() = {};
    const auto start = std::chrono::steady_clock::now();
    try {
      kernel.run(call);
      results = std::move(call.outputs());
    } catch (...) {
      error = current_failure(describe(kernel.name, inputs));
      if (error->code == kOutOfMemory) {
        std::ostringstream text;
        text << error->message << ", for a result of shape ";
        for (size_t i = 0; i < outputs.size(); i++) {
          if (i > 0) text << " and ";
          describe_shape(text, outputs[i].sizes, outputs[i].rank);
        }
        error = std::make_shared<Failure>(Failure{text.str(), kOutOfMemory});
      }
    }
    profile_[opcode].seconds += std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    profile_[opcode].calls++;
    profile_[opcode].copies.count += copies().count;
    profile_[opcode].copies.bytes += copies().bytes;
  }
  for (size_t i = 0; i < outputs.size(); i++) {
    slot(outputs[i].slot) = error ? Slot{{}, error} : Slot{std::move(results[i]), nullptr};
  }
}

}  // namespace mdt
