#include "charm/text/out_of_memory.h"

#include "charm/text/bridge.h"

namespace charm::text {

void on_out_of_memory(void (*handler)(std::size_t bytes)) { charm_text_on_out_of_memory(handler); }

}  // namespace charm::text
