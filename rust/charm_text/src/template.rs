//! Exports of a chat template, rendered as transformers' `render_jinja_template` (utils/chat_template_utils.py, 5.17) does.

use std::ffi::c_char;
use std::fmt::Write;
use std::sync::Arc;

use minijinja::syntax::SyntaxConfig;
use minijinja::value::{Kwargs, Rest, Serde, ValueKind};
use minijinja::{AutoEscape, Environment, Error, ErrorKind, Value};

use crate::attributes;
use crate::ffi::*;
use crate::methods;
use crate::python::{self, Ends};
use crate::source::{self, ITERATED};
use crate::strftime::Date;

const NAME: &str = "template";

/// Source of an error raised by `raise_exception`: distinguishes the template's rejections from errors in it.
#[derive(Debug)]
struct Raised(String);

impl std::fmt::Display for Raised {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Raised {}

fn raise_exception(message: Value) -> Result<Value, Error> {
    let message = python::str_of(&message)?;
    Err(Error::new(ErrorKind::InvalidOperation, message.clone()).with_source(Raised(message)))
}

fn tojson(value: &Value, kwargs: Kwargs) -> Result<Value, Error> {
    let indent = match kwargs.get::<Option<Value>>("indent")? {
        None => None,
        Some(value) if value.is_none() => None,
        Some(value) if value.kind() == ValueKind::String => Some(python::str_of(&value)?),
        Some(value) => Some(" ".repeat(usize::try_from(value)?)),
    };
    let separators = match kwargs.get::<Option<Vec<String>>>("separators")? {
        None => None,
        Some(pair) => match <[String; 2]>::try_from(pair) {
            Ok([item, key]) => Some((item, key)),
            Err(_) => return Err(Error::new(ErrorKind::InvalidOperation, "tojson: separators must be two strings")),
        },
    };
    let options = python::JsonOptions {
        ensure_ascii: kwargs.get::<Option<bool>>("ensure_ascii")?.unwrap_or(false),
        indent,
        separators,
        sort_keys: kwargs.get::<Option<bool>>("sort_keys")?.unwrap_or(false),
    };
    kwargs.assert_all_used()?;
    Ok(Value::from(python::json_dumps(value, &options)?))
}

fn trim(value: &Value, chars: Option<String>) -> Result<String, Error> {
    Ok(python::strip(&python::str_of(value)?, chars.as_deref(), Ends::Both).to_owned())
}

/// markupsafe's entities for quotes; minijinja's differ.
fn escape(value: &Value) -> Result<String, Error> {
    let text = python::str_of(value)?.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    Ok(text.replace('\'', "&#39;").replace('"', "&#34;"))
}

/// `len()`; Jinja2's Undefined has length 0.
fn length(value: &Value) -> Result<usize, Error> {
    match value.len() {
        Some(length) => Ok(length),
        None if value.is_undefined() => Ok(0),
        None => Err(Error::new(ErrorKind::InvalidOperation, format!("a value of kind {} has no length", value.kind()))),
    }
}

/// A value to iterate over; none is an error, as in Python.
fn iterated(value: Value) -> Result<Value, Error> {
    if value.is_none() {
        return Err(Error::new(ErrorKind::InvalidOperation, "'NoneType' object is not iterable"));
    }
    Ok(value)
}

/// minijinja's filters that take none as an empty list.
const ITERATING_FILTERS: [&str; 10] =
    ["list", "join", "sum", "min", "max", "unique", "sort", "batch", "slice", "groupby"];

/// `do_indent` of Jinja2's filters.py.
fn indent(value: &Value, width: Option<Value>, first: Option<bool>, options: Kwargs) -> Result<String, Error> {
    let Some(text) = value.as_str() else {
        return Err(Error::new(ErrorKind::InvalidOperation, format!("indent: a value of kind {}", value.kind())));
    };
    let width = width.map_or_else(|| options.get::<Option<Value>>("width"), |width| Ok(Some(width)))?;
    let first = first.map_or_else(|| options.get::<Option<bool>>("first"), |first| Ok(Some(first)))?;
    let blank = options.get::<Option<bool>>("blank")?.unwrap_or(false);
    options.assert_all_used()?;
    let indention = match width {
        None => " ".repeat(4),
        Some(width) if width.as_str().is_some() => python::str_of(&width)?,
        Some(width) => " ".repeat(usize::try_from(width)?),
    };
    let text = format!("{text}\n");
    let mut out = if first.unwrap_or(false) { indention.clone() } else { String::new() };
    for (i, line) in python::split_lines(&text, false).into_iter().enumerate() {
        if i > 0 {
            out.push('\n');
            out.push_str(if line.is_empty() && !blank { "" } else { &indention });
        }
        out.push_str(line);
    }
    Ok(out)
}

/// Step limit of a rendering: about a second, thousands of times what a real template needs. Bounds nested loops.
const FUEL: u64 = 50_000_000;

pub struct ChatTemplate {
    environment: Environment<'static>,
    /// Special tokens (bos_token, ...).
    context: serde_json::Map<String, serde_json::Value>,
}

fn describe(error: &Error) -> String {
    let mut text = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        write!(text, ": {cause}").expect("writing to a string does not fail");
        source = cause.source();
    }
    text
}

impl ChatTemplate {
    pub fn new(source: &str, context_json: &str, date: &str) -> Result<ChatTemplate, Failure> {
        let context = serde_json::from_str(context_json)
            .map_err(|error| Failure::new(INVALID_INPUT, format!("context: {error}")))?;
        let date = Date::parse(date)
            .ok_or_else(|| Failure::new(INVALID_INPUT, format!("date '{date}' is not a day written YYYY-MM-DD")))?;

        let mut environment = Environment::new();
        let syntax = SyntaxConfig::builder().trim_blocks(true).lstrip_blocks(true).keep_trailing_newline(false).build();
        environment.set_syntax(syntax.map_err(|error| Failure::new(FAILED, describe(&error)))?);
        environment.set_fuel(Some(FUEL));
        environment.set_auto_escape_callback(|_| AutoEscape::None);
        environment.set_unknown_method_callback(methods::call);
        environment.set_formatter(|out, _state, value| out.write_str(&python::str_of(value)?).map_err(Error::from));
        environment.add_function("raise_exception", raise_exception);
        environment.add_function("strftime_now", move |format: &str| {
            date.format(format).map(Value::from).ok_or_else(|| {
                Error::new(ErrorKind::InvalidOperation, format!("strftime_now: cannot format '{format}'"))
            })
        });
        environment.add_filter("tojson", tojson);
        environment.add_filter("trim", trim);
        environment.add_filter("attr", attributes::attr);
        environment.add_filter("escape", escape);
        environment.add_filter("e", escape);
        environment.add_filter("length", length);
        environment.add_filter("count", length);
        environment.add_filter(ITERATED, iterated);
        let mut builtins = Environment::new();
        builtins.set_fuel(Some(FUEL));
        let builtins = Arc::new(builtins);
        for name in ITERATING_FILTERS {
            let builtins = Arc::clone(&builtins);
            environment.add_filter(name, move |value: Value, rest: Rest<Value>, kwargs: Kwargs| {
                let mut arguments: Vec<Value> = std::iter::once(iterated(value)?).chain(rest.0).collect();
                if kwargs.args().next().is_some() {
                    arguments.push(Value::from(kwargs));
                }
                builtins.empty_state().apply_filter(name, &arguments)
            });
        }
        environment.add_filter("indent", indent);
        environment.add_filter("string", |value: &Value| python::str_of(value));
        // In Python strings and dicts are sequences for this test too.
        environment.add_test("sequence", |value: &Value| {
            matches!(value.kind(), ValueKind::Seq | ValueKind::String | ValueKind::Map | ValueKind::Undefined)
        });
        environment.add_test("iterable", |value: &Value| !value.is_none() && value.try_iter().is_ok());
        let adapted = source::adapted(source).map_err(|message| Failure::new(INVALID_INPUT, message))?;
        environment.add_template_owned(NAME, adapted).map_err(|error| Failure::new(INVALID_INPUT, describe(&error)))?;
        Ok(ChatTemplate { environment, context })
    }

    /// `tools_json` is a list of JSON schemas, `kwargs_json` an object of further variables; empty: none.
    pub fn render(
        &self,
        messages_json: &str,
        tools_json: &str,
        kwargs_json: &str,
        add_generation_prompt: bool,
    ) -> Result<String, Failure> {
        let parse = |name: &str, json: &str| -> Result<serde_json::Value, Failure> {
            serde_json::from_str(json).map_err(|error| Failure::new(INVALID_INPUT, format!("{name}: {error}")))
        };
        let messages = parse("messages", messages_json)?;
        let tools = if tools_json.is_empty() { serde_json::Value::Null } else { parse("tools", tools_json)? };
        let mut context = self.context.clone();
        if !kwargs_json.is_empty() {
            match parse("chat_template_kwargs", kwargs_json)? {
                serde_json::Value::Object(kwargs) => context.extend(kwargs),
                _ => return Err(Failure::new(INVALID_INPUT, "chat_template_kwargs: expected an object")),
            }
        }
        context.insert("messages".into(), messages);
        context.insert("add_generation_prompt".into(), add_generation_prompt.into());
        // transformers passes None for either without a value, so `tools is defined` is true and `tools is not none` false.
        context.insert("tools".into(), tools);
        context.entry("documents").or_insert(serde_json::Value::Null);

        let template = self.environment.get_template(NAME).map_err(|error| Failure::new(FAILED, describe(&error)))?;
        template.render(Value::from(Serde(context))).map_err(|error| {
            let mut source = std::error::Error::source(&error);
            while let Some(cause) = source {
                if let Some(raised) = cause.downcast_ref::<Raised>() {
                    return Failure::new(REFUSED, raised.0.clone());
                }
                source = cause.source();
            }
            Failure::new(FAILED, describe(&error))
        })
    }
}

/// # Safety
/// See `charm_text.h`.
#[no_mangle]
pub unsafe extern "C" fn charm_text_template_new(
    source: *const c_char,
    source_length: usize,
    context_json: *const c_char,
    context_length: usize,
    date: *const c_char,
    date_length: usize,
    out_template: *mut *mut ChatTemplate,
) -> Status {
    guard(|| {
        let source = text_argument("source", source, source_length)?;
        let context_json = text_argument("context_json", context_json, context_length)?;
        let date = text_argument("date", date, date_length)?;
        let template = catch_panic(INVALID_INPUT, || ChatTemplate::new(source, context_json, date))?;
        reference("out_template", out_template)?;
        store("out_template", out_template, Box::into_raw(Box::new(template)))
    })
}

/// # Safety
/// `chat_template` must be null or come from `charm_text_template_new` and not have been freed.
#[no_mangle]
pub unsafe extern "C" fn charm_text_template_free(chat_template: *mut ChatTemplate) {
    if !chat_template.is_null() {
        guard(|| {
            drop(Box::from_raw(chat_template));
            Ok(())
        });
    }
}

/// # Safety
/// See `charm_text.h`.
#[no_mangle]
pub unsafe extern "C" fn charm_text_template_render(
    chat_template: *const ChatTemplate,
    messages_json: *const c_char,
    messages_length: usize,
    tools_json: *const c_char,
    tools_length: usize,
    kwargs_json: *const c_char,
    kwargs_length: usize,
    add_generation_prompt: i32,
    out_text: *mut CharmTextString,
) -> Status {
    guard(|| {
        let template = reference("chat_template", chat_template)?;
        let messages = text_argument("messages_json", messages_json, messages_length)?;
        let tools = text_argument("tools_json", tools_json, tools_length)?;
        let kwargs = text_argument("kwargs_json", kwargs_json, kwargs_length)?;
        let text = catch_panic(FAILED, || template.render(messages, tools, kwargs, add_generation_prompt != 0))?;
        store("out_text", out_text, text.into())
    })
}
