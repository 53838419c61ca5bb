#pragma once

#include <csignal>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "charm/base/fs.h"

namespace charm::e2e {

/// Result of a finished process.
struct Outcome {
  int code = -1;                   ///< exit code; 128 + signal when it was killed
  std::string out;                 ///< standard output
  std::string err;                 ///< standard error
  std::int64_t max_rss_bytes = 0;  ///< peak resident memory
};

struct RunSetup {
  std::int64_t max_file_bytes = 0;     ///< no file may grow beyond this (RLIMIT_FSIZE); 0: no limit
  std::int64_t max_address_bytes = 0;  ///< RLIMIT_AS, as `ulimit -v`; 0: no limit
  std::vector<std::pair<std::string, std::string>>
      environment;                    ///< set for the process, besides ours
  std::vector<std::string> launcher;  ///< command prefix, found on PATH: "mpirun", "-n", "2"
  /// Polled every millisecond; sends `kill_signal` when true. Empty: no kill.
  std::function<bool()> kill_when;
  int kill_signal = SIGKILL;
};

/// Runs the `charm` program with these arguments (paths may be absolute or relative to the current
/// folder).
Outcome run_charm(const std::vector<std::string>& arguments, const RunSetup& setup = {});

/// The `charm` program in the background; killed when this goes out of scope. Not thread-safe.
class RunningCharm {
 public:
  explicit RunningCharm(const std::vector<std::string>& arguments, const RunSetup& setup = {});
  ~RunningCharm();
  RunningCharm(const RunningCharm&) = delete;
  RunningCharm& operator=(const RunningCharm&) = delete;

  /// The first line of standard output, once it is complete; empty if the process ends without one.
  std::string first_line();
  void send_signal(int signal) const;
  /// Resident memory in bytes.
  std::int64_t rss_bytes() const;
  /// Waits for its end.
  Outcome wait();

 private:
  bool has_ended();

  int pid_ = -1;
  fs::path out_;
  fs::path err_;
  std::optional<Outcome> ended_;
};

/// Every regular file below `folder` by relative name, with its content.
std::vector<std::pair<std::string, std::string>> files_below(const fs::path& folder);

}  // namespace charm::e2e
