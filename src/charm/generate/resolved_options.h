#pragma once

#include <filesystem>

#include "charm/generate/generate_stage.h"
#include "charm/storage/manifest.h"
#include "charm/storage/provenance.h"

namespace charm {
struct SamplingSettings;
}

// Validates and resolves the options of a command, and records them in manifest and output.
namespace charm::generate {

/// Throws kUsage for values out of range, and kIo if the output cannot be written.
void check_options(const GenerateStageOptions& options);

/// Throws kUsage unless the options have either a model or valid servers.
void check_source(const GenerateStageOptions& options);

/// The options for a model on this machine: what is not given is what its generation_config.json
/// says (top_k, min_p, repetition_penalty), as transformers' generate has it. Warns of settings
/// there that would change responses and are not applied. Throws kInput for invalid values.
GenerateStageOptions with_model_defaults(GenerateStageOptions options,
                                         const std::filesystem::path& model_dir);

/// Server options with sampling settings, and the API key from the environment.
ServerOptions resolved_server_options(const GenerateStageOptions& options);

SamplingOptions resolved_sampling(const GenerateStageOptions& options);

/// For the output's columns: with servers only the fields that are sent.
SamplingSettings settings_of(const GenerateStageOptions& options);

/// The options that determine responses of servers. URLs do not: a run may resume on other servers.
storage::Provenance server_facts(const ServerOptions& server);

void record_options(const GenerateStageOptions& options, const storage::Provenance& facts,
                    storage::Manifest& manifest);

void record_server(const ServerOptions& server, storage::Manifest& manifest);

}  // namespace charm::generate
