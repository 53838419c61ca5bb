//! C-ABI bridge from charm to Hugging Face tokenizers and minijinja; `include/charm_text.h` describes the interface.

pub mod allocator;
pub mod attributes;
pub mod ffi;
pub mod methods;
pub mod python;
pub mod source;
pub mod strftime;
pub mod template;
pub mod tokenizer;
