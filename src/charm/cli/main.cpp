#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdio>
#include <exception>
#include <filesystem>
#include <new>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include "charm/base/error.h"
#include "charm/base/interrupt.h"
#include "charm/cli/command_line.h"
#include "charm/text/out_of_memory.h"

namespace {

/// "charm score", as every line about its end begins.
std::string program_of(const std::vector<std::string>& arguments) {
  const bool has_command =
      !arguments.empty() && !arguments.front().empty() && arguments.front().front() != '-';
  return has_command ? "charm " + arguments.front() : "charm";
}

/// Prints one line: "charm <command>: error: <message>".
int report_error(const std::vector<std::string>& arguments, std::string message,
                 charm::ErrorKind kind) {
  for (char& c : message) {
    if (c == '\n' || c == '\r') c = ' ';
  }
  std::fflush(stdout);
  std::fprintf(stderr, "%s: error: %s\n", program_of(arguments).c_str(), message.c_str());
  return static_cast<int>(kind);
}

constexpr const char* kMemoryRanOut =
    "memory ran out; try a smaller --budget-tokens or --max-tokens";

/// For `end_without_memory`, which cannot allocate.
std::string memory_line;  // NOLINT(runtime/string)

/// Where there is no memory, also for the tokenizer library: neither allocates nor runs
/// destructors.
void end_without_memory(std::size_t) {
  const auto size = write(STDERR_FILENO, memory_line.data(), memory_line.size());
  _exit(size < 0 ? 1 : static_cast<int>(charm::ErrorKind::kResource));
}

/// Prints the error and ends without destructors: an allocator (mimalloc) whose first allocation
/// failed crashes in its own.
[[noreturn]] void end_without_resources(const std::vector<std::string>& arguments,
                                        std::string message) {
  const int code = report_error(arguments, std::move(message), charm::ErrorKind::kResource);
  std::fflush(nullptr);
  _exit(code);
}

/// If standard error is closed, the next opened file would get its descriptor, and messages would
/// go into the file.
void open_standard_streams() {
  int fd = open("/dev/null", O_RDWR);
  while (fd >= 0 && fd <= STDERR_FILENO) fd = open("/dev/null", O_RDWR);
  if (fd > STDERR_FILENO) close(fd);
}

/// Standard output cannot be written: a closed pipe (`| head`) gives the exit code of SIGPIPE;
/// anything else, such as a full disk, is an error.
int end_without_output(const std::vector<std::string>& arguments, int code) {
  if (code == EPIPE) return 128 + SIGPIPE;
  return report_error(arguments,
                      "cannot write to standard output: " + std::generic_category().message(code),
                      charm::ErrorKind::kIo);
}

}  // namespace

int main(int argc, char** argv) {
  open_standard_streams();
  const std::vector<std::string> arguments(argv + (argc > 0 ? 1 : 0), argv + argc);
  std::signal(SIGPIPE,
              SIG_IGN);  // a closed connection is an error of that request, not of the program
  charm::Interruptible::install_handlers(program_of(arguments));
  memory_line = program_of(arguments) + ": error: " + kMemoryRanOut + "\n";
  charm::text::on_out_of_memory(end_without_memory);
  try {
    charm::cli::run_program(arguments);
    return std::fflush(stdout) == 0 && std::ferror(stdout) == 0
               ? 0
               : end_without_output(arguments, errno);
  } catch (const charm::Interrupted& interrupted) {
    std::fprintf(stderr, "%s: %s\n", program_of(arguments).c_str(), interrupted.what());
    std::fflush(stdout);
    charm::end_by_signal(interrupted.signal);
  } catch (const charm::Error& error) {
    if (error.kind() == charm::ErrorKind::kResource)
      end_without_resources(arguments, error.message());
    return report_error(arguments, error.message(), error.kind());
  } catch (const std::filesystem::filesystem_error& error) {
    return report_error(arguments, error.path1().string() + ": " + error.code().message(),
                        charm::ErrorKind::kIo);
  } catch (const std::system_error& error) {  // fmt::print's or std::thread's
    if (std::ferror(stdout) != 0) return end_without_output(arguments, error.code().value());
    if (error.code() == std::errc::resource_unavailable_try_again)
      end_without_resources(arguments,
                            "no thread can start: memory or the limit of threads ran out");
    return report_error(arguments, std::string("unexpected: ") + error.what(),
                        charm::ErrorKind::kInternal);
  } catch (const std::bad_alloc&) {
    end_without_resources(arguments, kMemoryRanOut);
  } catch (const std::exception& error) {
    return report_error(arguments, std::string("unexpected: ") + error.what(),
                        charm::ErrorKind::kInternal);
  }
}
