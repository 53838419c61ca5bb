#pragma once

#include <cstddef>

namespace charm::text {

/// Sets what is called where the tokenizer library finds no memory for `bytes`. It cannot throw
/// std::bad_alloc and aborts when the handler returns, so a program ends there with its own
/// message. From any thread; the handler must neither allocate nor throw.
void on_out_of_memory(void (*handler)(std::size_t bytes));

}  // namespace charm::text
