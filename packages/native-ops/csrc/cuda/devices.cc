// cudaDevices(): [{ name, computeCapability, memoryBytes }], one per device; throws what the driver says where there is none.
#include <cuda_runtime_api.h>

#include <string>

#include "../napi/arguments.h"
#include "device_call.h"
#include "pointers.h"

namespace mdt {
namespace {

constexpr const char* op = "cudaDevices";

void set(napi_env env, napi_value object, const char* name, napi_value value) {
  check(napi_set_named_property(env, object, name, value), op, "make the result");
}

napi_value text(napi_env env, const std::string& value) {
  napi_value result = nullptr;
  check(napi_create_string_utf8(env, value.c_str(), value.size(), &result), op, "make the result");
  return result;
}

napi_value cuda_devices(napi_env env, napi_callback_info) {
  return guarded(env, op, [&] {
    int count = 0;
    on_device::expect(cudaGetDeviceCount(&count), "count the devices");
    napi_value list = nullptr;
    check(napi_create_array_with_length(env, count, &list), op, "make the result");
    for (int device = 0; device < count; ++device) {
      cudaDeviceProp properties{};
      on_device::expect(cudaGetDeviceProperties(&properties, device), "ask the device");
      napi_value entry = nullptr;
      napi_value memory = nullptr;
      check(napi_create_object(env, &entry), op, "make the result");
      check(napi_create_double(env, static_cast<double>(properties.totalGlobalMem), &memory), op, "make the result");
      set(env, entry, "name", text(env, properties.name));
      set(env, entry, "computeCapability", text(env, std::to_string(properties.major) + "." + std::to_string(properties.minor)));
      set(env, entry, "memoryBytes", memory);
      check(napi_set_element(env, list, device, entry), op, "make the result");
    }
    return list;
  });
}

}  // namespace

void expose_devices(napi_env env, napi_value exports) {
  napi_value function = nullptr;
  check(napi_create_function(env, op, NAPI_AUTO_LENGTH, cuda_devices, nullptr, &function), op, "be made");
  set(env, exports, op, function);
}

}  // namespace mdt
