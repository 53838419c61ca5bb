#pragma once

#include <string_view>

#include "charm/base/fs.h"

// The files that accompany an output: manifest, journal, lock,
// and the partial file while it is
// written. They stand beside it, except beside a Parquet file: those who read its folder
// (`pd.read_parquet(folder)`) would take them for data. docs/decisions/0073 has the reasons.
namespace charm {

/// Whether an output is `-`: then the result goes to standard output and has no companions.
bool is_standard_output(const fs::path& output);

/// The target of a chain of symbolic links, existing or not; `path` itself if it is no link. Always
/// ends with a name: "out" for "out/".
fs::path link_target(fs::path path);

/// `<output><suffix>`; of a Parquet file in the companion folder of its folder.
fs::path companion_path(const fs::path& output, std::string_view suffix);

/// `<output><suffix>`, where earlier versions wrote it also for a Parquet file.
fs::path path_beside(const fs::path& output, std::string_view suffix);

/// The companion folder of a folder of Parquet files, existing or not: `.charm/<name>` beside it if
/// that is there (or `.charm/<parent>/<name>` one folder higher, and so on for three levels), else
/// `.charm` in it.
fs::path companion_folder(const fs::path& folder);

/// Removes a companion folder that holds nothing; any other folder stays.
void remove_if_empty(const fs::path& companions);

/// Creates the companion folder of `folder`, which need not exist yet, as `.charm/...` in `root`, a
/// folder that it lies in at most three levels deep: then `folder` holds Parquet files alone, as
/// readers need that refuse any other file. Where `root` cannot be written or is on another file
/// system, and where `folder` has a companion folder already, that remains the place.
void keep_companions_outside(const fs::path& folder, const fs::path& root);
/// The same in the folder that `folder` lies in.
void keep_companions_outside(const fs::path& folder);

}  // namespace charm
