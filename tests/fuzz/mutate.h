#pragma once

#include <string>

#include "charm/base/random.h"

namespace charm::fuzz {

/// Flips, cuts, doubles, erases or inserts at one to four random places.
std::string mutate(std::string bytes, RandomStream& random);

}  // namespace charm::fuzz
