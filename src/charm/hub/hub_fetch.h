#pragma once

#include <filesystem>
#include <optional>
#include <string>

#include "charm/base/progress.h"
#include "charm/hub/hub_client.h"

namespace charm::hub {

/// A folder with the model of `source`: config, tokenizer, templates and safetensors. Pickled
/// weights are never fetched; a repository that has no others is an error (kInput). Offline, and
/// where the Hub cannot be reached, what the cache holds of the revision is taken if it is whole;
/// otherwise kNetwork.
std::filesystem::path fetch_model(const HubSource& source, const HubOptions& options,
                                  const ProgressFn& progress = {});

/// A folder with the data files of `source` (Parquet, those of `split` where one is given; else the
/// converted Parquet files that the Hub keeps of most data sets), or the one file that the source
/// names or that the repository holds as JSON lines or JSON.
std::filesystem::path fetch_dataset(const HubSource& source,
                                    const std::optional<std::string>& split,
                                    const HubOptions& options, const ProgressFn& progress = {});

}  // namespace charm::hub
