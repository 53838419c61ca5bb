#pragma once

#include <fmt/format.h>

#include <exception>
#include <string>
#include <string_view>
#include <utility>

namespace charm {

/// Why a command fails; the value is the process's exit code.
enum class ErrorKind {
  kUsage = 2,      ///< invalid command line
  kInput = 3,      ///< a file has invalid content; a recipe is one
  kIo = 4,         ///< a file cannot be read or written, also for want of disk space
  kNetwork = 5,    ///< a server or a download failed
  kResource = 6,   ///< out of memory, no such device, or a process of the command was lost
  kInternal = 70,  ///< a bug in charm
};

/// "usage", "input", ...: the word used in messages and logs.
std::string_view error_kind_name(ErrorKind kind);

/// The one exception type that crosses folders. The message names the object, the expected and the
/// found value and, if there is one, the next step. Each layer adds its own context with
/// `with_context`.
class Error : public std::exception {
 public:
  template <typename... Args>
  Error(ErrorKind kind, fmt::format_string<Args...> format, Args&&... args)
      : kind_(kind), message_(fmt::format(format, std::forward<Args>(args)...)) {}

  ErrorKind kind() const noexcept { return kind_; }
  int exit_code() const noexcept { return static_cast<int>(kind_); }
  const char* what() const noexcept override { return message_.c_str(); }
  const std::string& message() const noexcept { return message_; }

  /// "<context>: <message>", same kind. Use: `catch (const Error& e) { throw e.with_context("while
  /// ..."); }`.
  Error with_context(std::string_view context) const;

 private:
  ErrorKind kind_;
  std::string message_;
};

}  // namespace charm
