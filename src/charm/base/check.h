#pragma once

#include "charm/base/error.h"

/// Guards our own invariants; never used for user input.
#define CHARM_CHECK(condition, ...)                                                                \
  do {                                                                                             \
    if (!(condition)) {                                                                            \
      throw ::charm::Error(::charm::ErrorKind::kInternal, "{}:{}: check failed: {}: {}", __FILE__, \
                           __LINE__, #condition, fmt::format(__VA_ARGS__));                        \
    }                                                                                              \
  } while (false)
