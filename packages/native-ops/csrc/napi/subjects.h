// Each function exports the ops of the file of the same name.
#pragma once

#include <node_api.h>

namespace mdt {

void expose_boxes(napi_env env, napi_value exports);
void expose_resample(napi_env env, napi_value exports);
void expose_box_pairs(napi_env env, napi_value exports);
void expose_components(napi_env env, napi_value exports);
void expose_greedy_clusters(napi_env env, napi_value exports);
void expose_masks(napi_env env, napi_value exports);
void expose_soft_nms(napi_env env, napi_value exports);
void expose_roi_align(napi_env env, napi_value exports);
void expose_weighted_clusters(napi_env env, napi_value exports);

}  // namespace mdt
