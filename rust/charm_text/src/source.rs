//! A template's source as minijinja renders it the way Jinja2 renders the original.

use crate::attributes;

/// Name of a filter that no template has.
pub const ITERATED: &str = "__iterated";

/// Jinja2 first normalises \r\n and \r to \n (lexer.py, `newline_re`).
fn normalize_newlines(source: &str) -> String {
    source.replace("\r\n", "\n").replace('\r', "\n")
}

/// Length of the string literal at the start of `text`, with its quotes.
fn literal_length(text: &str) -> usize {
    let quote = text.chars().next();
    let mut escaped = false;
    for (at, c) in text.char_indices().skip(1) {
        if Some(c) == quote && !escaped {
            return at + c.len_utf8();
        }
        escaped = c == '\\' && !escaped;
    }
    text.len()
}

/// Calls `body(at, c, depth)` for the characters of `text` outside of strings, with the number of brackets that are open before
/// each, until it returns a value.
fn find_outside<T>(text: &str, mut body: impl FnMut(usize, char, i32) -> Option<T>) -> Option<T> {
    let mut depth = 0;
    let mut at = 0;
    while let Some(c) = text[at..].chars().next() {
        if c == '"' || c == '\'' {
            at += literal_length(&text[at..]);
            continue;
        }
        if let Some(found) = body(at, c, depth) {
            return Some(found);
        }
        match c {
            '(' | '[' | '{' => depth += 1,
            ')' | ']' | '}' => depth -= 1,
            _ => {}
        }
        at += c.len_utf8();
    }
    None
}

/// Where the tag or expression at the start of `text`, after its `{%` or `{{`, ends: before its closing delimiter.
fn block_length(text: &str, close: &str) -> usize {
    let in_braces = close == "}}";
    let found =
        find_outside(text, |at, _, depth| (text[at..].starts_with(close) && (depth <= 0 || !in_braces)).then_some(at));
    found.unwrap_or(text.len())
}

fn is_of_name(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// Where the word `word` stands in `text` outside of strings and brackets.
fn find_word(text: &str, word: &str) -> Option<usize> {
    find_outside(text, |at, _, depth| {
        let before = text[..at].chars().next_back().unwrap_or(' ');
        let stands_alone = text[at..].strip_prefix(word).is_some_and(|after| !after.starts_with(is_of_name));
        (depth == 0 && stands_alone && !is_of_name(before) && before != '.').then_some(at)
    })
}

/// The content of a `for` tag after its keyword, what it iterates over checked by the filter `ITERATED`.
fn checked_loop(content: &str) -> Option<String> {
    let begin = find_word(content, "in")? + "in".len();
    let (variables, rest) = content.split_at(begin);
    let end = [find_word(rest, "if"), find_word(rest, "recursive"), Some(rest.trim_end_matches(['-', '+']).len())]
        .into_iter()
        .flatten()
        .min()?;
    let (iterated, condition) = rest.split_at(end);
    Some(format!("{variables} ({iterated})|{ITERATED} {condition}"))
}

/// What a `set` tag assigns to, at the start of its content: `ns.items` is no attribute to read there.
fn target_length(content: &str) -> usize {
    find_outside(content, |at, c, depth| (depth == 0 && (c == '=' || c == '|')).then_some(at)).unwrap_or(content.len())
}

fn from_digits(chars: &mut std::str::Chars<'_>, radix: u32, count: usize, escape: char) -> Result<char, String> {
    let digits: String = chars.by_ref().take(count).collect();
    let is_whole = digits.chars().count() == count && digits.chars().all(|c| c.is_digit(radix));
    let code = u32::from_str_radix(&digits, radix).ok().filter(|_| is_whole);
    code.and_then(char::from_u32).ok_or_else(|| {
        format!("a string has the escape '\\{escape}{digits}', expected {count} digits of a character's code")
    })
}

/// The content of a string literal, decoded as Jinja2 does (lexer.py, `wrap`): Python's `unicode-escape`, after characters beyond
/// ASCII became escapes themselves.
fn unescaped(content: &str) -> Result<String, String> {
    let mut out = String::with_capacity(content.len());
    let mut chars = content.chars();
    while let Some(c) = chars.next() {
        if c != '\\' {
            out.push(c);
            continue;
        }
        match chars.next() {
            None => out.push('\\'),
            Some('\n') => {}
            Some(same @ ('\\' | '\'' | '"')) => out.push(same),
            Some('a') => out.push('\u{7}'),
            Some('b') => out.push('\u{8}'),
            Some('f') => out.push('\u{c}'),
            Some('n') => out.push('\n'),
            Some('r') => out.push('\r'),
            Some('t') => out.push('\t'),
            Some('v') => out.push('\u{b}'),
            Some('x') => out.push(from_digits(&mut chars, 16, 2, 'x')?),
            Some('u') => out.push(from_digits(&mut chars, 16, 4, 'u')?),
            Some('U') => out.push(from_digits(&mut chars, 16, 8, 'U')?),
            Some('N') => {
                return Err(
                    "a string has the escape '\\N', which is not supported: write the character itself or its code"
                        .into(),
                )
            }
            Some(first @ '0'..='7') => {
                let more = chars.as_str().chars().take(2).take_while(|c| c.is_digit(8)).count();
                let digits: String = std::iter::once(first).chain(chars.by_ref().take(more)).collect();
                out.extend(u32::from_str_radix(&digits, 8).ok().and_then(char::from_u32));
            }
            Some(unknown) if unknown.is_ascii() => out.extend(['\\', unknown]),
            // Its own escape's backslash is escaped by the one before it.
            Some(beyond) => {
                let code = beyond as u32;
                out.push_str(&match code {
                    0..=0xff => format!("\\x{code:02x}"),
                    0x100..=0xffff => format!("\\u{code:04x}"),
                    _ => format!("\\U{code:08x}"),
                });
            }
        }
    }
    Ok(out)
}

/// A string literal with the escapes that minijinja decodes to the same text.
fn adapted_literal(literal: &str) -> Result<String, String> {
    if !literal.contains('\\') {
        return Ok(literal.to_owned());
    }
    let quote = &literal[..1];
    let text = unescaped(literal[1..].strip_suffix(quote).unwrap_or(&literal[1..]))?;
    Ok(format!("{quote}{}{quote}", text.replace('\\', "\\\\").replace(quote, &format!("\\{quote}"))))
}

/// Words that stand before a value, not after one.
const OPERATORS: [&str; 13] =
    ["and", "or", "not", "in", "is", "if", "else", "elif", "recursive", "for", "set", "with", "return"];

/// The name in `['name']` at the start of `text`, where it is one of a method, and the length of the brackets.
fn method_subscript(text: &str) -> Option<(&str, usize)> {
    let inner = text.strip_prefix('[')?.trim_start();
    let length = inner.starts_with(['"', '\'']).then(|| literal_length(inner))?;
    let name = inner.get(1..length.checked_sub(1)?)?;
    let after = inner[length..].trim_start().strip_prefix(']')?;
    attributes::is_method(name).then_some((name, text.len() - after.len()))
}

/// An expression, or a tag's content after its keyword: string literals are decoded as Python's, and names that may be those of a
/// method are looked up by `attributes`.
fn adapted_expression(text: &str) -> Result<String, String> {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    // Of the token before: whether it ends a value, is a dot, is `is`.
    let (mut after_value, mut after_dot, mut after_is) = (false, false, false);
    while let Some(c) = rest.chars().next() {
        let length = match c {
            '"' | '\'' => literal_length(rest),
            c if is_of_name(c) => rest.find(|c| !is_of_name(c)).unwrap_or(rest.len()),
            c => c.len_utf8(),
        };
        let (token, after) = rest.split_at(length);
        rest = after;
        if c.is_whitespace() {
            out.push_str(token);
            continue;
        }
        let (was_value, was_dot, was_is) = (after_value, after_dot, after_is);
        (after_value, after_dot, after_is) = (false, false, false);
        match c {
            '"' | '\'' => {
                out.push_str(&adapted_literal(token)?);
                after_value = true;
            }
            '[' if was_value => {
                let whole = &text[text.len() - rest.len() - 1..];
                match method_subscript(whole) {
                    Some((name, length)) => {
                        out.push_str(&format!(".{}{name}()", attributes::ITEM));
                        rest = &whole[length..];
                        after_value = true;
                    }
                    None => out.push('['),
                }
            }
            c if is_of_name(c) => {
                let is_called = rest.trim_start().starts_with('(');
                if was_dot && !is_called && attributes::is_method(token) {
                    out.push_str(&format!("{}{token}()", attributes::ATTRIBUTE));
                } else {
                    out.push_str(token);
                }
                // The word after `is` is a test, whose argument may follow without brackets.
                after_is = !was_dot && (token == "is" || (was_is && token == "not"));
                after_value = was_dot || !(was_is || OPERATORS.contains(&token));
            }
            _ => {
                out.push_str(token);
                after_value = matches!(c, ')' | ']' | '}');
                after_dot = c == '.';
            }
        }
    }
    Ok(out)
}

/// The content of a tag, between its delimiters.
///
/// `{% generation %}` marks the assistant's tokens for loss masks and does not affect the text: `with` opens the same scope and
/// preserves the tags' white space control. A loop over none, which minijinja takes as empty, is an error in Python.
fn adapted_tag(content: &str) -> Result<String, String> {
    let sign = usize::from(content.starts_with(['-', '+']));
    let begin = sign + content[sign..].len() - content[sign..].trim_start().len();
    let end = content[begin..].find(|c: char| !c.is_ascii_alphabetic()).map_or(content.len(), |at| begin + at);
    let (word, arguments) = (&content[begin..end], &content[end..]);
    let keyword = match word {
        "generation" => "with",
        "endgeneration" => "endwith",
        _ => word,
    };
    let (target, value) = arguments.split_at(if word == "set" { target_length(arguments) } else { 0 });
    let value = match checked_loop(value).filter(|_| word == "for") {
        Some(checked) => adapted_expression(&checked)?,
        None => adapted_expression(value)?,
    };
    Ok(format!("{}{keyword}{target}{value}", &content[..begin]))
}

/// The template's source. Fails for string literals that Jinja2 refuses too.
pub fn adapted(source: &str) -> Result<String, String> {
    let source = normalize_newlines(source);
    let mut out = String::with_capacity(source.len());
    let mut rest = source.as_str();
    while let Some(begin) = ["{%", "{{", "{#"].iter().filter_map(|open| rest.find(open)).min() {
        let (before, block) = rest.split_at(begin + 2);
        out.push_str(before);
        let length = match &before[begin..] {
            "{#" => block.find("#}").unwrap_or(block.len()),
            "{{" => block_length(block, "}}"),
            _ => block_length(block, "%}"),
        };
        let (content, after) = block.split_at(length);
        rest = after;
        match &before[begin..] {
            "{#" => out.push_str(content),
            "{{" => out.push_str(&adapted_expression(content)?),
            _ => out.push_str(&adapted_tag(content)?),
        }
        let is_raw = before.ends_with('%') && content.trim_start_matches(['-', '+']).trim_start().starts_with("raw");
        if is_raw {
            let (text, after) = rest.split_at(rest.find("endraw").unwrap_or(rest.len()));
            out.push_str(text);
            rest = after;
        }
    }
    out.push_str(rest);
    Ok(out)
}
