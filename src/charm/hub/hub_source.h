#pragma once

#include <string>
#include <string_view>

namespace charm::hub {

enum class RepoKind { kModel, kDataset };

/// `hub:OWNER/NAME[/FILE][@REVISION]`: a repository of the Hub, or one file of it, at a branch, tag
/// or commit.
struct HubSource {
  std::string repo;  ///< "OWNER/NAME", or "NAME" of the oldest ones
  std::string file;  ///< inside the repository; empty: what is needed of it
  std::string revision = "main";
};

/// Begins with "hub:".
bool is_hub_source(std::string_view text);

/// Throws kUsage for anything that is no such source.
HubSource parse_hub_source(std::string_view text);

}  // namespace charm::hub
