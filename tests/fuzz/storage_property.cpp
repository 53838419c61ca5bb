#include "tests/fuzz/storage_property.h"

#include <fstream>

#include "charm/base/error.h"
#include "charm/base/log.h"
#include "charm/storage/record_reader.h"

namespace charm::fuzz {
namespace {

// A user's file may end a reader with these two only.
template <typename Read>
bool accepts(const Read& read) {
  try {
    read();
    return true;
  } catch (const Error& e) {
    if (e.kind() != ErrorKind::kInput && e.kind() != ErrorKind::kResource) throw;
    return false;
  }
}

}  // namespace

bool read_as_everything(const std::filesystem::path& file, std::string_view bytes) {
  log::set_level(log::Level::kOff);
  std::ofstream(file, std::ios::binary | std::ios::trunc) << bytes;
  // A limit above zero drives the readers past bad rows.
  const storage::ReadOptions options{.max_bad_rows = 3};
  bool accepted = accepts([&] { storage::read_prompts(file, options); });
  accepted |= accepts([&] { storage::read_responses(file, options); });
  accepted |= accepts([&] { storage::read_scored_responses(file, options); });
  accepted |= accepts([&] { storage::read_scores(file, options); });
  accepted |= accepts([&] { storage::read_preferences(file, options); });
  return accepted;
}

}  // namespace charm::fuzz
