// Exports the ops on device memory, and what there is of devices.
#pragma once

#include <node_api.h>

namespace mdt {

void expose_devices(napi_env env, napi_value exports);
void expose_pointer_ops(napi_env env, napi_value exports);

}  // namespace mdt
