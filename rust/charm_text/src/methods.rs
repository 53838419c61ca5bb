//! Python's string methods where minijinja-contrib lacks them or differs; all others are delegated to it.

use minijinja::value::{from_args, Kwargs, Tuple};
use minijinja::{Error, ErrorKind, State, Value};

use crate::attributes;
use crate::python::{self, Ends};

fn invalid(message: &str) -> Error {
    Error::new(ErrorKind::InvalidOperation, message.to_owned())
}

/// Arguments of `split(sep=None, maxsplit=-1)`, by position or by name.
fn split_arguments(args: &[Value]) -> Result<(Option<String>, usize), Error> {
    let (positional, kwargs): (&[Value], Kwargs) = from_args(args)?;
    if positional.len() > 2 {
        return Err(Error::from(ErrorKind::TooManyArguments));
    }
    let separator = match positional.first().cloned().map_or_else(|| kwargs.get("sep"), |value| Ok(Some(value)))? {
        Some(value) if !value.is_none() => {
            Some(value.as_str().ok_or_else(|| invalid("split: the separator must be a string"))?.to_owned())
        }
        _ => None,
    };
    let limit = match positional.get(1).cloned().map_or_else(|| kwargs.get("maxsplit"), |value| Ok(Some(value)))? {
        Some(value) => i64::try_from(value)?,
        None => -1,
    };
    kwargs.assert_all_used()?;
    if separator.as_deref() == Some("") {
        return Err(invalid("split: the separator is empty"));
    }
    Ok((separator, usize::try_from(limit).unwrap_or(usize::MAX)))
}

fn split(text: &str, args: &[Value], from_the_right: bool) -> Result<Value, Error> {
    let (separator, limit) = split_arguments(args)?;
    let mut parts: Vec<&str> = match &separator {
        None => python::split_on_space(text, limit, from_the_right),
        Some(separator) if from_the_right => text.rsplitn(limit.saturating_add(1), separator.as_str()).collect(),
        Some(separator) => text.splitn(limit.saturating_add(1), separator.as_str()).collect(),
    };
    if from_the_right {
        parts.reverse();
    }
    Ok(parts.into_iter().map(Value::from).collect())
}

/// `partition` and `rpartition`: before, separator, after.
fn partition(text: &str, args: &[Value], from_the_right: bool) -> Result<Value, Error> {
    let (separator,): (&str,) = from_args(args)?;
    if separator.is_empty() {
        return Err(invalid("partition: the separator is empty"));
    }
    let found = if from_the_right { text.rsplit_once(separator) } else { text.split_once(separator) };
    let parts = match found {
        Some((before, after)) => [before, separator, after],
        None if from_the_right => ["", "", text],
        None => [text, "", ""],
    };
    Ok(Value::from(Tuple::from(parts.map(Value::from))))
}

/// `splitlines(keepends=False)`.
fn split_lines(text: &str, args: &[Value]) -> Result<Value, Error> {
    let (keep_ends, kwargs): (Option<bool>, Kwargs) = from_args(args)?;
    let keep_ends = keep_ends.map_or_else(|| kwargs.get("keepends"), |value| Ok(Some(value)))?;
    kwargs.assert_all_used()?;
    Ok(python::split_lines(text, keep_ends.unwrap_or(false)).into_iter().map(Value::from).collect())
}

/// `islower` and `isupper`: at least one letter with a case, and none of the other.
fn has_only_case(text: &str, wanted: fn(char) -> bool, other: fn(char) -> bool) -> bool {
    text.chars().any(wanted) && !text.chars().any(other)
}

/// `str.title()`: a cased letter after an uncased character begins a word, also after an apostrophe.
fn title(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut inside = false;
    for c in text.chars() {
        if inside {
            out.extend(c.to_lowercase());
        } else {
            // Where uppercase expands to several letters, only the first stays uppercase (title case).
            let mut upper = c.to_uppercase();
            out.extend(upper.next());
            out.extend(upper.flat_map(char::to_lowercase));
        }
        inside = c.is_lowercase() || c.is_uppercase();
    }
    out
}

fn string_method<'t>(text: &'t str, name: &str, args: &[Value]) -> Option<Result<Value, Error>> {
    let strip = |ends| {
        let (chars,): (Option<&str>,) = from_args(args)?;
        Ok(Value::from(python::strip(text, chars, ends)))
    };
    let without = |cut: fn(&'t str, &str) -> Option<&'t str>| {
        let (affix,): (&str,) = from_args(args)?;
        Ok(Value::from(cut(text, affix).unwrap_or(text)))
    };
    Some(match name {
        "strip" => strip(Ends::Both),
        "lstrip" => strip(Ends::Left),
        "rstrip" => strip(Ends::Right),
        "split" => split(text, args, false),
        "rsplit" => split(text, args, true),
        "splitlines" => split_lines(text, args),
        "title" if args.is_empty() => Ok(Value::from(title(text))),
        "partition" => partition(text, args, false),
        "rpartition" => partition(text, args, true),
        "removeprefix" => without(|text, prefix| text.strip_prefix(prefix)),
        "removesuffix" => without(|text, suffix| text.strip_suffix(suffix)),
        "isspace" if args.is_empty() => Ok(Value::from(!text.is_empty() && text.chars().all(python::is_space))),
        "islower" if args.is_empty() => Ok(Value::from(has_only_case(text, char::is_lowercase, char::is_uppercase))),
        "isupper" if args.is_empty() => Ok(Value::from(has_only_case(text, char::is_uppercase, char::is_lowercase))),
        "isdigit" | "isnumeric" | "isalpha" | "isalnum" if args.is_empty() && text.is_empty() => Ok(Value::from(false)),
        _ => return None,
    })
}

/// Fallback for `value.name(args)` where minijinja has no such method.
pub fn call(state: &mut State, value: &Value, name: &str, args: &[Value]) -> Result<Value, Error> {
    if let Some(result) = attributes::look_up(value, name) {
        return result;
    }
    if let Some(result) = value.as_str().and_then(|text| string_method(text, name, args)) {
        return result;
    }
    minijinja_contrib::pycompat::unknown_method_callback(state, value, name, args)
}
