//! Python's semantics of values where minijinja's differ: `str()`, `repr()`, `json.dumps()`, white space.

use std::fmt::Write;

use minijinja::value::ValueKind;
use minijinja::{Error, ErrorKind, Value};

use crate::attributes::Method;

/// `str.isspace()` of one character. Rust's `char::is_whitespace` lacks the four separators U+001C to U+001F.
pub fn is_space(c: char) -> bool {
    c.is_whitespace() || ('\u{1c}'..='\u{1f}').contains(&c)
}

/// Which ends `strip` works on.
#[derive(Clone, Copy, PartialEq)]
pub enum Ends {
    Left,
    Right,
    Both,
}

/// `str.strip`, `lstrip`, `rstrip`, with or without a set of characters.
pub fn strip<'a>(text: &'a str, chars: Option<&str>, ends: Ends) -> &'a str {
    let drop = |c: char| chars.map_or_else(|| is_space(c), |set| set.contains(c));
    let text = if ends == Ends::Right { text } else { text.trim_start_matches(drop) };
    if ends == Ends::Left {
        text
    } else {
        text.trim_end_matches(drop)
    }
}

/// `str.split(None, limit)` or `rsplit`; the parts of the latter come last part first.
pub fn split_on_space(text: &str, limit: usize, from_the_right: bool) -> Vec<&str> {
    let near = if from_the_right { Ends::Right } else { Ends::Left };
    let mut parts = Vec::new();
    let mut rest = strip(text, None, near);
    while !rest.is_empty() {
        let cut = if from_the_right { rest.rfind(is_space) } else { rest.find(is_space) };
        let Some(cut) = cut.filter(|_| parts.len() < limit) else {
            parts.push(rest);
            break;
        };
        let (left, right) = rest.split_at(cut);
        // White space at the split remains on one side; `strip` removes it.
        let (part, others) = if from_the_right { (right, left) } else { (left, right) };
        parts.push(strip(part, None, Ends::Both));
        rest = strip(others, None, near);
    }
    parts
}

/// `str.splitlines()`: also at vertical tabs, form feeds, the separators U+001C to U+001E, U+0085, U+2028 and U+2029.
pub fn split_lines(text: &str, keep_ends: bool) -> Vec<&str> {
    let is_end = |c: char| {
        matches!(c, '\n' | '\r' | '\u{b}' | '\u{c}' | '\u{1c}'..='\u{1e}' | '\u{85}' | '\u{2028}' | '\u{2029}')
    };
    let mut lines = Vec::new();
    let mut rest = text;
    while let Some((at, end)) = rest.char_indices().find(|(_, c)| is_end(*c)) {
        let length = if rest[at..].starts_with("\r\n") { 2 } else { end.len_utf8() };
        lines.push(&rest[..if keep_ends { at + length } else { at }]);
        rest = &rest[at + length..];
    }
    if !rest.is_empty() {
        lines.push(rest);
    }
    lines
}

fn float_repr(number: f64) -> String {
    if number.is_nan() {
        return "nan".into();
    }
    if number.is_infinite() {
        return if number > 0.0 { "inf".into() } else { "-inf".into() };
    }
    let magnitude = number.abs();
    if magnitude != 0.0 && !(1e-4..1e16).contains(&magnitude) {
        // Rust writes 1e16 and 1e-5; Python 1e+16 and 1e-05.
        let text = format!("{number:e}");
        let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
        let exponent: i32 = exponent.parse().unwrap_or(0);
        let sign = if exponent < 0 { '-' } else { '+' };
        return format!("{mantissa}e{sign}{:02}", exponent.abs());
    }
    format!("{number:?}")
}

/// The characters beyond ASCII that `str.isprintable()` refuses: separators other than the space, format characters and those of
/// private use; not the unassigned ones.
fn is_hidden(c: char) -> bool {
    matches!(c, '\u{80}'..='\u{a0}' | '\u{ad}' | '\u{600}'..='\u{605}' | '\u{61c}' | '\u{6dd}' | '\u{70f}' | '\u{1680}' | '\u{180e}'
        | '\u{2000}'..='\u{200f}' | '\u{2028}'..='\u{202f}' | '\u{205f}'..='\u{206f}' | '\u{3000}' | '\u{e000}'..='\u{f8ff}' | '\u{feff}'
        | '\u{fff9}'..='\u{fffb}' | '\u{e0001}'..='\u{e007f}' | '\u{f0000}'..)
}

fn string_repr(text: &str, out: &mut String) {
    let quote = if text.contains('\'') && !text.contains('"') { '"' } else { '\'' };
    out.push(quote);
    for c in text.chars() {
        match c {
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if c == quote => {
                out.push('\\');
                out.push(c);
            }
            c if c.is_ascii_control() || is_hidden(c) => {
                let code = c as u32;
                let escaped = match code {
                    0..=0xff => write!(out, "\\x{code:02x}"),
                    0x100..=0xffff => write!(out, "\\u{code:04x}"),
                    _ => write!(out, "\\U{code:08x}"),
                };
                escaped.expect("writing to a string does not fail");
            }
            c => out.push(c),
        }
    }
    out.push(quote);
}

/// Recursion limit: templates can nest values arbitrarily deep (Python raises RecursionError near 1000).
const MAX_DEPTH: usize = 500;

fn check_depth(depth: usize) -> Result<(), Error> {
    if depth <= MAX_DEPTH {
        return Ok(());
    }
    Err(Error::new(ErrorKind::InvalidOperation, format!("a value is nested deeper than {MAX_DEPTH} levels")))
}

/// `repr(value)`.
fn repr(value: &Value, depth: usize, out: &mut String) -> Result<(), Error> {
    check_depth(depth)?;
    match value.kind() {
        ValueKind::Undefined => out.push_str("Undefined"),
        ValueKind::None => out.push_str("None"),
        ValueKind::Bool => out.push_str(if value.is_true() { "True" } else { "False" }),
        ValueKind::Number if !value.is_integer() => out.push_str(&float_repr(f64::try_from(value.clone())?)),
        ValueKind::String => string_repr(value.as_str().unwrap_or_default(), out),
        ValueKind::Seq | ValueKind::Iterable => {
            let (open, close) = if value.is_tuple() { ('(', ')') } else { ('[', ']') };
            out.push(open);
            for (i, item) in value.try_iter()?.enumerate() {
                if i > 0 {
                    out.push_str(", ");
                }
                repr(&item, depth + 1, out)?;
            }
            if value.is_tuple() && value.len() == Some(1) {
                out.push(',');
            }
            out.push(close);
        }
        ValueKind::Map => {
            out.push('{');
            for (i, key) in value.try_iter()?.enumerate() {
                if i > 0 {
                    out.push_str(", ");
                }
                repr(&key, depth + 1, out)?;
                out.push_str(": ");
                repr(&value.get_item(&key)?, depth + 1, out)?;
            }
            out.push('}');
        }
        _ => match value.downcast_object_ref::<Method>() {
            // Python's text has the address of an object.
            Some(method) => {
                let message = format!("the method '{}' is printed, not called", method.name());
                return Err(Error::new(ErrorKind::InvalidOperation, message));
            }
            None => out.push_str(&value.to_string()),
        },
    }
    Ok(())
}

/// `str(value)`: what `{{ value }}` prints.
pub fn str_of(value: &Value) -> Result<String, Error> {
    match value.kind() {
        ValueKind::Undefined => Ok(String::new()),
        ValueKind::String => Ok(value.as_str().unwrap_or_default().to_owned()),
        _ => {
            let mut out = String::new();
            repr(value, 0, &mut out)?;
            Ok(out)
        }
    }
}

/// The keyword arguments of `json.dumps` that transformers' `tojson` passes on.
#[derive(Clone, Default)]
pub struct JsonOptions {
    pub ensure_ascii: bool,
    /// Indentation per level; `None` keeps everything on one line.
    pub indent: Option<String>,
    /// Between items and between key and value.
    pub separators: Option<(String, String)>,
    pub sort_keys: bool,
}

fn json_string(text: &str, ensure_ascii: bool, out: &mut String) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            c if (c as u32) < 0x20 || (ensure_ascii && (c as u32) > 0x7e) => {
                for unit in c.encode_utf16(&mut [0; 2]) {
                    write!(out, "\\u{unit:04x}").expect("writing to a string does not fail");
                }
            }
            c => out.push(c),
        }
    }
    out.push('"');
}

struct JsonWriter<'a> {
    options: &'a JsonOptions,
    item_separator: &'a str,
    key_separator: &'a str,
}

impl JsonWriter<'_> {
    fn line_break(&self, depth: usize, out: &mut String) {
        if let Some(indent) = &self.options.indent {
            out.push('\n');
            out.push_str(&indent.repeat(depth));
        }
    }

    fn key(&self, key: &Value) -> Result<String, Error> {
        match key.kind() {
            ValueKind::String => Ok(key.as_str().unwrap_or_default().to_owned()),
            ValueKind::None | ValueKind::Bool | ValueKind::Number => {
                let mut text = String::new();
                self.value(key, 0, &mut text)?;
                Ok(text)
            }
            kind => Err(Error::new(ErrorKind::InvalidOperation, format!("tojson: a key cannot be a {kind}"))),
        }
    }

    fn value(&self, value: &Value, depth: usize, out: &mut String) -> Result<(), Error> {
        check_depth(depth)?;
        match value.kind() {
            ValueKind::None => out.push_str("null"),
            ValueKind::Bool => out.push_str(if value.is_true() { "true" } else { "false" }),
            ValueKind::Number if value.is_integer() => out.push_str(&value.to_string()),
            ValueKind::Number => {
                let number = f64::try_from(value.clone())?;
                if number.is_nan() {
                    out.push_str("NaN");
                } else if number.is_infinite() {
                    out.push_str(if number > 0.0 { "Infinity" } else { "-Infinity" });
                } else {
                    out.push_str(&float_repr(number));
                }
            }
            ValueKind::String => json_string(value.as_str().unwrap_or_default(), self.options.ensure_ascii, out),
            ValueKind::Seq | ValueKind::Iterable => {
                let items: Vec<Value> = value.try_iter()?.collect();
                out.push('[');
                for (i, item) in items.iter().enumerate() {
                    if i > 0 {
                        out.push_str(self.item_separator);
                    }
                    self.line_break(depth + 1, out);
                    self.value(item, depth + 1, out)?;
                }
                if !items.is_empty() {
                    self.line_break(depth, out);
                }
                out.push(']');
            }
            ValueKind::Map => {
                let mut keys: Vec<Value> = value.try_iter()?.collect();
                if self.options.sort_keys {
                    keys.sort();
                }
                out.push('{');
                for (i, key) in keys.iter().enumerate() {
                    if i > 0 {
                        out.push_str(self.item_separator);
                    }
                    self.line_break(depth + 1, out);
                    json_string(&self.key(key)?, self.options.ensure_ascii, out);
                    out.push_str(self.key_separator);
                    self.value(&value.get_item(key)?, depth + 1, out)?;
                }
                if !keys.is_empty() {
                    self.line_break(depth, out);
                }
                out.push('}');
            }
            kind => {
                return Err(Error::new(
                    ErrorKind::InvalidOperation,
                    format!("tojson: a value of kind {kind} has no JSON form"),
                ))
            }
        }
        Ok(())
    }
}

/// `json.dumps(value, ...)`.
pub fn json_dumps(value: &Value, options: &JsonOptions) -> Result<String, Error> {
    let (item_separator, key_separator) = match &options.separators {
        Some((item, key)) => (item.as_str(), key.as_str()),
        None if options.indent.is_some() => (",", ": "),
        None => (", ", ": "),
    };
    let mut out = String::new();
    JsonWriter { options, item_separator, key_separator }.value(value, 0, &mut out)?;
    Ok(out)
}
