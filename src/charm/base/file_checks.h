#pragma once

#include <vector>

#include "charm/base/files.h"

// What may be read and what may be written over: asked before long work starts.
namespace charm {

/// Throws kIo for pipes and devices, which give their bytes once or without end: inputs are read
/// again for their hashes.
void require_regular_file(const fs::path& path);

/// `require_writable` for an output that is a folder.
void require_writable_folder(const fs::path& path);

/// Throws kUsage where `output` and `input` are one file or folder, whatever names and links lead
/// there: writing would destroy what is read.
void require_apart(const fs::path& output, const fs::path& input);
void require_apart(const fs::path& output, const std::vector<fs::path>& inputs);

}  // namespace charm
