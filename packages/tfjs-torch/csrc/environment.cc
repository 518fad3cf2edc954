#include "environment.h"

namespace mdt {

napi_value fail(napi_env env, const std::string& message, const char* code) {
  napi_throw_error(env, code, message.c_str());
  return nullptr;
}

napi_value misuse(napi_env env, const std::string& message) {
  napi_throw_type_error(env, nullptr, message.c_str());
  return nullptr;
}

Environment* started(napi_env env) {
  void* data = nullptr;
  if (napi_get_instance_data(env, &data) != napi_ok || data == nullptr || !static_cast<Environment*>(data)->executor) {
    fail(env, "tfjs-torch: start() must be called first");
    return nullptr;
  }
  return static_cast<Environment*>(data);
}

bool slot_argument(napi_env env, Environment& data, napi_value value, int64_t& slot) {
  double number = -1;
  if (napi_get_value_double(env, value, &number) != napi_ok || !is_slot(data, number)) return false;
  slot = static_cast<int64_t>(number);
  return true;
}

napi_value numbers(napi_env env, const std::vector<double>& values) {
  napi_value result, value;
  if (napi_create_array_with_length(env, values.size(), &result) != napi_ok) return nullptr;
  for (size_t i = 0; i < values.size(); i++) {
    if (napi_create_double(env, values[i], &value) != napi_ok || napi_set_element(env, result, i, value) != napi_ok) return nullptr;
  }
  return result;
}

}  // namespace mdt
