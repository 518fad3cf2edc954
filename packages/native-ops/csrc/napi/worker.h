// Runs a job at once, or away from the JS thread with a promise.
//
// A job is a struct with
//   static constexpr const char* op;
//   Execution execution;
//   explicit Job(Arguments&);               on the JS thread: takes and checks the arguments
//   napi_value allocate(napi_env);          on the JS thread: the output that run() fills, or nullptr
//   void run();                             anywhere; touches no JS
//   napi_value result(napi_env, napi_value allocated);   on the JS thread
#pragma once

#include <node_api.h>

#include <exception>
#include <memory>
#include <string>
#include <utility>

#include "arguments.h"

namespace mdt {

template <class Job>
napi_value call_now(napi_env env, napi_callback_info info) {
  return guarded(env, Job::op, [&] {
    Arguments args(env, info, Job::op, false);
    Job job(args);
    const napi_value allocated = job.allocate(env);
    job.run();
    return job.result(env, allocated);
  });
}

template <class Job>
struct PendingJob {
  Job job;
  napi_async_work work = nullptr;
  napi_deferred deferred = nullptr;
  napi_ref allocated = nullptr;
  napi_ref stop = nullptr;
  bool failed = false;
  std::string failure;

  explicit PendingJob(Arguments& args) : job(args) {}

  static void execute(napi_env, void* data) {
    auto& self = *static_cast<PendingJob*>(data);
    try {
      self.job.run();
      self.failed = self.job.execution.stopped();
      if (self.failed) self.failure = "stopped";
    } catch (const std::exception& error) {
      self.failed = true;
      self.failure = error.what();
    } catch (...) {
      self.failed = true;
      self.failure = "unknown failure";
    }
  }

  // The environment may be going down here: then every call below fails, and nothing is left to do but to free.
  static void complete(napi_env env, napi_status status, void* data) {
    const std::unique_ptr<PendingJob> self(static_cast<PendingJob*>(data));
    napi_value allocated = nullptr;
    if (self->allocated != nullptr) {
      napi_get_reference_value(env, self->allocated, &allocated);
      napi_delete_reference(env, self->allocated);
    }
    if (self->stop != nullptr) napi_delete_reference(env, self->stop);
    napi_delete_async_work(env, self->work);
    if (status == napi_cancelled) return;
    napi_value value = nullptr;
    if (!self->failed) {
      try {
        value = self->job.result(env, allocated);
      } catch (const JsError& error) {
        self->failure = error.message;
      } catch (const std::exception& error) {
        self->failure = error.what();
      }
    }
    if (value != nullptr) {
      napi_resolve_deferred(env, self->deferred, value);
      return;
    }
    const std::string text = std::string(Job::op) + ": " + self->failure;
    napi_value message = nullptr;
    napi_value error = nullptr;
    if (napi_create_string_utf8(env, text.c_str(), text.size(), &message) == napi_ok &&
        napi_create_error(env, nullptr, message, &error) == napi_ok) {
      napi_reject_deferred(env, self->deferred, error);
    }
  }
};

template <class Job>
napi_value call_async(napi_env env, napi_callback_info info) {
  return guarded(env, Job::op, [&] {
    Arguments args(env, info, Job::op, true);
    auto pending = std::make_unique<PendingJob<Job>>(args);
    napi_value name = nullptr;
    napi_value promise = nullptr;
    const napi_value allocated = pending->job.allocate(env);
    if (allocated) check(napi_create_reference(env, allocated, 1, &pending->allocated), Job::op, "hold the output");
    if (args.stop()) check(napi_create_reference(env, args.stop(), 1, &pending->stop), Job::op, "hold an argument");
    check(napi_create_string_utf8(env, Job::op, NAPI_AUTO_LENGTH, &name), Job::op, "name the work");
    check(napi_create_promise(env, &pending->deferred, &promise), Job::op, "make a promise");
    check(napi_create_async_work(env, nullptr, name, PendingJob<Job>::execute, PendingJob<Job>::complete, pending.get(),
                                 &pending->work),
          Job::op, "make the work");
    if (napi_queue_async_work(env, pending->work) != napi_ok) {
      napi_delete_async_work(env, pending->work);
      throw JsError{ErrorKind::kOther, std::string(Job::op) + ": cannot queue the work"};
    }
    pending.release();
    return promise;
  });
}

// Exports a job twice, as `op` and as `opAsync`, with the same arguments.
template <class Job>
void expose(napi_env env, napi_value exports) {
  const auto add = [&](const std::string& name, napi_callback callback) {
    napi_value function = nullptr;
    check(napi_create_function(env, name.c_str(), name.size(), callback, nullptr, &function), Job::op, "make the function");
    check(napi_set_named_property(env, exports, name.c_str(), function), Job::op, "export the function");
  };
  add(Job::op, call_now<Job>);
  add(std::string(Job::op) + "Async", call_async<Job>);
}

}  // namespace mdt
