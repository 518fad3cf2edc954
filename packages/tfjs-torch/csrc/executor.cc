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

// A training step queues about two thousand commands; beyond this many the caller waits, so that uploads made far ahead
// cannot fill the memory.
constexpr size_t kMaxQueued = 8192;

std::string describe(const char* name, const std::vector<const at::Tensor*>& inputs, const std::string& what) {
  std::ostringstream text;
  text << name << "(";
  for (size_t i = 0; i < inputs.size(); i++) {
    if (i > 0) text << ", ";
    if (inputs[i] == nullptr) {
      text << "none";
      continue;
    }
    text << c10::toString(inputs[i]->scalar_type()) << "[";
    for (int64_t d = 0; d < inputs[i]->dim(); d++) text << (d > 0 ? "," : "") << inputs[i]->size(d);
    text << "]";
  }
  text << "): " << what;
  return text.str();
}

}  // namespace

const std::vector<Kernel>& kernels() {
  static const std::vector<Kernel> list = [] {
    std::vector<Kernel> all;
    add_elementwise(all);
    add_reduce(all);
    add_shape(all);
    add_index(all);
    add_linear(all);
    add_conv(all);
    add_pool(all);
    add_resize(all);
    add_norm(all);
    add_optimizer(all);
    return all;
  }();
  return list;
}

Executor::Executor(int threads) : profile_(kernels().size()), thread_([this, threads] { loop(threads); }) {}

Executor::~Executor() {
  {
    std::lock_guard lock(mutex_);
    stopping_ = true;
    queue_.clear();  // what has not begun is dropped; the running kernel is finished
  }
  wake_.notify_all();
  room_.notify_all();
  thread_.join();
}

void Executor::loop(int threads) {
  at::set_num_threads(threads);  // OpenMP keeps the count per thread
  const c10::InferenceMode no_autograd;
  for (;;) {
    Command command;
    {
      std::unique_lock lock(mutex_);
      wake_.wait(lock, [this] { return stopping_ || !queue_.empty(); });
      if (stopping_) break;
      command = std::move(queue_.front());
      queue_.pop_front();
      if (queue_.size() == kMaxQueued / 2) room_.notify_all();
    }
    command();
  }
  table_.clear();
}

void Executor::post(Command command) {
  {
    std::unique_lock lock(mutex_);
    if (queue_.size() >= kMaxQueued) {
      room_.wait(lock, [this] { return stopping_ || queue_.size() <= kMaxQueued / 2; });
    }
    if (stopping_) return;
    queue_.push_back(std::move(command));
  }
  wake_.notify_one();
}

void Executor::post_and_wait(Command command) {
  std::mutex mutex;
  std::condition_variable finished;
  bool done = false;
  post([&] {
    command();
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
  post([this, opcode, args = std::move(args)] { execute(opcode, args); });
}

void Executor::upload(int64_t index, at::Tensor tensor) {
  post([this, index, tensor = std::move(tensor)]() mutable { slot(index) = Slot{std::move(tensor), nullptr}; });
}

void Executor::free(int64_t index) {
  post([this, index] { slot(index) = Slot{}; });
}

void Executor::read(int64_t index, std::function<void(at::Tensor, std::shared_ptr<const std::string>)> done) {
  post([this, index, done = std::move(done)] {
    const Slot& from = slot(index);
    if (from.error) return done({}, from.error);
    if (!from.tensor.defined()) return done({}, std::make_shared<std::string>("read: the tensor is disposed"));
    try {
      done((is_low(from.tensor) ? from.tensor.to(at::kFloat) : from.tensor).contiguous(), nullptr);
    } catch (const std::exception& e) {
      done({}, std::make_shared<std::string>(describe("read", {&from.tensor}, e.what())));
    }
  });
}

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
  size_t at = 0;
  const auto list = [&](size_t& begin, size_t& count) {
    count = static_cast<size_t>(args[at]);
    begin = at + 1;
    at = begin + count;
  };
  size_t out, num_out, in, num_in, attr, num_attr;
  list(out, num_out);
  list(in, num_in);
  list(attr, num_attr);

  std::vector<const at::Tensor*> inputs(num_in, nullptr);
  std::shared_ptr<const std::string> error;
  for (size_t i = 0; i < num_out; i++) slot(static_cast<int64_t>(args[out + i]));  // grow now: inputs are pointers into the table
  for (size_t i = 0; i < num_in; i++) {
    const int64_t index = static_cast<int64_t>(args[in + i]);
    if (index < 0) continue;
    const Slot& s = slot(index);
    if (s.error) {
      error = s.error;  // the first failure is the one to report
      break;
    }
    if (!s.tensor.defined()) {
      error = std::make_shared<std::string>(std::string(kernel.name) + ": input " + std::to_string(i) + " is disposed");
      break;
    }
    inputs[i] = &s.tensor;
  }
  std::vector<at::Tensor> results;
  if (!error) {
    Call call(inputs, args.data() + attr, num_attr, num_out);
    copies() = {};
    const auto start = std::chrono::steady_clock::now();
    try {
      kernel.run(call);
      results = std::move(call.outputs());
    } catch (const c10::Error& e) {
      error = std::make_shared<std::string>(describe(kernel.name, inputs, e.what_without_backtrace()));
    } catch (const std::exception& e) {
      error = std::make_shared<std::string>(describe(kernel.name, inputs, e.what()));
    } catch (...) {
      error = std::make_shared<std::string>(describe(kernel.name, inputs, "unknown native error"));
    }
    profile_[opcode].seconds += std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    profile_[opcode].calls++;
    profile_[opcode].copies.count += copies().count;
    profile_[opcode].copies.bytes += copies().bytes;
  }
  for (size_t i = 0; i < num_out; i++) {
    Slot& target = slot(static_cast<int64_t>(args[out + i]));
    target = error ? Slot{{}, error} : Slot{std::move(results[i]), nullptr};
  }
}

}  // namespace mdt
