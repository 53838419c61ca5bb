#pragma once

#include <initializer_list>

#include "charm/base/error.h"

namespace charm::fuzz {

/// Runs `read`; false when it throws an error of one of the kinds that a user's file may cause.
template <typename Read>
bool accepts(const Read& read, std::initializer_list<ErrorKind> kinds = {ErrorKind::kInput}) {
  try {
    read();
    return true;
  } catch (const Error& error) {
    for (const ErrorKind kind : kinds) {
      if (error.kind() == kind) return false;
    }
    throw;
  }
}

}  // namespace charm::fuzz
