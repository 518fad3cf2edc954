// The kinds of typed arrays that ops take.
#pragma once

#include <node_api.h>

#include <cstddef>
#include <cstdint>

namespace mdt {

template <class T>
struct ArrayKind;

#define MDT_ARRAY_KIND(T, TYPE, NAME)                    \
  template <>                                            \
  struct ArrayKind<T> {                                  \
    static constexpr napi_typedarray_type type = TYPE;   \
    static constexpr const char* name = NAME;            \
  };
MDT_ARRAY_KIND(int8_t, napi_int8_array, "Int8Array")
MDT_ARRAY_KIND(uint8_t, napi_uint8_array, "Uint8Array")
MDT_ARRAY_KIND(int16_t, napi_int16_array, "Int16Array")
MDT_ARRAY_KIND(uint16_t, napi_uint16_array, "Uint16Array")
MDT_ARRAY_KIND(int32_t, napi_int32_array, "Int32Array")
MDT_ARRAY_KIND(uint32_t, napi_uint32_array, "Uint32Array")
MDT_ARRAY_KIND(uint64_t, napi_biguint64_array, "BigUint64Array")
MDT_ARRAY_KIND(float, napi_float32_array, "Float32Array")
MDT_ARRAY_KIND(double, napi_float64_array, "Float64Array")
#undef MDT_ARRAY_KIND

// Calls `body(T{})` with the type of the values; returns whether there is one.
template <class Body>
bool with_kind(napi_typedarray_type type, const Body& body) {
  switch (type) {
    case napi_int8_array: body(int8_t{}); return true;
    case napi_uint8_array: body(uint8_t{}); return true;
    case napi_int16_array: body(int16_t{}); return true;
    case napi_uint16_array: body(uint16_t{}); return true;
    case napi_int32_array: body(int32_t{}); return true;
    case napi_uint32_array: body(uint32_t{}); return true;
    case napi_float32_array: body(float{}); return true;
    case napi_float64_array: body(double{}); return true;
    default: return false;
  }
}

// 0 for a type that ops do not take.
inline std::size_t bytes_per_value(napi_typedarray_type type) {
  std::size_t bytes = 0;
  with_kind(type, [&](auto value) { bytes = sizeof(value); });
  return bytes;
}

}  // namespace mdt
