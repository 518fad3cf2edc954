// What JS handed over, checked. Every failure is a C++ exception that names the op and the argument; `guarded` turns it
// into a JS exception, so none leaves this library.
#pragma once

#include <node_api.h>

#include <cmath>
#include <cstdint>
#include <exception>
#include <limits>
#include <string>
#include <utility>
#include <vector>

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

// Takes the arguments of one call from left to right.
class Arguments {
 public:
  Arguments(napi_env env, napi_callback_info info, const char* op) : env_(env), op_(op), count_(kMax) {
    check(napi_get_cb_info(env, info, &count_, values_, nullptr, nullptr), op, "read the arguments");
  }

  const char* op() const { return op_; }

  // Float32Array or Float64Array, copied and widened: JS may change or detach its array while other threads work.
  std::vector<double> reals(const char* name) {
    const TypedArray array = typed_array(name, "Float32Array or Float64Array");
    if (array.type == napi_float32_array) {
      const auto* data = static_cast<const float*>(array.data);
      return std::vector<double>(data, data + array.length);
    }
    if (array.type != napi_float64_array) throw type_error(name, "Float32Array or Float64Array", "another typed array");
    const auto* data = static_cast<const double*>(array.data);
    return std::vector<double>(data, data + array.length);
  }

  // Whether the next argument is there and not null.
  bool has_value() const { return type_of(peek()) != napi_null && type_of(peek()) != napi_undefined; }

  // Int32Array, copied; null gives an empty list.
  std::vector<int32_t> optional_ints(const char* name) {
    if (type_of(peek()) == napi_null) {
      ++next_;
      return {};
    }
    const TypedArray array = typed_array(name, "Int32Array or null");
    if (array.type != napi_int32_array) throw type_error(name, "Int32Array or null", "another typed array");
    const auto* data = static_cast<const int32_t*>(array.data);
    return std::vector<int32_t>(data, data + array.length);
  }

  double number(const char* name, double low, double high) {
    const napi_value value = peek();
    double number = 0;
    if (type_of(value) != napi_number || napi_get_value_double(env_, value, &number) != napi_ok) {
      throw type_error(name, "a number", kind_of(value));
    }
    if (!(number >= low && number <= high)) {
      throw JsError{ErrorKind::kRange, std::string(op_) + ": " + name + " is " + text(number) + ", expected " + text(low) +
                                           " to " + text(high)};
    }
    ++next_;
    return number;
  }

  int integer(const char* name, int low, int high) {
    const double value = number(name, low, high);
    if (value != std::floor(value)) {
      throw JsError{ErrorKind::kRange, std::string(op_) + ": " + name + " is " + text(value) + ", expected a whole number"};
    }
    return static_cast<int>(value);
  }

  bool boolean(const char* name) {
    const napi_value value = peek();
    bool flag = false;
    if (type_of(value) != napi_boolean || napi_get_value_bool(env_, value, &flag) != napi_ok) {
      throw type_error(name, "a boolean", kind_of(value));
    }
    ++next_;
    return flag;
  }

 private:
  static constexpr std::size_t kMax = 12;

  struct TypedArray {
    napi_typedarray_type type;
    std::size_t length;
    const void* data;
  };

  // Undefined when the caller gave too few.
  napi_value peek() const { return next_ < kMax ? values_[next_] : nullptr; }

  napi_valuetype type_of(napi_value value) const {
    napi_valuetype type = napi_undefined;
    if (value != nullptr) napi_typeof(env_, value, &type);
    return type;
  }

  TypedArray typed_array(const char* name, const char* expected) {
    const napi_value value = peek();
    bool is_typed = false;
    if (value == nullptr || napi_is_typedarray(env_, value, &is_typed) != napi_ok || !is_typed) {
      throw type_error(name, expected, kind_of(value));
    }
    TypedArray array{};
    void* data = nullptr;
    check(napi_get_typedarray_info(env_, value, &array.type, &array.length, &data, nullptr, nullptr), op_, "read an array");
    array.data = data;
    if (data == nullptr) array.length = 0;
    if (array.length > static_cast<std::size_t>(std::numeric_limits<int32_t>::max())) {
      throw JsError{ErrorKind::kRange, std::string(op_) + ": " + name + " has more values than fit 31 bits"};
    }
    ++next_;
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
  std::size_t count_;
  std::size_t next_ = 0;
  napi_value values_[kMax] = {};
};

}  // namespace mdt
