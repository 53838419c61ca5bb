#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <filesystem>
#include <new>
#include <string>
#include <system_error>
#include <vector>

#include "charm/base/error.h"
#include "charm/cli/command_line.h"

namespace {

/// One line for people: "charm <command>: error: <message>".
int complain(const std::vector<std::string>& arguments, std::string message,
             charm::ErrorKind kind) {
  const bool has_command =
      !arguments.empty() && !arguments.front().empty() && arguments.front().front() != '-';
  const std::string program = has_command ? "charm " + arguments.front() : "charm";
  for (char& c : message) {
    if (c == '\n' || c == '\r') c = ' ';
  }
  std::fflush(stdout);
  std::fprintf(stderr, "%s: error: %s\n", program.c_str(), message.c_str());
  return static_cast<int>(kind);
}

/// A file opened while standard error is closed would take its number, and messages would go into
/// the file.
void open_standard_streams() {
  int fd = open("/dev/null", O_RDWR);
  while (fd >= 0 && fd <= STDERR_FILENO) fd = open("/dev/null", O_RDWR);
  if (fd > STDERR_FILENO) close(fd);
}

/// Standard output that cannot be written: whoever read it has read enough (`| head`), as if the
/// signal had ended us; or a disk is full.
int end_without_output(const std::vector<std::string>& arguments, int code) {
  if (code == EPIPE) return 128 + SIGPIPE;
  return complain(arguments,
                  "cannot write to standard output: " + std::generic_category().message(code),
                  charm::ErrorKind::kIo);
}

/// Training computes on OpenMP's threads (everything else on those of kernels/thread_pool.h). They
/// spin while they wait for each other, which on a machine with other work multiplies the time of
/// every product (seen: a hundredfold). Their library reads the setting before main, so the program
/// starts itself once more; a user's own setting stays.
void start_with_sleeping_threads(const std::vector<std::string>& arguments, char** argv) {
  const bool trains = std::any_of(arguments.begin(), arguments.end(), [](const std::string& a) {
    return a == "train" || a == "run" || a == "demo";
  });
  if (!trains || std::getenv("OMP_WAIT_POLICY") != nullptr ||
      std::getenv("GOMP_SPINCOUNT") != nullptr)
    return;
  setenv("OMP_WAIT_POLICY", "passive", /*overwrite=*/1);
  execv("/proc/self/exe", argv);  // returns only where it cannot: then threads spin
}

}  // namespace

int main(int argc, char** argv) {
  open_standard_streams();
  const std::vector<std::string> arguments(argv + (argc > 0 ? 1 : 0), argv + argc);
  start_with_sleeping_threads(arguments, argv);
  std::signal(SIGPIPE, SIG_IGN);  // a server that hangs up is an error of that request, not the end
  try {
    charm::cli::run_program(arguments);
    return std::fflush(stdout) == 0 && std::ferror(stdout) == 0
               ? 0
               : end_without_output(arguments, errno);
  } catch (const charm::Error& error) {
    return complain(arguments, error.message(), error.kind());
  } catch (const std::filesystem::filesystem_error& error) {
    return complain(arguments, error.path1().string() + ": " + error.code().message(),
                    charm::ErrorKind::kIo);
  } catch (const std::system_error& error) {  // fmt::print's
    if (std::ferror(stdout) != 0) return end_without_output(arguments, error.code().value());
    return complain(arguments, std::string("unexpected: ") + error.what(),
                    charm::ErrorKind::kInternal);
  } catch (const std::bad_alloc&) {
    return complain(arguments, "memory ran out; try a smaller --budget-tokens or --max-tokens",
                    charm::ErrorKind::kResource);
  } catch (const std::exception& error) {
    return complain(arguments, std::string("unexpected: ") + error.what(),
                    charm::ErrorKind::kInternal);
  }
}
