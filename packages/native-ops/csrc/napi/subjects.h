// Each function exports the ops of the file of the same name.
#pragma once

#include <node_api.h>

namespace mdt {

void expose_boxes(napi_env env, napi_value exports);
void expose_resample(napi_env env, napi_value exports);
void expose_roi_align(napi_env env, napi_value exports);

}  // namespace mdt
