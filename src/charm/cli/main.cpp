#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <new>
#include <string>
#include <vector>

#include "charm/base/error.h"
#include "charm/cli/command_line.h"

namespace {

/// One line for people: "charm <command>: error: <message>".
int complain(const std::vector<std::string>& arguments, std::string message, charm::ErrorKind kind) {
  const bool has_command = !arguments.empty() && !arguments.front().empty() && arguments.front().front() != '-';
  const std::string program = has_command ? "charm " + arguments.front() : "charm";
  for (char& c : message) {
    if (c == '\n' || c == '\r') c = ' ';
  }
  std::fflush(stdout);
  std::fprintf(stderr, "%s: error: %s\n", program.c_str(), message.c_str());
  return static_cast<int>(kind);
}

/// Training computes on OpenMP's threads (everything else on those of kernels/task_team.h). They spin while they wait for each other,
/// which on a machine with other work multiplies the time of every product (seen: a hundredfold). Their library reads the setting before
/// main, so the program starts itself once more; a user's own setting stays.
void start_with_sleeping_threads(const std::vector<std::string>& arguments, char** argv) {
  const bool trains = std::any_of(arguments.begin(), arguments.end(), [](const std::string& a) { return a == "train" || a == "run" || a == "demo"; });
  if (!trains || std::getenv("OMP_WAIT_POLICY") != nullptr || std::getenv("GOMP_SPINCOUNT") != nullptr) return;
  setenv("OMP_WAIT_POLICY", "passive", /*overwrite=*/1);
  execv("/proc/self/exe", argv);  // returns only where it cannot: then threads spin
}

}  // namespace

int main(int argc, char** argv) {
  const std::vector<std::string> arguments(argv + (argc > 0 ? 1 : 0), argv + argc);
  start_with_sleeping_threads(arguments, argv);
  try {
    charm::cli::run_program(arguments);
    if (std::fflush(stdout) != 0) throw charm::Error(charm::ErrorKind::kIo, "cannot write to standard output");
    return 0;
  } catch (const charm::Error& error) {
    return complain(arguments, error.message(), error.kind());
  } catch (const std::bad_alloc&) {
    return complain(arguments, "memory ran out; try a smaller --budget-tokens or --max-tokens", charm::ErrorKind::kResource);
  } catch (const std::exception& error) {
    return complain(arguments, std::string("unexpected: ") + error.what(), charm::ErrorKind::kInternal);
  }
}
