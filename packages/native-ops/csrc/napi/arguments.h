// What JS handed over, checked. Every failure is a C++ exception that names the op and the argument; `guarded` turns it
// into a JS exception, so none leaves this library.
#pragma once

#include <node_api.h>

#include <atomic>
#include <cmath>
#include <cstdint>
#include <exception>
#include <limits>
#include <string>
#include <utility>
#include <vector>

#include "../parallel.h"
#include "array_kind.h"

namespace mdt {

enum class ErrorKind { kType, kRange, kOther };

struct JsError {
  ErrorKind kind;
  std::string message;
};

inline void throw_js(napi_env env, const JsError& error) {
  switch (error.kind) {
    case ErrorKind::kType:
      napi_throw_type_error(env, nullptr, error.message.c_str());
      break;
    case ErrorKind::kRange:
      napi_throw_range_error(env, nullptr, error.message.c_str());
      break;
    case ErrorKind::kOther:
      napi_throw_error(env, nullptr, error.message.c_str());
      break;
  }
}

// For calls that only fail when the environment is going down or out of memory.
inline void check(napi_status status, const char* op, const char* what) {
  if (status != napi_ok) throw JsError{ErrorKind::kOther, std::string(op) + ": cannot " + what};
}

// Runs `body() -> napi_value`; a C++ exception becomes a JS one.
template <class Body>
napi_value guarded(napi_env env, const char* op, const Body& body) {
  try {
    return body();
  } catch (const JsError& error) {
    throw_js(env, error);
  } catch (const std::exception& error) {
    throw_js(env, {ErrorKind::kOther, std::string(op) + ": " + error.what()});
  } catch (...) {
    throw_js(env, {ErrorKind::kOther, std::string(op) + ": unknown failure"});
  }
  return nullptr;
}

// The values of a typed array: borrowed from JS, or copied.
template <class T>
class Values {
 public:
  Values() = default;
  explicit Values(std::vector<T> own) : own_(std::move(own)), data_(own_.data()), size_(own_.size()) {}
  Values(const T* data, std::size_t size, bool copy) : data_(data), size_(size) {
    if (!copy) return;
    own_.assign(data, data + size);
    data_ = own_.data();
  }
  Values(Values&&) noexcept = default;
  Values& operator=(Values&&) noexcept = default;

  const T* data() const { return data_; }
  std::size_t size() const { return size_; }
  const T& operator[](std::size_t i) const { return data_[i]; }

  // A copy, unless the values are our own already.
  std::vector<T> to_vector() && {
    if (!own_.empty()) return std::move(own_);
    return std::vector<T>(data_, data_ + size_);
  }

 private:
  std::vector<T> own_;
  const T* data_ = nullptr;
  std::size_t size_ = 0;
};

// The values of a typed array of a type that is only known at run time.
struct AnyValues {
  napi_typedarray_type type = napi_uint8_array;
  std::size_t size = 0;
  Values<uint8_t> bytes;

  template <class T>
  const T* data() const {
    return reinterpret_cast<const T*>(bytes.data());
  }
};

// Takes the arguments of one call from left to right.
class Arguments {
 public:
  // `copy`: arrays are copied, because JS may change or detach its arrays while other threads work. Arrays on shared memory
  // always are, since what was checked must not change afterwards.
  Arguments(napi_env env, napi_callback_info info, const char* op, bool copy)
      : env_(env), op_(op), copy_(copy), count_(kMax) {
    check(napi_get_cb_info(env, info, &count_, values_, nullptr, nullptr), op, "read the arguments");
  }

  const char* op() const { return op_; }

  // Float32Array, widened, or Float64Array.
  Values<double> real_values(const char* name) {
    const TypedArray array = typed_array(take(), name, "Float32Array or Float64Array");
    if (array.type == napi_float32_array) {
      const auto* data = static_cast<const float*>(array.data);
      return Values<double>(std::vector<double>(data, data + array.length));
    }
    if (array.type != napi_float64_array) throw type_error(name, "Float32Array or Float64Array", "another typed array");
    return Values<double>(static_cast<const double*>(array.data), array.length, copy_ || array.shared);
  }

  // The same, always copied.
  std::vector<double> reals(const char* name) {
    return real_values(name).to_vector();
  }

  // Whether the next argument is there and not null.
  bool has_value() const { return type_of(peek()) != napi_null && type_of(peek()) != napi_undefined; }

  void skip() { take(); }

  template <class T>
  Values<T> values(const char* name) {
    return values_of<T>(take(), name, ArrayKind<T>::name);
  }

  // Values of any type that `with_kind` knows, as bytes.
  AnyValues any_values(const char* name) {
    const TypedArray array = typed_array(take(), name, "a typed array");
    const std::size_t bytes = bytes_per_value(array.type);
    if (bytes == 0) throw type_error(name, "a typed array of numbers up to 32 bits or of doubles", "another typed array");
    return {array.type, array.length,
            Values<uint8_t>(static_cast<const uint8_t*>(array.data), array.length * bytes, copy_ || array.shared)};
  }

  // null gives an empty list.
  template <class T>
  Values<T> optional_values(const char* name) {
    const napi_value value = take();
    if (type_of(value) == napi_null) return {};
    return values_of<T>(value, name, (std::string(ArrayKind<T>::name) + " or null").c_str());
  }

  // A JS array of typed arrays. Has to be the first argument that holds values: reading its elements may run JS.
  template <class T>
  std::vector<Values<T>> value_list(const char* name, uint32_t most) {
    const napi_value list = take();
    bool is_array = false;
    uint32_t length = 0;
    if (list == nullptr || napi_is_array(env_, list, &is_array) != napi_ok || !is_array) {
      throw type_error(name, "an array of typed arrays", kind_of(list));
    }
    check(napi_get_array_length(env_, list, &length), op_, "read a list");
    if (length < 1 || length > most) throw range_error(name, std::to_string(length) + " parts", "1 to " + std::to_string(most));
    std::vector<napi_value> elements(length);
    for (uint32_t i = 0; i < length; ++i) check(napi_get_element(env_, list, i, &elements[i]), op_, "read a list");
    std::vector<Values<T>> parts;
    for (const napi_value element : elements) parts.push_back(values_of<T>(element, name, ArrayKind<T>::name));
    return parts;
  }

  double number(const char* name, double low, double high) {
    const napi_value value = take();
    double number = 0;
    if (type_of(value) != napi_number || napi_get_value_double(env_, value, &number) != napi_ok) {
      throw type_error(name, "a number", kind_of(value));
    }
    if (!(number >= low && number <= high)) {
      throw range_error(name, text(number), text(low) + " to " + text(high));
    }
    return number;
  }

  int integer(const char* name, int low, int high) {
    const double value = number(name, low, high);
    if (value != std::floor(value)) {
      throw range_error(name, text(value), "a whole number");
    }
    return static_cast<int>(value);
  }

  bool boolean(const char* name) {
    const napi_value value = take();
    bool flag = false;
    if (type_of(value) != napi_boolean || napi_get_value_bool(env_, value, &flag) != napi_ok) {
      throw type_error(name, "a boolean", kind_of(value));
    }
    return flag;
  }

  // A device address as a BigInt, aligned to `alignment` bytes.
  uintptr_t address(const char* name, uintptr_t alignment, bool nullable) {
    const napi_value value = take();
    uint64_t address = 0;
    bool lossless = false;
    if (type_of(value) != napi_bigint || napi_get_value_bigint_uint64(env_, value, &address, &lossless) != napi_ok) {
      throw type_error(name, "an address as a BigInt", kind_of(value));
    }
    if (!lossless || address > std::numeric_limits<uintptr_t>::max()) throw range_error(name, "too large", "an address");
    if (address == 0 && !nullable) throw range_error(name, "0n", "an address");
    if (address % alignment != 0) {
      throw range_error(name, std::to_string(address), "a multiple of " + std::to_string(alignment));
    }
    return static_cast<uintptr_t>(address);
  }

  // The last two arguments of every op: threads, and null or an Int32Array on shared memory whose first value stops the op
  // when it is not 0. Only shared memory cannot be taken away while another thread reads it.
  Execution execution() {
    Execution execution;
    execution.threads = integer("threads", 0, kMaxThreads);
    if (!has_value()) return execution;
    stop_ = take();
    const TypedArray array = typed_array(stop_, "stop", "Int32Array");
    if (array.type != napi_int32_array || !array.shared || array.length < 1) {
      throw type_error("stop", "an Int32Array on a SharedArrayBuffer", "another array");
    }
    static_assert(sizeof(std::atomic<int32_t>) == sizeof(int32_t), "an atomic is laid out like its value");
    execution.stop = static_cast<const std::atomic<int32_t>*>(array.data);
    return execution;
  }

  // The array that `execution` points into, or nullptr; it has to be kept alive.
  napi_value stop() const { return stop_; }

  JsError range_error(const char* name, const std::string& got, const std::string& expected) const {
    return {ErrorKind::kRange, std::string(op_) + ": " + name + " is " + got + ", expected " + expected};
  }

 private:
  static constexpr std::size_t kMax = 24;
  static constexpr int kMaxThreads = 1024;

  struct TypedArray {
    napi_typedarray_type type;
    std::size_t length;
    const void* data;
    bool shared;  // on a SharedArrayBuffer, which no one can detach but other JS threads can write to
  };

  // Undefined when the caller gave too few.
  napi_value peek() const { return next_ < kMax ? values_[next_] : nullptr; }

  napi_valuetype type_of(napi_value value) const {
    napi_valuetype type = napi_undefined;
    if (value != nullptr) napi_typeof(env_, value, &type);
    return type;
  }

  napi_value take() {
    const napi_value value = peek();
    ++next_;
    return value;
  }

  template <class T>
  Values<T> values_of(napi_value value, const char* name, const char* expected) const {
    const TypedArray array = typed_array(value, name, expected);
    if (array.type != ArrayKind<T>::type) throw type_error(name, expected, "another typed array");
    return Values<T>(static_cast<const T*>(array.data), array.length, copy_ || array.shared);
  }

  TypedArray typed_array(napi_value value, const char* name, const char* expected) const {
    bool is_typed = false;
    if (value == nullptr || napi_is_typedarray(env_, value, &is_typed) != napi_ok || !is_typed) {
      throw type_error(name, expected, kind_of(value));
    }
    TypedArray array{};
    void* data = nullptr;
    napi_value buffer = nullptr;
    bool detachable = true;
    check(napi_get_typedarray_info(env_, value, &array.type, &array.length, &data, &buffer, nullptr), op_, "read an array");
    check(napi_is_arraybuffer(env_, buffer, &detachable), op_, "read an array");
    array.data = data;
    array.shared = !detachable;
    if (data == nullptr) array.length = 0;
    return array;
  }

  const char* kind_of(napi_value value) const {
    switch (type_of(value)) {
      case napi_undefined: return "undefined";
      case napi_null: return "null";
      case napi_boolean: return "a boolean";
      case napi_number: return "a number";
      case napi_string: return "a string";
      case napi_symbol: return "a symbol";
      case napi_function: return "a function";
      case napi_bigint: return "a bigint";
      default: return "an object of another kind";
    }
  }

  JsError type_error(const char* name, const char* expected, const char* got) const {
    return {ErrorKind::kType, std::string(op_) + ": " + name + " must be " + expected + ", got " + got};
  }

  static std::string text(double value) {
    if (std::isnan(value)) return "NaN";
    if (std::isinf(value)) return value > 0 ? "Infinity" : "-Infinity";
    std::string digits = std::to_string(value);
    digits.erase(digits.find_last_not_of('0') + 1);
    if (digits.back() == '.') digits.pop_back();
    return digits;
  }

  napi_env env_;
  const char* op_;
  bool copy_;
  napi_value stop_ = nullptr;
  std::size_t count_;
  std::size_t next_ = 0;
  napi_value values_[kMax] = {};
};

}  // namespace mdt
