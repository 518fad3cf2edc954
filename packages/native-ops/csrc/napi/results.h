// Typed arrays for JS.
#pragma once

#include <node_api.h>

#include <cstdlib>
#include <cstring>
#include <initializer_list>
#include <string>
#include <vector>

#include "arguments.h"

namespace mdt {

template <class T>
struct NewArray {
  napi_value value;
  T* data;
};

// A typed array of zeros. `length` is a double, so that products of sizes cannot overflow before they get here.
inline NewArray<void> new_array_of(napi_env env, const char* op, napi_typedarray_type type, double length) {
  // V8 ends the process when an array buffer cannot be had, so that is found out before.
  constexpr double kMaxBytes = 8.0 * (1 << 30);
  const std::size_t bytes = bytes_per_value(type);
  const bool fits = length * static_cast<double>(bytes) <= kMaxBytes;
  void* probe = fits ? std::malloc(static_cast<std::size_t>(length) * bytes + 1) : nullptr;
  if (probe == nullptr) {
    throw JsError{ErrorKind::kRange, std::string(op) + ": the result would have " +
                                         (length < 1e18 ? std::to_string(static_cast<int64_t>(length)) : "very many") +
                                         " values, expected at most what memory and 8 GiB hold"};
  }
  std::free(probe);
  NewArray<void> array{};
  napi_value buffer = nullptr;
  const auto size = static_cast<std::size_t>(length);
  check(napi_create_arraybuffer(env, size * bytes, &array.data, &buffer), op, "make the result");
  check(napi_create_typedarray(env, type, size, buffer, 0, &array.value), op, "make the result");
  return array;
}

template <class T>
NewArray<T> new_array(napi_env env, const char* op, double length) {
  const NewArray<void> array = new_array_of(env, op, ArrayKind<T>::type, length);
  return {array.value, static_cast<T*>(array.data)};
}

template <class T>
napi_value to_array(napi_env env, const char* op, const std::vector<T>& values) {
  const NewArray<T> array = new_array<T>(env, op, static_cast<double>(values.size()));
  if (!values.empty()) std::memcpy(array.data, values.data(), values.size() * sizeof(T));
  return array.value;
}

// A JS array of values.
inline napi_value to_list(napi_env env, const char* op, std::initializer_list<napi_value> values) {
  napi_value list = nullptr;
  check(napi_create_array_with_length(env, values.size(), &list), op, "make the result");
  uint32_t i = 0;
  for (const napi_value value : values) check(napi_set_element(env, list, i++, value), op, "make the result");
  return list;
}

}  // namespace mdt
