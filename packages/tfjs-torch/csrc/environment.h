// The state of one JavaScript environment (the main thread or a worker), and what every export needs. Plain C N-API, every
// status checked: a worker may be terminated while a call is in flight, and then a throwing wrapper would end the process.
#pragma once
#include <node_api.h>

#include <memory>
#include <string>

#include "executor.h"

namespace mdt {

struct Environment {
  std::unique_ptr<Executor> executor;
  napi_ref block_ref = nullptr;
  double* block = nullptr;
  size_t block_length = 0;
  int64_t slots = 0;  // JavaScript gave out slots below this one
  napi_threadsafe_function settle = nullptr;
  int pending = 0;  // promises; only touched on the JavaScript thread
};

// Throws in JavaScript; gives null, for the export to return.
napi_value fail(napi_env env, const std::string& message, const char* code = nullptr);
napi_value misuse(napi_env env, const std::string& message);  // a TypeError

// Null with an exception pending where start() was not called.
Environment* started(napi_env env);

template <size_t N>
bool arguments(napi_env env, napi_callback_info info, napi_value (&argv)[N]) {
  size_t argc = N;
  return napi_get_cb_info(env, info, &argc, argv, nullptr, nullptr) == napi_ok && argc >= N;
}

// JavaScript gives slots out one after the other: one far beyond the last is a mistake, and would make a huge table.
inline bool is_slot(Environment& data, double value) {
  constexpr double kAhead = 65536;
  if (!(value >= 0 && value <= static_cast<double>(data.slots) + kAhead)) return false;
  data.slots = std::max(data.slots, static_cast<int64_t>(value) + 1);
  return true;
}
bool slot_argument(napi_env env, Environment& data, napi_value value, int64_t& slot);

// An array of numbers.
napi_value numbers(napi_env env, const std::vector<double>& values);

// Values in and out (transfers.cc).
napi_value upload(napi_env env, napi_callback_info info);
napi_value read_sync(napi_env env, napi_callback_info info);
napi_value read(napi_env env, napi_callback_info info);
napi_value idle(napi_env env, napi_callback_info info);
// What settles the promises of read and idle; null with an exception pending.
napi_threadsafe_function make_settle(napi_env env, Environment* data);

}  // namespace mdt
