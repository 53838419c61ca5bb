#pragma once

#include "charm/generate/generate_stage.h"
#include "charm/records/records.h"
#include "charm/storage/manifest.h"
#include "charm/storage/provenance.h"

// What a command's options come to: refused where they make no sense, completed for a generator,
// and written down in manifest and output.
namespace charm::generate {

/// Throws kUsage for values out of range, and kIo where the output cannot be written.
void check_options(const GenerateStageOptions& options);

/// Throws kUsage unless the options name one model or usable servers.
void check_source(const GenerateStageOptions& options);

/// The servers' options with the sampling settings they get, and with the key out of the
/// environment.
ServerOptions full_server_options(const GenerateStageOptions& options);

SamplingOptions full_sampling(const GenerateStageOptions& options);

/// What the file's columns say: with servers only what was sent.
SamplingSettings settings_of(const GenerateStageOptions& options);

/// The members of `options` that decide what servers answer. Addresses do not: a run may go on
/// elsewhere.
storage::Provenance server_facts(const ServerOptions& server);

void record_options(const GenerateStageOptions& options, const storage::Provenance& facts,
                    storage::Manifest& manifest);

void record_server(const ServerOptions& server, storage::Manifest& manifest);

}  // namespace charm::generate
