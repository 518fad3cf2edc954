// The addon's exports. Plain C N-API, every status checked: a worker may be terminated while a call is in flight, and then
// a throwing wrapper would end the whole process.
#include <node_api.h>

#include <algorithm>
#include <cstring>
#include <memory>
#include <string>

#include "allocator.h"
#include "call.h"
#include "executor.h"

namespace {

using mdt::Executor;

// Types of elements, as JavaScript numbers them.
enum DType : int32_t { kFloat32 = 0, kInt32 = 1, kBool = 2 };

at::ScalarType scalar_type(int32_t dtype) {
  return dtype == kFloat32 ? at::kFloat : dtype == kInt32 ? at::kInt : at::kBool;
}

struct ReadResult {
  napi_deferred deferred;
  at::Tensor tensor;
  std::shared_ptr<const std::string> error;
};

// All state of one JavaScript environment (the main thread or a worker).
struct EnvData {
  std::unique_ptr<Executor> executor;
  napi_ref block_ref = nullptr;
  double* block = nullptr;
  size_t block_length = 0;
  napi_threadsafe_function settle = nullptr;
  int pending_reads = 0;  // only touched on the JavaScript thread
};

napi_value fail(napi_env env, const std::string& message, bool type_error = false) {
  (type_error ? napi_throw_type_error : napi_throw_error)(env, nullptr, message.c_str());
  return nullptr;
}

EnvData* data_of(napi_env env) {
  void* data = nullptr;
  return napi_get_instance_data(env, &data) == napi_ok ? static_cast<EnvData*>(data) : nullptr;
}

EnvData* started(napi_env env) {
  EnvData* data = data_of(env);
  if (data == nullptr || !data->executor) {
    fail(env, "tfjs-torch: start() must be called first");
    return nullptr;
  }
  return data;
}

template <size_t N>
bool arguments(napi_env env, napi_callback_info info, napi_value (&argv)[N]) {
  size_t argc = N;
  return napi_get_cb_info(env, info, &argc, argv, nullptr, nullptr) == napi_ok && argc >= N;
}

// A typed array of what a tensor holds, or null with an exception pending.
napi_value to_typed_array(napi_env env, const at::Tensor& tensor) {
  const auto type = tensor.scalar_type() == at::kFloat  ? napi_float32_array
                    : tensor.scalar_type() == at::kInt ? napi_int32_array
                                                       : napi_uint8_array;
  void* memory = nullptr;
  napi_value buffer, result;
  const size_t bytes = tensor.nbytes();
  if (napi_create_arraybuffer(env, bytes, &memory, &buffer) != napi_ok) return nullptr;
  if (bytes > 0) std::memcpy(memory, tensor.const_data_ptr(), bytes);
  if (napi_create_typedarray(env, type, tensor.numel(), buffer, 0, &result) != napi_ok) return nullptr;
  return result;
}

void settle_read(napi_env env, napi_value, void* context, void* payload) {
  std::unique_ptr<ReadResult> read(static_cast<ReadResult*>(payload));
  if (env == nullptr) return;  // the environment is being torn down
  auto* data = static_cast<EnvData*>(context);
  if (--data->pending_reads == 0) napi_unref_threadsafe_function(env, data->settle);
  napi_value value = nullptr;
  if (!read->error) value = to_typed_array(env, read->tensor);
  if (value != nullptr) {
    napi_resolve_deferred(env, read->deferred, value);
    return;
  }
  bool pending = false;
  napi_value error = nullptr, text;
  if (napi_is_exception_pending(env, &pending) == napi_ok && pending) {
    napi_get_and_clear_last_exception(env, &error);
  } else {
    const std::string message = read->error ? *read->error : "read: out of memory";
    if (napi_create_string_utf8(env, message.data(), message.size(), &text) != napi_ok) return;
    if (napi_create_error(env, nullptr, text, &error) != napi_ok) return;
  }
  napi_reject_deferred(env, read->deferred, error);
}

// start(block: Float64Array, threads: number): void
napi_value Start(napi_env env, napi_callback_info info) {
  napi_value argv[2];
  if (!arguments(env, info, argv)) return fail(env, "start: expected (block, threads)", true);
  EnvData* data = data_of(env);
  if (data == nullptr || data->executor) return fail(env, "start: already started");
  napi_typedarray_type type;
  void* memory = nullptr;
  size_t length = 0;
  int32_t threads = 0;
  if (napi_get_typedarray_info(env, argv[0], &type, &length, &memory, nullptr, nullptr) != napi_ok || type != napi_float64_array) {
    return fail(env, "start: block must be a Float64Array", true);
  }
  if (napi_get_value_int32(env, argv[1], &threads) != napi_ok || threads < 1 || threads > 1024) {
    return fail(env, "start: threads must be an integer from 1 to 1024", true);
  }
  if (napi_create_reference(env, argv[0], 1, &data->block_ref) != napi_ok) return nullptr;
  data->block = static_cast<double*>(memory);
  data->block_length = length;
  napi_value name;
  if (napi_create_string_utf8(env, "tfjs-torch read", NAPI_AUTO_LENGTH, &name) != napi_ok) return nullptr;
  if (napi_create_threadsafe_function(env, nullptr, nullptr, name, 0, 1, nullptr, nullptr, data, settle_read, &data->settle) != napi_ok) {
    return nullptr;
  }
  napi_unref_threadsafe_function(env, data->settle);
  try {
    data->executor = std::make_unique<Executor>(threads);
  } catch (const std::exception& e) {
    return fail(env, std::string("start: ") + e.what());
  }
  return nullptr;
}

// run(opcode: number): void; the arguments stand in the block
napi_value Run(napi_env env, napi_callback_info info) {
  napi_value argv[1];
  int32_t opcode = -1;
  if (!arguments(env, info, argv) || napi_get_value_int32(env, argv[0], &opcode) != napi_ok) {
    return fail(env, "run: expected an opcode", true);
  }
  EnvData* data = started(env);
  if (data == nullptr) return nullptr;
  if (opcode < 0 || opcode >= static_cast<int32_t>(mdt::kernels().size())) return fail(env, "run: unknown opcode");
  size_t at = 0;
  for (int part = 0; part < 3; part++) {
    const double count = at < data->block_length ? data->block[at] : -1;
    if (!(count >= 0) || at + 1 + count > data->block_length) {
      return fail(env, std::string(mdt::kernels()[opcode].name) + ": too many arguments for one call");
    }
    const size_t next = at + 1 + static_cast<size_t>(count);
    if (part < 2) {
      for (size_t i = at + 1; i < next; i++) {
        if (!(data->block[i] >= -1 && data->block[i] < 1e9)) return fail(env, "run: bad slot");
      }
    }
    at = next;
  }
  try {
    data->executor->run(opcode, std::vector<double>(data->block, data->block + at));
  } catch (const std::exception& e) {
    return fail(env, e.what());
  }
  return nullptr;
}

// upload(slot: number, dtype: number, values: TypedArray): void; the shape stands in the block: [rank, sizes…]
napi_value Upload(napi_env env, napi_callback_info info) {
  napi_value argv[3];
  if (!arguments(env, info, argv)) return fail(env, "upload: expected (slot, dtype, values)", true);
  EnvData* data = started(env);
  if (data == nullptr) return nullptr;
  int64_t slot = -1;
  int32_t dtype = -1;
  napi_typedarray_type type;
  void* memory = nullptr;
  size_t length = 0;
  if (napi_get_value_int64(env, argv[0], &slot) != napi_ok || slot < 0 || slot >= 1000000000) return fail(env, "upload: bad slot", true);
  if (napi_get_value_int32(env, argv[1], &dtype) != napi_ok || dtype < kFloat32 || dtype > kBool) return fail(env, "upload: bad dtype", true);
  if (napi_get_typedarray_info(env, argv[2], &type, &length, &memory, nullptr, nullptr) != napi_ok) {
    return fail(env, "upload: values must be a typed array", true);
  }
  const bool matches = dtype == kFloat32 ? type == napi_float32_array
                       : dtype == kInt32 ? type == napi_int32_array
                                         : (type == napi_uint8_array || type == napi_int8_array || type == napi_uint8_clamped_array);
  if (!matches) return fail(env, "upload: the typed array does not fit the dtype", true);
  const double rank = data->block[0];
  if (!(rank >= 0 && rank <= 64)) return fail(env, "upload: bad rank", true);
  std::vector<int64_t> shape(static_cast<size_t>(rank));
  double count = 1;
  for (size_t d = 0; d < shape.size(); d++) {
    if (!(data->block[1 + d] >= 0)) return fail(env, "upload: bad size", true);
    shape[d] = static_cast<int64_t>(data->block[1 + d]);
    count *= data->block[1 + d];
  }
  if (count != static_cast<double>(length)) {
    return fail(env, "upload: the typed array has " + std::to_string(length) + " values, the shape asks for " + std::to_string(static_cast<int64_t>(count)));
  }
  try {
    // The one copy: from the typed array into memory of ATen's alignment.
    at::Tensor tensor = at::empty(shape, at::TensorOptions().dtype(scalar_type(dtype)));
    if (dtype == kBool) {
      const auto* from = static_cast<const uint8_t*>(memory);
      std::transform(from, from + length, tensor.mutable_data_ptr<bool>(), [](uint8_t v) { return v != 0; });
    } else if (length > 0) {
      std::memcpy(tensor.mutable_data_ptr(), memory, tensor.nbytes());
    }
    data->executor->upload(slot, std::move(tensor));
  } catch (const std::exception& e) {
    return fail(env, std::string("upload: ") + e.what());
  }
  return nullptr;
}

// free(slot: number): void
napi_value Free(napi_env env, napi_callback_info info) {
  napi_value argv[1];
  int64_t slot = -1;
  if (!arguments(env, info, argv) || napi_get_value_int64(env, argv[0], &slot) != napi_ok || slot < 0 || slot >= 1000000000) {
    return fail(env, "free: expected a slot", true);
  }
  EnvData* data = started(env);
  if (data != nullptr) data->executor->free(slot);
  return nullptr;
}

// readSync(slot: number): TypedArray
napi_value ReadSync(napi_env env, napi_callback_info info) {
  napi_value argv[1];
  int64_t slot = -1;
  if (!arguments(env, info, argv) || napi_get_value_int64(env, argv[0], &slot) != napi_ok || slot < 0) {
    return fail(env, "readSync: expected a slot", true);
  }
  EnvData* data = started(env);
  if (data == nullptr) return nullptr;
  std::mutex mutex;
  std::condition_variable finished;
  bool done = false;
  at::Tensor tensor;
  std::shared_ptr<const std::string> error;
  data->executor->read(slot, [&](at::Tensor t, std::shared_ptr<const std::string> e) {
    std::lock_guard lock(mutex);
    tensor = std::move(t);
    error = std::move(e);
    done = true;
    finished.notify_one();
  });
  {
    std::unique_lock lock(mutex);
    finished.wait(lock, [&] { return done; });
  }
  if (error) return fail(env, *error);
  return to_typed_array(env, tensor);
}

// [async] read(slot: number): Promise<TypedArray>
napi_value Read(napi_env env, napi_callback_info info) {
  napi_value argv[1];
  int64_t slot = -1;
  if (!arguments(env, info, argv) || napi_get_value_int64(env, argv[0], &slot) != napi_ok || slot < 0) {
    return fail(env, "read: expected a slot", true);
  }
  EnvData* data = started(env);
  if (data == nullptr) return nullptr;
  napi_value promise;
  napi_deferred deferred;
  if (napi_create_promise(env, &deferred, &promise) != napi_ok) return nullptr;
  if (data->pending_reads++ == 0) napi_ref_threadsafe_function(env, data->settle);
  napi_threadsafe_function settle = data->settle;
  data->executor->read(slot, [settle, deferred](at::Tensor t, std::shared_ptr<const std::string> e) {
    auto* result = new ReadResult{deferred, std::move(t), std::move(e)};
    if (napi_call_threadsafe_function(settle, result, napi_tsfn_nonblocking) != napi_ok) delete result;
  });
  return promise;
}

// memory(): [bytes, tensors]
napi_value Memory(napi_env env, napi_callback_info) {
  EnvData* data = started(env);
  if (data == nullptr) return nullptr;
  const mdt::MemoryUse use = data->executor->memory();
  napi_value result, value;
  if (napi_create_array_with_length(env, 2, &result) != napi_ok) return nullptr;
  if (napi_create_double(env, static_cast<double>(use.bytes), &value) != napi_ok || napi_set_element(env, result, 0, value) != napi_ok) return nullptr;
  if (napi_create_double(env, static_cast<double>(use.tensors), &value) != napi_ok || napi_set_element(env, result, 1, value) != napi_ok) return nullptr;
  return result;
}

// profile(): [seconds, calls, copies, bytes copied] of each opcode since the last call, in turn
napi_value Profile(napi_env env, napi_callback_info) {
  EnvData* data = started(env);
  if (data == nullptr) return nullptr;
  std::vector<double> numbers;
  for (const auto& p : data->executor->profile()) {
    for (const double value : {p.seconds, static_cast<double>(p.calls), static_cast<double>(p.copies.count), static_cast<double>(p.copies.bytes)}) {
      numbers.push_back(value);
    }
  }
  napi_value result, value;
  if (napi_create_array_with_length(env, numbers.size(), &result) != napi_ok) return nullptr;
  for (size_t i = 0; i < numbers.size(); i++) {
    if (napi_create_double(env, numbers[i], &value) != napi_ok || napi_set_element(env, result, i, value) != napi_ok) return nullptr;
  }
  return result;
}

// setThreads(threads: number): void
napi_value SetThreads(napi_env env, napi_callback_info info) {
  napi_value argv[1];
  int32_t threads = 0;
  if (!arguments(env, info, argv) || napi_get_value_int32(env, argv[0], &threads) != napi_ok || threads < 1 || threads > 1024) {
    return fail(env, "setThreads: expected an integer from 1 to 1024", true);
  }
  EnvData* data = started(env);
  if (data != nullptr) data->executor->set_threads(threads);
  return nullptr;
}

void cleanup(void* hint) {
  auto* data = static_cast<EnvData*>(hint);
  data->executor.reset();  // joins the thread before the environment goes
}

napi_value Init(napi_env env, napi_value exports) {
  mdt::install_allocator();
  auto* data = new EnvData();
  const auto finalize = [](napi_env, void* pointer, void*) { delete static_cast<EnvData*>(pointer); };
  if (napi_set_instance_data(env, data, finalize, nullptr) != napi_ok || napi_add_env_cleanup_hook(env, cleanup, data) != napi_ok) {
    delete data;
    return nullptr;
  }
  const struct { const char* name; napi_callback fn; } functions[] = {
      {"start", Start}, {"run", Run},       {"upload", Upload},   {"free", Free},          {"readSync", ReadSync},
      {"read", Read},   {"memory", Memory}, {"profile", Profile}, {"setThreads", SetThreads},
  };
  for (const auto& f : functions) {
    napi_value fn;
    if (napi_create_function(env, f.name, NAPI_AUTO_LENGTH, f.fn, nullptr, &fn) != napi_ok) return nullptr;
    if (napi_set_named_property(env, exports, f.name, fn) != napi_ok) return nullptr;
  }
  napi_value names, name;
  const auto& list = mdt::kernels();
  if (napi_create_array_with_length(env, list.size(), &names) != napi_ok) return nullptr;
  for (size_t i = 0; i < list.size(); i++) {
    if (napi_create_string_utf8(env, list[i].name, NAPI_AUTO_LENGTH, &name) != napi_ok) return nullptr;
    if (napi_set_element(env, names, i, name) != napi_ok) return nullptr;
  }
  if (napi_set_named_property(env, exports, "kernels", names) != napi_ok) return nullptr;
  return exports;
}

}  // namespace

NAPI_MODULE(NODE_GYP_MODULE_NAME, Init)
