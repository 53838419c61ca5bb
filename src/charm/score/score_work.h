#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "charm/score/row_store.h"
#include "charm/score/score_manifest.h"
#include "charm/score/score_stage.h"
#include "charm/storage/manifest.h"

namespace charm::score {

/// A file of responses and its content's hash.
struct ResponseFile {
  std::filesystem::path path;
  std::string sha256;
  std::int64_t num_rows = 0;
};

/// One policy's part of the run: a file, a lock, a journal and an entry of the manifest of its own,
/// so that runs of different policies may share a folder.
struct PolicyPart {
  std::filesystem::path file;
  std::size_t source;             ///< response file that holds its rows
  std::vector<std::size_t> rows;  ///< of the run, in order
  std::string fingerprint;        ///< of the options and of the inputs behind these rows
  std::optional<storage::Manifest> manifest;  ///< with the same options and inputs
  std::optional<PolicyEntry> finished;        ///< left by an earlier run of this fingerprint
};

/// The rows of a run and the policies they belong to.
struct Work {
  RowStore rows;
  std::vector<ResponseFile> sources;
  std::vector<PolicyPart> parts;  ///< in order of first appearance
};

/// Reads the responses. Throws kInput where two files have the same policy, two policies would
/// share a file, or a policy's name is too long for one; kUsage where an output is an input.
Work read_work(const ScoreStageOptions& options);

/// The rows of unfinished policies that a process scores, in order; without a shard all of them.
std::vector<std::size_t> pending_rows(const Work& work, const std::optional<Shard>& shard);

/// Finds the policies that earlier runs with the same options and inputs completed.
void find_finished(const std::filesystem::path& output, std::vector<PolicyPart>& parts);

}  // namespace charm::score
