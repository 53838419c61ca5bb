#pragma once

#include <filesystem>

// A header of its own, because half of all headers need it and files.h is edited more often.
namespace charm {

namespace fs = std::filesystem;

}  // namespace charm
