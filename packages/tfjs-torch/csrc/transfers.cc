// Typed arrays to tensors and back.
#include <algorithm>
#include <cstring>

#include "call.h"
#include "environment.h"

namespace mdt {
namespace {

bool fits(napi_typedarray_type type, at::ScalarType elements) {
  if (elements == at::kInt) return type == napi_int32_array;
  if (elements == at::kBool) return type == napi_uint8_array || type == napi_int8_array || type == napi_uint8_clamped_array;
  return type == napi_float32_array;  // complex numbers are pairs of floats
}

// A typed array of what a tensor in host memory holds, or null with an exception pending.
napi_value to_typed_array(napi_env env, const at::Tensor& tensor) {
  const auto type = tensor.scalar_type() == at::kInt    ? napi_int32_array
                    : tensor.scalar_type() == at::kBool ? napi_uint8_array
                                                        : napi_float32_array;
  void* memory = nullptr;
  napi_value buffer, result;
  const size_t bytes = tensor.nbytes();
  if (napi_create_arraybuffer(env, bytes, &memory, &buffer) != napi_ok) return nullptr;
  if (bytes > 0) std::memcpy(memory, tensor.const_data_ptr(), bytes);
  if (napi_create_typedarray(env, type, tensor.numel() * (tensor.is_complex() ? 2 : 1), buffer, 0, &result) != napi_ok) return nullptr;
  return result;
}

// A promise and what it becomes: a tensor's values, undefined where there is none, or an error.
struct Settlement {
  napi_deferred deferred;
  at::Tensor tensor;
  FailurePtr error;
};

napi_value error_of(napi_env env, const FailurePtr& failure) {
  bool pending = false;
  napi_value error = nullptr, code, text;
  if (napi_is_exception_pending(env, &pending) == napi_ok && pending) {
    return napi_get_and_clear_last_exception(env, &error) == napi_ok ? error : nullptr;
  }
  const std::string message = failure ? failure->message : "read: out of memory";
  if (napi_create_string_utf8(env, failure ? failure->code : "OUT_OF_MEMORY", NAPI_AUTO_LENGTH, &code) != napi_ok) return nullptr;
  if (napi_create_string_utf8(env, message.data(), message.size(), &text) != napi_ok) return nullptr;
  return napi_create_error(env, code, text, &error) == napi_ok ? error : nullptr;
}

void settle(napi_env env, napi_value, void* context, void* payload) {
  const std::unique_ptr<Settlement> s(static_cast<Settlement*>(payload));
  if (env == nullptr) return;  // the environment is being torn down
  auto* data = static_cast<Environment*>(context);
  if (--data->pending == 0) napi_unref_threadsafe_function(env, data->settle);
  napi_value value = nullptr;
  if (!s->error) {
    if (s->tensor.defined()) value = to_typed_array(env, s->tensor);
    else if (napi_get_undefined(env, &value) != napi_ok) value = nullptr;
  }
  if (value != nullptr) {
    napi_resolve_deferred(env, s->deferred, value);
  } else if (const napi_value error = error_of(env, s->error)) {
    napi_reject_deferred(env, s->deferred, error);
  }
}

// A promise, with the function that settles it from any thread.
napi_value promise_of(napi_env env, Environment& data, std::function<void(at::Tensor, FailurePtr)>& done) {
  napi_value promise;
  napi_deferred deferred;
  if (napi_create_promise(env, &deferred, &promise) != napi_ok) return nullptr;
  if (data.pending++ == 0) napi_ref_threadsafe_function(env, data.settle);
  done = [settle = data.settle, deferred](at::Tensor tensor, FailurePtr error) {
    auto* s = new Settlement{deferred, std::move(tensor), std::move(error)};
    if (napi_call_threadsafe_function(settle, s, napi_tsfn_nonblocking) != napi_ok) delete s;
  };
  return promise;
}

}  // namespace

napi_threadsafe_function make_settle(napi_env env, Environment* data) {
  napi_value name;
  napi_threadsafe_function made = nullptr;
  if (napi_create_string_utf8(env, "tfjs-torch", NAPI_AUTO_LENGTH, &name) != napi_ok) return nullptr;
  if (napi_create_threadsafe_function(env, nullptr, nullptr, name, 0, 1, nullptr, nullptr, data, settle, &made) != napi_ok) return nullptr;
  napi_unref_threadsafe_function(env, made);
  return made;
}

// upload(slot: number, dtype: number, values: TypedArray): void; the shape stands in the block: [rank, sizes…]
napi_value upload(napi_env env, napi_callback_info info) {
  napi_value argv[3];
  if (!arguments(env, info, argv)) return misuse(env, "upload: expected (slot, dtype, values)");
  Environment* data = started(env);
  if (data == nullptr) return nullptr;
  int64_t slot = -1;
  int32_t dtype = -1;
  napi_typedarray_type type;
  void* memory = nullptr;
  size_t length = 0;
  if (!slot_argument(env, *data, argv[0], slot)) return misuse(env, "upload: bad slot");
  if (napi_get_value_int32(env, argv[1], &dtype) != napi_ok || dtype < 0 || dtype >= kNumTypes) return misuse(env, "upload: bad dtype");
  const at::ScalarType elements = element_type(dtype);
  if (napi_get_typedarray_info(env, argv[2], &type, &length, &memory, nullptr, nullptr) != napi_ok) {
    return misuse(env, "upload: values must be a typed array");
  }
  if (!fits(type, elements)) return misuse(env, "upload: the typed array does not fit the dtype");
  const double rank = data->block[0];
  if (!(rank >= 0 && rank <= 64)) return misuse(env, "upload: bad rank");
  std::vector<int64_t> shape(static_cast<size_t>(rank));
  double count = elements == at::kComplexFloat ? 2 : 1;
  std::string words;
  for (size_t d = 0; d < shape.size(); d++) {
    const double size = data->block[1 + d];
    if (!(size >= 0 && size <= 9e15)) return misuse(env, "upload: bad size");
    shape[d] = static_cast<int64_t>(size);
    count *= size;
    words += (d > 0 ? "," : "") + std::to_string(shape[d]);
  }
  if (count != static_cast<double>(length)) {
    return fail(env, "upload: the typed array has " + std::to_string(length) + " values, not those of shape [" + words + "]");
  }
  try {
    // The one copy on the way: from the typed array into memory that the device can read.
    at::Tensor host = data->executor->device().host_buffer(shape, elements);
    if (elements == at::kBool) {
      const auto* from = static_cast<const uint8_t*>(memory);
      std::transform(from, from + length, host.mutable_data_ptr<bool>(), [](uint8_t v) { return v != 0; });
    } else if (length > 0) {
      std::memcpy(host.mutable_data_ptr(), memory, host.nbytes());
    }
    data->executor->upload(slot, std::move(host));
  } catch (...) {
    const FailurePtr failure = current_failure("upload of shape [" + words + "]");
    return fail(env, failure->message, failure->code);
  }
  return nullptr;
}

// readSync(slot: number): TypedArray
napi_value read_sync(napi_env env, napi_callback_info info) {
  napi_value argv[1];
  if (!arguments(env, info, argv)) return misuse(env, "readSync: expected a slot");
  Environment* data = started(env);
  if (data == nullptr) return nullptr;
  int64_t slot = -1;
  if (!slot_argument(env, *data, argv[0], slot)) return misuse(env, "readSync: bad slot");
  std::mutex mutex;
  std::condition_variable finished;
  bool done = false;
  at::Tensor tensor;
  FailurePtr error;
  data->executor->read(slot, [&](at::Tensor t, FailurePtr e) {
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
  if (error) return fail(env, error->message, error->code);
  return to_typed_array(env, tensor);
}

// [async] read(slot: number): Promise<TypedArray>
napi_value read(napi_env env, napi_callback_info info) {
  napi_value argv[1];
  if (!arguments(env, info, argv)) return misuse(env, "read: expected a slot");
  Environment* data = started(env);
  if (data == nullptr) return nullptr;
  int64_t slot = -1;
  if (!slot_argument(env, *data, argv[0], slot)) return misuse(env, "read: bad slot");
  std::function<void(at::Tensor, FailurePtr)> done;
  const napi_value promise = promise_of(env, *data, done);
  if (promise != nullptr) data->executor->read(slot, std::move(done));
  return promise;
}

// [async] idle(): Promise<void>; resolves once everything queued so far has run
napi_value idle(napi_env env, napi_callback_info) {
  Environment* data = started(env);
  if (data == nullptr) return nullptr;
  std::function<void(at::Tensor, FailurePtr)> done;
  const napi_value promise = promise_of(env, *data, done);
  if (promise != nullptr) data->executor->notify([done = std::move(done)] { done({}, nullptr); });
  return promise;
}

}  // namespace mdt
