// The addon's exports.
#include <algorithm>
#include <cmath>
#include <cstdlib>

#include "call.h"
#include "cuda_ops.h"
#include "environment.h"

namespace mdt {
namespace {

// start(block: Float64Array, threads: number, device: string): void
napi_value start(napi_env env, napi_callback_info info) {
  napi_value argv[3];
  if (!arguments(env, info, argv)) return misuse(env, "start: expected (block, threads, device)");
  void* instance = nullptr;
  if (napi_get_instance_data(env, &instance) != napi_ok || instance == nullptr) return fail(env, "start: the environment is ending");
  auto* data = static_cast<Environment*>(instance);
  if (data->executor) return fail(env, "start: already started");
  napi_typedarray_type type;
  void* memory = nullptr;
  size_t length = 0;
  int32_t threads = 0;
  char device[32];
  napi_value buffer;
  bool detachable = true;
  if (napi_get_typedarray_info(env, argv[0], &type, &length, &memory, &buffer, nullptr) != napi_ok || type != napi_float64_array || length < 128) {
    return misuse(env, "start: block must be a Float64Array of at least 128");
  }
  // The address is kept: memory that JavaScript can take away will not do.
  if (napi_is_arraybuffer(env, buffer, &detachable) != napi_ok || detachable) return misuse(env, "start: block must lie on a SharedArrayBuffer");
  if (napi_get_value_int32(env, argv[1], &threads) != napi_ok || threads < 1 || threads > 1024) {
    return misuse(env, "start: threads must be an integer from 1 to 1024");
  }
  if (napi_get_value_string_utf8(env, argv[2], device, sizeof device, nullptr) != napi_ok) return misuse(env, "start: device must be a string");
  try {
    Device place{std::string(device)};
    if (data->settle == nullptr) data->settle = make_settle(env, data);
    if (data->settle == nullptr || napi_create_reference(env, argv[0], 1, &data->block_ref) != napi_ok) return nullptr;
    data->block = static_cast<double*>(memory);
    data->block_length = length;
    data->executor = std::make_unique<Executor>(std::move(place), threads);
  } catch (const c10::Error& e) {
    return fail(env, e.what_without_backtrace());
  } catch (const std::exception& e) {
    return fail(env, e.what());
  }
  return nullptr;
}

// Doubles of the block that a call takes, as Executor::run reads them; 0 where they do not hold together.
size_t call_length(Environment& data) {
  const double* block = data.block;
  size_t at = 0;
  const auto count = [&](double limit) {  // reads a count; NaN and what does not fit give −1
    const double n = at < data.block_length ? block[at++] : -1;
    return n >= 0 && n <= limit && n <= static_cast<double>(data.block_length - at) ? static_cast<int64_t>(n) : int64_t{-1};
  };
  const int64_t outputs = count(static_cast<double>(data.block_length));
  for (int64_t i = 0; i < outputs; i++) {
    if (at >= data.block_length || !is_slot(data, block[at++])) return 0;
    const int64_t rank = count(64);
    if (rank < 0) return 0;
    for (int64_t d = 0; d < rank; d++) if (!(std::fabs(block[at++]) < 1e18)) return 0;
  }
  const int64_t inputs = outputs < 0 ? -1 : count(static_cast<double>(data.block_length));
  for (int64_t i = 0; i < inputs; i++) {
    const double slot = block[at++];
    if (slot != -1 && !is_slot(data, slot)) return 0;
  }
  const int64_t attributes = inputs < 0 ? -1 : count(static_cast<double>(data.block_length));
  return attributes < 0 ? 0 : at + static_cast<size_t>(attributes);
}

// run(opcode: number): void; the arguments stand in the block
napi_value run(napi_env env, napi_callback_info info) {
  napi_value argv[1];
  int32_t opcode = -1;
  if (!arguments(env, info, argv) || napi_get_value_int32(env, argv[0], &opcode) != napi_ok) return misuse(env, "run: expected an opcode");
  Environment* data = started(env);
  if (data == nullptr) return nullptr;
  if (opcode < 0 || opcode >= static_cast<int32_t>(kernels().size())) return fail(env, "run: unknown opcode");
  const size_t length = call_length(*data);
  if (length == 0) return fail(env, std::string(kernels()[opcode].name) + ": the arguments in the block do not hold together");
  try {
    data->executor->run(opcode, std::vector<double>(data->block, data->block + length));
  } catch (const std::exception& e) {
    return fail(env, e.what());
  }
  return nullptr;
}

// free(slot: number): void
napi_value free_slot(napi_env env, napi_callback_info info) {
  napi_value argv[1];
  if (!arguments(env, info, argv)) return misuse(env, "free: expected a slot");
  Environment* data = started(env);
  if (data == nullptr) return nullptr;
  int64_t slot = -1;
  if (!slot_argument(env, *data, argv[0], slot)) return misuse(env, "free: bad slot");
  data->executor->free(slot);
  return nullptr;
}

// memory(): [bytes, tensors]
napi_value memory(napi_env env, napi_callback_info) {
  Environment* data = started(env);
  if (data == nullptr) return nullptr;
  const MemoryUse use = data->executor->memory();
  return numbers(env, {static_cast<double>(use.bytes), static_cast<double>(use.tensors)});
}

// deviceMemory(): [live, peak, pool], in bytes, of the whole process
napi_value device_memory(napi_env env, napi_callback_info) {
  Environment* data = started(env);
  if (data == nullptr) return nullptr;
  const MemoryStats stats = data->executor->device().memory();
  return numbers(env, {static_cast<double>(stats.live), static_cast<double>(stats.peak), static_cast<double>(stats.pool)});
}

// resetPeak(): void
napi_value reset_peak(napi_env env, napi_callback_info) {
  if (Environment* data = started(env)) data->executor->device().reset_peak();
  return nullptr;
}

// emptyPool(): void
napi_value empty_pool_of_device(napi_env env, napi_callback_info) {
  if (Environment* data = started(env)) data->executor->device().empty_pool();
  return nullptr;
}

// profile(): [seconds, calls, copies, bytes copied] of each opcode since the last call, in turn
napi_value profile(napi_env env, napi_callback_info) {
  Environment* data = started(env);
  if (data == nullptr) return nullptr;
  std::vector<double> values;
  for (const auto& p : data->executor->profile()) {
    for (const double value : {p.seconds, static_cast<double>(p.calls), static_cast<double>(p.copies.count), static_cast<double>(p.copies.bytes)}) {
      values.push_back(value);
    }
  }
  return numbers(env, values);
}

// setThreads(threads: number): void
napi_value set_threads(napi_env env, napi_callback_info info) {
  napi_value argv[1];
  int32_t threads = 0;
  if (!arguments(env, info, argv) || napi_get_value_int32(env, argv[0], &threads) != napi_ok || threads < 1 || threads > 1024) {
    return misuse(env, "setThreads: expected an integer from 1 to 1024");
  }
  if (Environment* data = started(env)) data->executor->set_threads(threads);
  return nullptr;
}

// configure(deterministic: boolean, tf32: boolean, memoryBytes: number, poolBytes: number): void; of the whole process
napi_value configure(napi_env env, napi_callback_info info) {
  napi_value argv[4];
  Numerics numerics;
  double limits[2];
  if (!arguments(env, info, argv) || napi_get_value_bool(env, argv[0], &numerics.deterministic) != napi_ok ||
      napi_get_value_bool(env, argv[1], &numerics.tf32) != napi_ok || napi_get_value_double(env, argv[2], &limits[0]) != napi_ok ||
      napi_get_value_double(env, argv[3], &limits[1]) != napi_ok || !(limits[0] >= 0) || !(limits[1] >= 0)) {
    return misuse(env, "configure: expected (deterministic, tf32, memoryBytes, poolBytes)");
  }
  const auto bytes = [](double value) { return static_cast<size_t>(std::min(value, 9007199254740992.0)); };  // 2⁵³ is no limit
  set_memory_limits(bytes(limits[0]), bytes(limits[1]));
  try {
    set_numerics(numerics);
  } catch (const std::exception& e) {
    return fail(env, e.what());
  }
  return nullptr;
}

// openCudaOps(path: string): void; of the whole process
napi_value open_cuda_ops_at(napi_env env, napi_callback_info info) {
  napi_value argv[1];
  size_t length = 0;
  if (!arguments(env, info, argv) || napi_get_value_string_utf8(env, argv[0], nullptr, 0, &length) != napi_ok) {
    return misuse(env, "openCudaOps: expected a path");
  }
  try {
    std::string path(length, '\0');
    if (napi_get_value_string_utf8(env, argv[0], path.data(), length + 1, &length) != napi_ok) return misuse(env, "openCudaOps: expected a path");
    open_cuda_ops(path);
  } catch (const std::exception& e) {
    return fail(env, std::string("openCudaOps: ") + e.what());
  }
  return nullptr;
}

void cleanup(void* hint) {
  static_cast<Environment*>(hint)->executor.reset();  // joins the thread before the environment goes
}

// Threads have to stand still when the process's statics go. Registered this late, it runs before all of those.
napi_value on_exit(napi_env, napi_callback_info) {
  static const bool registered = std::atexit(Executor::stop_all) == 0;
  static_cast<void>(registered);
  return nullptr;
}

// process.once('exit', on_exit): what process.exit() leaves out is done for the main thread, whose clean-up hooks it does not run.
bool watch_exit(napi_env env) {
  napi_value global, process, once, argv[2];
  return napi_get_global(env, &global) == napi_ok && napi_get_named_property(env, global, "process", &process) == napi_ok &&
         napi_get_named_property(env, process, "once", &once) == napi_ok && napi_create_string_utf8(env, "exit", NAPI_AUTO_LENGTH, &argv[0]) == napi_ok &&
         napi_create_function(env, "stopEngine", NAPI_AUTO_LENGTH, on_exit, nullptr, &argv[1]) == napi_ok &&
         napi_call_function(env, process, once, 2, argv, nullptr) == napi_ok;
}

napi_value init(napi_env env, napi_value exports) {
  install_allocator();
  if (!watch_exit(env)) return nullptr;
  auto* data = new Environment();
  const auto finalize = [](napi_env, void* pointer, void*) { delete static_cast<Environment*>(pointer); };
  if (napi_set_instance_data(env, data, finalize, nullptr) != napi_ok || napi_add_env_cleanup_hook(env, cleanup, data) != napi_ok) {
    delete data;
    return nullptr;
  }
  const struct { const char* name; napi_callback fn; } functions[] = {
      {"start", start}, {"run", run}, {"upload", upload}, {"free", free_slot}, {"readSync", read_sync}, {"read", read}, {"idle", idle},
      {"memory", memory}, {"deviceMemory", device_memory}, {"resetPeak", reset_peak}, {"emptyPool", empty_pool_of_device},
      {"profile", profile}, {"setThreads", set_threads}, {"configure", configure},
      {"openCudaOps", open_cuda_ops_at},
  };
  for (const auto& f : functions) {
    napi_value fn;
    if (napi_create_function(env, f.name, NAPI_AUTO_LENGTH, f.fn, nullptr, &fn) != napi_ok) return nullptr;
    if (napi_set_named_property(env, exports, f.name, fn) != napi_ok) return nullptr;
  }
  napi_value names, name;
  const auto& list = kernels();
  if (napi_create_array_with_length(env, list.size(), &names) != napi_ok) return nullptr;
  for (size_t i = 0; i < list.size(); i++) {
    if (napi_create_string_utf8(env, list[i].name, NAPI_AUTO_LENGTH, &name) != napi_ok) return nullptr;
    if (napi_set_element(env, names, i, name) != napi_ok) return nullptr;
  }
  if (napi_set_named_property(env, exports, "kernels", names) != napi_ok) return nullptr;
  return exports;
}

}  // namespace
}  // namespace mdt

NAPI_MODULE_INIT() { return mdt::init(env, exports); }
