//! Attributes of values as Jinja2's sandbox finds them (environment.py, `getattr` and `getitem`): of strings, lists, tuples and
//! mappings a method comes before an item in `value.name`, and after it in `value['name']`. minijinja knows items alone.

use std::fmt;
use std::sync::Arc;

use minijinja::value::{Object, ObjectRepr, ValueKind};
use minijinja::{Error, State, Value};

/// Prefixes of methods that no value has, for `value.name` and `value['name']` where `name` may be that of a method.
pub const ATTRIBUTE: &str = "__attribute_";
pub const ITEM: &str = "__item_";

const OF_STRINGS: [&str; 47] = [
    "capitalize",
    "casefold",
    "center",
    "count",
    "encode",
    "endswith",
    "expandtabs",
    "find",
    "format",
    "format_map",
    "index",
    "isalnum",
    "isalpha",
    "isascii",
    "isdecimal",
    "isdigit",
    "isidentifier",
    "islower",
    "isnumeric",
    "isprintable",
    "isspace",
    "istitle",
    "isupper",
    "join",
    "ljust",
    "lower",
    "lstrip",
    "maketrans",
    "partition",
    "removeprefix",
    "removesuffix",
    "replace",
    "rfind",
    "rindex",
    "rjust",
    "rpartition",
    "rsplit",
    "rstrip",
    "split",
    "splitlines",
    "startswith",
    "strip",
    "swapcase",
    "title",
    "translate",
    "upper",
    "zfill",
];
const OF_LISTS: [&str; 11] =
    ["append", "clear", "copy", "count", "extend", "index", "insert", "pop", "remove", "reverse", "sort"];
const OF_TUPLES: [&str; 2] = ["count", "index"];
const OF_MAPPINGS: [&str; 11] =
    ["clear", "copy", "fromkeys", "get", "items", "keys", "pop", "popitem", "setdefault", "update", "values"];

/// Those that transformers' sandbox refuses, because they change their value: as attributes they are undefined.
const REFUSED_OF_LISTS: [&str; 8] = ["append", "clear", "extend", "insert", "pop", "remove", "reverse", "sort"];
const REFUSED_OF_MAPPINGS: [&str; 5] = ["clear", "pop", "popitem", "setdefault", "update"];

/// Whether values of some type have a method of this name.
pub fn is_method(name: &str) -> bool {
    OF_STRINGS.contains(&name) || OF_LISTS.contains(&name) || OF_MAPPINGS.contains(&name)
}

/// A method that is not called where it is named: true, and callable later.
#[derive(Debug)]
pub struct Method {
    value: Value,
    name: String,
}

impl Object for Method {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Plain
    }

    fn call(self: &Arc<Self>, state: &mut State<'_, '_>, args: &[Value]) -> Result<Value, Error> {
        self.value.call_method(state, &self.name, args)
    }

    fn render(self: &Arc<Self>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "<method {}>", self.name)
    }
}

impl Method {
    pub fn name(&self) -> &str {
        &self.name
    }
}

/// A namespace and a loop are no mappings in Jinja2.
fn is_mapping(value: &Value) -> bool {
    let type_name = value.as_object().map_or("", |object| object.type_name());
    value.kind() == ValueKind::Map && !type_name.ends_with("::Namespace") && !type_name.ends_with("::Loop")
}

/// The method of a value; undefined for one that is refused, none where there is no such method.
fn method_of(value: &Value, name: &str) -> Option<Value> {
    let (methods, refused): (&[&str], &[&str]) = match value.kind() {
        ValueKind::String => (&OF_STRINGS, &[]),
        ValueKind::Seq if value.is_tuple() => (&OF_TUPLES, &[]),
        ValueKind::Seq => (&OF_LISTS, &REFUSED_OF_LISTS),
        _ if is_mapping(value) => (&OF_MAPPINGS, &REFUSED_OF_MAPPINGS),
        _ => return None,
    };
    if refused.contains(&name) {
        return Some(Value::UNDEFINED);
    }
    methods.contains(&name).then(|| Value::from_object(Method { value: value.clone(), name: name.to_owned() }))
}

/// The filter `attr`: an attribute and never an item.
pub fn attr(value: &Value, name: &str) -> Result<Value, Error> {
    match method_of(value, name) {
        Some(method) => Ok(method),
        None if is_mapping(value) => Ok(Value::UNDEFINED),
        None => value.get_attr(name),
    }
}

/// `value.name` and `value['name']` where `method` is a prefix and that name; none for other methods.
pub fn look_up(value: &Value, method: &str) -> Option<Result<Value, Error>> {
    if let Some(name) = method.strip_prefix(ATTRIBUTE) {
        return Some(method_of(value, name).map_or_else(|| value.get_attr(name), Ok));
    }
    let name = method.strip_prefix(ITEM)?;
    let item = value.get_item(&Value::from(name));
    Some(item.map(|item| if item.is_undefined() { method_of(value, name).unwrap_or(item) } else { item }))
}
