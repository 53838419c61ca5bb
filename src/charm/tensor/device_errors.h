#pragma once

#include <c10/util/Exception.h>

#include <utility>

#include "charm/base/error.h"

namespace charm::tensor {

/// Runs `work`; an exception of torch becomes ours: memory of the device that ran out is kResource,
/// anything else kInternal, one line each.
/// @param advice  what to try when memory ran out
template <typename Work>
auto with_device_errors(const char* advice, Work&& work) -> decltype(work()) {
  try {
    return std::forward<Work>(work)();
  } catch (const c10::OutOfMemoryError& error) {
    throw Error(ErrorKind::kResource, "the device's memory ran out: {}; {}",
                error.what_without_backtrace(), advice);
  } catch (const c10::Error& error) {
    throw Error(ErrorKind::kInternal, "torch: {}", error.what_without_backtrace());
  }
}

}  // namespace charm::tensor
