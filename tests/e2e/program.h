#pragma once

#include <csignal>
#include <functional>
#include <string>
#include <vector>

#include "charm/base/files.h"

namespace charm::e2e {

/// What a finished process left.
struct Outcome {
  int code = -1;                   ///< exit code; 128 + signal when it was killed
  std::string out;                 ///< standard output
  std::string err;                 ///< standard error
  std::int64_t max_rss_bytes = 0;  ///< most memory it held at a time
};

struct RunSetup {
  std::int64_t max_file_bytes = 0;  ///< no file may grow beyond this (RLIMIT_FSIZE); 0: no limit
  std::vector<std::pair<std::string, std::string>>
      environment;                    ///< set for the process, besides ours
  std::vector<std::string> launcher;  ///< words in front of the program, the first one found on
                                      ///< PATH: "mpirun", "-n", "2"
  /// Asked every millisecond; the process gets `kill_signal` at the first true. Empty: it runs to
  /// its end.
  std::function<bool()> kill_when;
  int kill_signal = SIGKILL;
};

/// Runs the `charm` program with these arguments (paths may be absolute or relative to the current
/// folder).
Outcome run_charm(const std::vector<std::string>& arguments, const RunSetup& setup = {});

/// Every regular file below `folder` by relative name, with its content.
std::vector<std::pair<std::string, std::string>> files_below(const fs::path& folder);

}  // namespace charm::e2e
