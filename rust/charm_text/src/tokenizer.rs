//! Exports of a Hugging Face tokenizer.

use std::ffi::c_char;

use tokenizers::{AddedToken, Model, Tokenizer};

use crate::ffi::*;

/// Loads tokenizer.json without its truncation and padding: those are settings of the training run that wrote the file.
/// `added_json` lists further added tokens in tokenizer.json's form; those it has already are skipped, as in the Python side's
/// `add_tokens`.
/// `split_special`: tokenise special tokens in a text as text (tokenizer_config.json's `split_special_tokens`).
pub fn tokenizer_from_json(json: &str, added_json: &str, split_special: bool) -> Result<Tokenizer, Failure> {
    let failure = |error: tokenizers::Error| Failure::new(INVALID_INPUT, error.to_string());
    let mut tokenizer: Tokenizer = json.parse().map_err(|error: tokenizers::Error| failure(error))?;
    tokenizer.with_truncation(None).map_err(failure)?;
    tokenizer.with_padding(None);
    let added: Vec<AddedToken> = serde_json::from_str(added_json)
        .map_err(|error| Failure::new(INVALID_INPUT, format!("added tokens: {error}")))?;
    tokenizer.add_tokens(added).map_err(failure)?;
    tokenizer.set_encode_special_tokens(split_special);
    Ok(tokenizer)
}

fn to_i32(id: u32) -> Result<i32, Failure> {
    i32::try_from(id).map_err(|_| Failure::new(FAILED, format!("token id {id} does not fit into 32 bits with sign")))
}

/// # Safety
/// See `charm_text.h`.
#[no_mangle]
pub unsafe extern "C" fn charm_text_tokenizer_new(
    json: *const c_char,
    json_length: usize,
    added_json: *const c_char,
    added_length: usize,
    split_special_tokens: i32,
    out_tokenizer: *mut *mut Tokenizer,
) -> Status {
    guard(|| {
        let json = text_argument("json", json, json_length)?;
        let added_json = text_argument("added_json", added_json, added_length)?;
        let tokenizer =
            catch_panic(INVALID_INPUT, || tokenizer_from_json(json, added_json, split_special_tokens != 0))?;
        reference("out_tokenizer", out_tokenizer)?;
        store("out_tokenizer", out_tokenizer, Box::into_raw(Box::new(tokenizer)))
    })
}

/// # Safety
/// `tokenizer` must be null or come from `charm_text_tokenizer_new` and not have been freed.
#[no_mangle]
pub unsafe extern "C" fn charm_text_tokenizer_free(tokenizer: *mut Tokenizer) {
    if !tokenizer.is_null() {
        guard(|| {
            drop(Box::from_raw(tokenizer));
            Ok(())
        });
    }
}

/// # Safety
/// See `charm_text.h`.
#[no_mangle]
pub unsafe extern "C" fn charm_text_tokenizer_encode(
    tokenizer: *const Tokenizer,
    text: *const c_char,
    text_length: usize,
    add_special_tokens: i32,
    out_ids: *mut CharmTextIds,
) -> Status {
    guard(|| {
        let tokenizer = reference("tokenizer", tokenizer)?;
        let text = text_argument("text", text, text_length)?;
        let encoding = catch_panic(FAILED, || {
            let encoded = tokenizer.encode_fast(text, add_special_tokens != 0);
            encoded.map_err(|error| Failure::new(FAILED, error.to_string()))
        })?;
        let ids = encoding.get_ids().iter().map(|&id| to_i32(id)).collect::<Result<Vec<_>, _>>()?;
        store("out_ids", out_ids, ids.into())
    })
}

/// # Safety
/// See `charm_text.h`.
#[no_mangle]
pub unsafe extern "C" fn charm_text_tokenizer_decode(
    tokenizer: *const Tokenizer,
    ids: *const i32,
    num_ids: usize,
    skip_special_tokens: i32,
    out_text: *mut CharmTextString,
) -> Status {
    guard(|| {
        let tokenizer = reference("tokenizer", tokenizer)?;
        let ids: &[i32] = match (ids.is_null(), num_ids) {
            (true, 0) => &[],
            (true, _) => return Err(Failure::new(NULL_ARGUMENT, "ids is null")),
            (false, _) => std::slice::from_raw_parts(ids, num_ids),
        };
        let ids = ids
            .iter()
            .map(|&id| u32::try_from(id).map_err(|_| Failure::new(FAILED, format!("token id {id} is negative"))))
            .collect::<Result<Vec<_>, _>>()?;
        // The crate silently drops unknown ids; a text with gaps is worse than an error.
        if let Some(id) = ids.iter().find(|&&id| tokenizer.id_to_token(id).is_none()) {
            return Err(Failure::new(FAILED, format!("token id {id} is not in the vocabulary")));
        }
        let text = catch_panic(FAILED, || {
            let decoded = tokenizer.decode(&ids, skip_special_tokens != 0);
            decoded.map_err(|error| Failure::new(FAILED, error.to_string()))
        })?;
        store("out_text", out_text, text.into())
    })
}

/// # Safety
/// See `charm_text.h`.
#[no_mangle]
pub unsafe extern "C" fn charm_text_tokenizer_token_to_id(
    tokenizer: *const Tokenizer,
    token: *const c_char,
    token_length: usize,
    out_id: *mut i32,
) -> Status {
    guard(|| {
        let tokenizer = reference("tokenizer", tokenizer)?;
        let token = text_argument("token", token, token_length)?;
        let id = tokenizer.token_to_id(token).map_or(Ok(-1), to_i32)?;
        store("out_id", out_id, id)
    })
}

/// # Safety
/// See `charm_text.h`.
#[no_mangle]
pub unsafe extern "C" fn charm_text_tokenizer_id_to_token(
    tokenizer: *const Tokenizer,
    id: i32,
    out_found: *mut i32,
    out_token: *mut CharmTextString,
) -> Status {
    guard(|| {
        let tokenizer = reference("tokenizer", tokenizer)?;
        let token = u32::try_from(id).ok().and_then(|id| tokenizer.id_to_token(id));
        store("out_found", out_found, i32::from(token.is_some()))?;
        match token {
            Some(token) => store("out_token", out_token, token.into()),
            None => Ok(()),
        }
    })
}

/// # Safety
/// See `charm_text.h`.
#[no_mangle]
pub unsafe extern "C" fn charm_text_tokenizer_vocab_size(tokenizer: *const Tokenizer, out_size: *mut usize) -> Status {
    guard(|| {
        let tokenizer = reference("tokenizer", tokenizer)?;
        // get_vocab_size(true) copies the whole vocabulary to count it.
        let model = tokenizer.get_model();
        let added = tokenizer.get_added_vocabulary().get_added_tokens_decoder();
        let outside_model = added.values().filter(|token| model.token_to_id(&token.content).is_none()).count();
        store("out_size", out_size, model.get_vocab_size() + outside_model)
    })
}
