//! The bridge from the Rust side; tests/unit/text tests it from C++.

use charm_text::ffi::*;
use charm_text::strftime::Date;
use charm_text::template::ChatTemplate;
use charm_text::tokenizer::charm_text_tokenizer_new;

fn render(source: &str, messages: &str) -> Result<String, Failure> {
    ChatTemplate::new(source, r#"{"bos_token": "<s>"}"#, "2024-07-26")?.render(messages, "", "", false)
}

fn text(source: &str) -> String {
    render(source, r#"[{"role": "user", "content": "\u001c\u200b hi\u0000 \u001f"}]"#).unwrap()
}

#[test]
fn white_space_is_that_of_python() {
    assert_eq!(text("{{ messages[0].content | trim }}"), "\u{200b} hi\0");
    assert_eq!(text("{{ messages[0].content.strip() }}"), "\u{200b} hi\0");
    assert_eq!(text("{{ messages[0].content.rstrip() }}"), "\u{1c}\u{200b} hi\0");
    assert_eq!(text("{{ 'a\u{1d}b'.split() }}"), "['a', 'b']");
    assert_eq!(text("{{ '\u{feff}a'.strip() }}"), "\u{feff}a");
}

#[test]
fn tools_reach_the_template_in_their_order() {
    let template = ChatTemplate::new("{{ tools | tojson if tools else tools is none }}", "{}", "2024-07-26").unwrap();
    assert_eq!(
        template.render("[]", r#"[{"z": 1, "a": {"c": null, "b": 2.0}}]"#, "", false).unwrap(),
        r#"[{"z": 1, "a": {"c": null, "b": 2.0}}]"#
    );
    assert_eq!(template.render("[]", "", "", false).unwrap(), "True");
    assert_eq!(template.render("[]", "[", "", false).unwrap_err().status, INVALID_INPUT);
}

#[test]
fn variables_of_a_conversation_replace_those_of_all() {
    let template = ChatTemplate::new("{{ think }} {{ bos_token }}", r#"{"bos_token": "<s>"}"#, "2024-07-26").unwrap();
    let render = |kwargs: &str| template.render("[]", "", kwargs, false);
    assert_eq!(render("").unwrap(), " <s>");
    assert_eq!(render(r#"{"think": false, "bos_token": "<b>"}"#).unwrap(), "False <b>");
    assert_eq!(render(r#"{"think": 1}"#).unwrap(), "1 <s>");
    assert_eq!(render("[]").unwrap_err().status, INVALID_INPUT);
}

/// Expected values are what CPython 3.11 prints.
#[test]
fn string_methods_are_those_of_python() {
    for (expression, expected) in [
        ("' a b  '.split(none, 1)", "['a', 'b  ']"),
        ("' a b  '.rsplit(none, 1)", "[' a', 'b']"),
        ("'  '.split()", "[]"),
        ("'a b c'.split(none, 0)", "['a b c']"),
        ("'a,b,c'.split(',', 1)", "['a', 'b,c']"),
        ("'a,b,c'.split(sep=',', maxsplit=1)", "['a', 'b,c']"),
        ("'a,b,c'.split(',', -1)", "['a', 'b', 'c']"),
        ("'a,b,c'.rsplit(',', 1)", "['a,b', 'c']"),
        ("''.split(',')", "['']"),
        ("'k: v: w'.partition(': ') | list", "['k', ': ', 'v: w']"),
        ("'k: v: w'.rpartition(': ') | list", "['k: v', ': ', 'w']"),
        ("'kv'.rpartition(': ') | list", "['', '', 'kv']"),
        ("'a\\r\\nb\\x0bc'.splitlines()", "['a', 'b', 'c']"),
        ("'a\\n\\nb\\n'.splitlines(true)", "['a\\n', '\\n', 'b\\n']"),
        ("('a\u{2028}b' ~ 'c').splitlines(keepends=false)", "['a', 'bc']"),
        ("''.splitlines()", "[]"),
        ("'prefix'.removeprefix('pre')", "fix"),
        ("'prefix'.removesuffix('pre')", "prefix"),
        (
            "[''.isdigit(), ''.islower(), 'a b'.islower(), 'A1'.isupper(), '1'.islower()]",
            "[False, False, True, True, False]",
        ),
        ("[1, 2, 3][::-1]", "[3, 2, 1]"),
        ("[1, 2, 3][:0:-1]", "[3, 2]"),
        ("[][::-1]", "[]"),
        ("nothing | length", "0"),
        ("\"they're fun'x DON'T stra\u{df}e \u{df}a\".title()", "They'Re Fun'X Don'T Stra\u{df}e Ssa"),
        ("'<a href=\"x\">&\\'' | e", "&lt;a href=&#34;x&#34;&gt;&amp;&#39;"),
    ] {
        assert_eq!(text(&format!("{{{{ {expression} }}}}")), expected, "{expression}");
    }
    for wrong in ["'a'.split('')", "'a'.split(1)", "'a'.split(',', 1, 2)", "'a'.split(limit=1)", "'a'.nothing()"] {
        assert_eq!(render(&format!("{{{{ {wrong} }}}}"), "[]").unwrap_err().status, FAILED, "{wrong}");
    }
}

#[test]
fn tojson_is_json_dumps() {
    let messages = r#"[{"role": "user", "content": "<é>\n'\u007f"}]"#;
    assert_eq!(
        render("{{ messages | tojson }}", messages).unwrap(),
        "[{\"role\": \"user\", \"content\": \"<é>\\n'\u{7f}\"}]"
    );
    assert_eq!(
        render("{{ messages[0] | tojson(indent=2) }}", messages).unwrap(),
        "{\n  \"role\": \"user\",\n  \"content\": \"<é>\\n'\u{7f}\"\n}"
    );
    assert_eq!(text("{{ [1.0, 1e16, none, true, [], {}] | tojson }}"), "[1.0, 1e+16, null, true, [], {}]");
    assert_eq!(text("{{ 'é' | tojson(ensure_ascii=true) }}"), "\"\\u00e9\"");
    assert!(render("{{ nothing | tojson }}", "[]").is_err());
}

#[test]
fn values_print_as_python_prints_them() {
    assert_eq!(text("{{ none }} {{ true }} {{ nothing }} {{ 1.5 }} {{ ['a', none] }}"), "None True  1.5 ['a', None]");
    for (expression, expected) in [
        ("(1, 2)", "(1, 2)"),
        ("('a',)", "('a',)"),
        ("()", "()"),
        ("[(1, [2])]", "[(1, [2])]"),
        ("(1, 2) + (3,)", "(1, 2, 3)"),
        ("(1, 2, 3)[1:]", "(2, 3)"),
        ("{'a': 1}.items() | list", "[('a', 1)]"),
        ("{'b': 1, 'a': 2} | dictsort", "[('a', 2), ('b', 1)]"),
        ("'k=v'.partition('=')", "('k', '=', 'v')"),
        ("(1, 'é') | tojson", "[1, \"é\"]"),
        ("(1, 2) == [1, 2]", "False"),
        ("(1, 2) ~ ''", "(1, 2)"),
        ("(1, 2) | string | length", "6"),
    ] {
        assert_eq!(text(&format!("{{{{ {expression} }}}}")), expected, "{expression}");
    }
}

#[test]
fn deep_values_are_an_error_not_a_crash() {
    let nest = "{% set ns = namespace(x=[]) %}{% for i in range(5000) %}{% set ns.x = [ns.x] %}{% endfor %}";
    for tail in ["{{ ns.x }}", "{{ ns.x | tojson }}", "{{ ns.x | string | length }}"] {
        let failure = render(&format!("{nest}{tail}"), "[]").unwrap_err();
        assert!(failure.message.contains("nested deeper"), "{}", failure.message);
    }
    assert_eq!(render(&format!("{nest}ok"), "[]").unwrap(), "ok");
}

#[test]
fn refusals_are_told_from_mistakes() {
    let refused = render("{{ raise_exception('roles must alternate') }}", "[]").unwrap_err();
    assert_eq!((refused.status, refused.message.as_str()), (REFUSED, "roles must alternate"));
    let in_macro = render("{% macro m() %}{{ raise_exception('no') }}{% endmacro %}{{ m() }}", "[]").unwrap_err();
    assert_eq!((in_macro.status, in_macro.message.as_str()), (REFUSED, "no"));
    assert_eq!(render("{{ nothing.attribute }}", "[]").unwrap_err().status, FAILED);
    assert_eq!(render("{% if %}", "[]").unwrap_err().status, INVALID_INPUT);
}

/// Expected values are what Jinja2 3.1 renders.
#[test]
fn filters_are_those_of_jinja2() {
    for (expression, expected) in [
        ("'a\\n\\nb\\n' | indent(2)", "a\n\n  b\n"),
        ("'a\\n\\nb' | indent(2, blank=true)", "a\n  \n  b"),
        ("'a\\u2028b' | indent('--', first=true)", "--a\n--b"),
        ("'a' | indent(width=3, first=true)", "   a"),
        ("[2, 1] | sort(reverse=true) | join('-')", "2-1"),
        ("[{'f': 'a'}, {'f': 'b'}] | join(', ', attribute='f')", "a, b"),
        ("[3, 1] | sum", "4"),
        ("messages[0].missing | list", "[]"),
        ("messages[0].missing | join(',')", ""),
        ("['\\u200b\\u2029\\u00ad\\ue000é']", "['\\u200b\\u2029\\xad\\ue000é']"),
    ] {
        assert_eq!(text(&format!("{{{{ {expression} }}}}")), expected, "{expression}");
    }
    for filter in
        ["list", "join", "sum", "min", "max", "unique", "sort", "batch(2)", "slice(2)", "groupby('x')", "indent"]
    {
        let source = format!("{{{{ none | {filter} }}}}");
        assert_eq!(render(&source, "[]").unwrap_err().status, FAILED, "{filter}");
    }
}

/// Jinja2 3.1: none is not iterable, what is undefined is empty.
#[test]
fn a_loop_over_none_is_an_error() {
    let calls = r#"[{"role": "assistant", "content": null, "calls": [1, 2]}]"#;
    let of = |source: &str| render(source, calls);
    for source in [
        "{% for part in messages[0].content %}x{% endfor %}",
        "{%- for part in messages[0]['content'] if part != 'if' -%}x{%- endfor -%}",
        "{% for a, b in (messages[0].content) recursive %}x{% endfor %}",
    ] {
        assert!(of(source).unwrap_err().message.contains("'NoneType' object is not iterable"), "{source}");
    }
    for (source, expected) in [
        ("{% for x in messages[0].missing %}x{% else %}none{% endfor %}", "none"),
        ("{% for x in messages[0].calls if x > 1 %}{{ x }}{% endfor %}", "2"),
        ("{% for x in (messages[0].calls if true else []) %}{{ x }}{{ loop.last }}{% endfor %}", "1False2True"),
        ("{% for x in ['in', ' if %}', \"it's\"] %}{{ x }}{% endfor %}", "in if %}it's"),
        ("{% for x in 1, 2 %}{{ x }}{% endfor %}", "12"),
        ("{%+ for k, v in {'a': 1}.items() +%}{{ k }}{{ v }}{% endfor %}", "a1"),
        ("{% for x in [1, [2]] recursive %}{{ loop(x) if x is iterable else x }}{% endfor %}", "12"),
        ("{% set index = 3 %}{% for index in [index] %}{{ index }}{% endfor %}", "3"),
        ("{# {% for #}{% raw %}{% for x in y %}{% endraw %}", "{% for x in y %}"),
        ("{% set forms = 1 %}{{ forms }}{% set x %}{% for y in [1] %}é{% endfor %}{% endset %}{{ x }}", "1é"),
    ] {
        assert_eq!(of(source).unwrap(), expected, "{source}");
    }
}

/// Expected values are what Jinja2 3.1.6 renders in transformers' sandbox.
#[test]
fn string_literals_are_those_of_python() {
    for (literal, expected) in [
        (r#""\d\/\.\s""#, r"\d\/\.\s"),
        (r#"'\a\b\f\n\r\t\v'"#, "\u{7}\u{8}\u{c}\n\r\t\u{b}"),
        (r#""\x41\101\u00e9\U0001F642\0""#, "AA\u{e9}\u{1f642}\0"),
        (r#""\777\18""#, "\u{1ff}\u{1}8"),
        ("'a\\\nb'", "ab"),
        ("'a\nb\\\\'", "a\nb\\"),
        (r#"'it\'s "\\" \"'"#, r#"it's "\" ""#),
        (r#""\é\🙂""#, r"\xe9\U0001f642"),
        (r#""%}" '}}' "{{" '{%' "{#""#, "%}}}{{{%{#"),
        (r#"{'a': {'b\d': '}}'}}['a']['b\d']"#, "}}"),
        (r#"'a\d'.replace('\\d', 'b\w')"#, r"ab\w"),
    ] {
        assert_eq!(text(&format!("{{{{ {literal} }}}}")), expected, "{literal}");
        assert_eq!(text(&format!("{{%- set x = {literal} %}}{{{{ x }}}}")), expected, "{literal}");
    }
    for wrong in [r"'\x4'", r"'\u12'", r"'\xg1'", r"'\ud83d\ude42'", r"'\U00110000'", r"'\N{DASH}'"] {
        assert_eq!(render(&format!("{{{{ {wrong} }}}}"), "[]").unwrap_err().status, INVALID_INPUT, "{wrong}");
    }
    assert_eq!(text(r"{# \x #}\x{% raw %}{{ '\x' }}{% endraw %}"), r"\x{{ '\x' }}");
}

/// Expected values are what Jinja2 3.1.6 renders in transformers' sandbox.
#[test]
fn attributes_are_looked_up_before_items() {
    let schema = r#"[{"items": {"type": "a"}, "values": 0, "get": "g", "update": "u", "title": "T", "list": [1, 2]}]"#;
    let of = |source: &str| render(&format!("{{% set d = messages[0] %}}{source}"), schema);
    let truth = |expression: &str| of(&format!("{{{{ 1 if {expression} else 0 }}}}"));
    for (expression, expected) in [
        // A method, where Jinja2 has one: also without such an item, and where the item is false.
        ("d.items", "1"),
        ("{}.items", "1"),
        ("{}['items']", "1"),
        ("d.values", "1"),
        ("d.items is defined", "1"),
        ("d.items is mapping", "0"),
        ("d.items == d['items']", "0"),
        ("not d . keys", "0"),
        ("d.list.index and (1, 2).count", "1"),
        ("d.title.title and 'a'.upper and ('a' ~ 'b')['lower']", "1"),
        ("d.copy and d.setdefault is defined", "0"),
        ("d.update or d.list.append or d.list.sort", "0"),
        ("messages.0.items", "1"),
        // The item, where it comes first, or there is no method.
        ("d['values']", "0"),
        ("d['items'].type == 'a'", "1"),
        ("d[ \"items\" ]['type'] == 'a'", "1"),
        ("d.title == 'T' and d['title'] == 'T'", "1"),
        ("d.list.items is defined or 'a'.items is defined or 1.items is defined", "0"),
        ("(1, 2).append is defined or none['items'] is defined", "0"),
        // No subscripts: lists.
        ("'items' in ['items'] and 'values' in d and ['items'] | length == 1", "1"),
        ("(1 if false else ['items']) == ['items']", "1"),
    ] {
        assert_eq!(truth(expression).unwrap(), expected, "{expression}");
    }
    for (source, expected) in [
        ("{{ d.items()|list|length }}{{ d.get('title') }}{{ d.values()|first }}", "6T{'type': 'a'}"),
        ("{% for k, v in d.items() if k == 'values' %}{{ k }}{{ v }}{% endfor %}", "values0"),
        ("{% set f = d.items %}{% for k, v in f() %}{{ k[0] }}{% endfor %}", "ivgutl"),
        ("{% set ns = namespace(items=1) %}{% set ns.items = 2 %}{% set ns.values %}x{% endset %}{{ ns.items }}{{ ns.values }}", "2x"),
        ("{% set ns = namespace() %}{{ ns.items is defined }}", "False"),
        ("{% for x in [1, 2] %}{{ loop.index }}{{ loop.index0 }}{{ loop.items is defined }}{% endfor %}", "10False21False"),
        ("{% if d.items %}{% for x in d['items'] %}{{ x }}{% endfor %}{% endif %}", "type"),
        ("{{ d|attr('title') }}{{ (d|attr('items'))()|list|length }}{{ d.list|join('.items') }}", "61.items2"),
    ] {
        assert_eq!(of(source).unwrap(), expected, "{source}");
    }
    for wrong in [
        "{{ d.items }}",
        "{% for x in d.items %}{% endfor %}",
        "{{ d.items|length }}",
        "{{ d.update() }}",
        "{{ gone.items }}",
        "{{ gone['items'] }}",
        "{{ d.items|tojson }}",
    ] {
        assert_eq!(of(wrong).unwrap_err().status, FAILED, "{wrong}");
    }
}

#[test]
fn generation_tags_keep_white_space_control() {
    assert_eq!(text("a\n  {%- generation %}\n  b\n{%- endgeneration -%}\n c"), "a  bc");
    assert_eq!(text("{% for i in range(5) %}{% if i == 3 %}{% break %}{% endif %}{{ i }}{% endfor %}"), "012");
    assert_eq!(text("{% set generation = 1 %}{{ generation }}"), "1");
}

#[test]
fn dates() {
    let date = Date::parse("2024-07-26").unwrap();
    assert_eq!(
        date.format("%d %b %Y, %A %j %-m %e %U %W %H:%M %%").unwrap(),
        "26 Jul 2024, Friday 208 7 26 29 30 00:00 %"
    );
    assert_eq!(Date::parse("2023-01-01").unwrap().format("%A %j %U %W %-d").unwrap(), "Sunday 001 01 00 1");
    for wrong in ["2024-7-26", "2023-02-29", "2024-13-01", "", "2024-07-26x", "２024-07-2"] {
        assert_eq!(Date::parse(wrong), None, "{wrong}");
    }
    assert_eq!(date.format("%Q"), None);
}

#[test]
fn panics_become_a_status() {
    assert_eq!(guard(|| panic!("boom {}", 7)), PANIC);
    let mut message = CharmTextString { data: std::ptr::null_mut(), length: 0 };
    unsafe {
        assert_eq!(charm_text_last_error(&mut message), OK);
        let bytes = std::slice::from_raw_parts(message.data.cast::<u8>(), message.length);
        assert_eq!(bytes, b"boom 7");
        charm_text_string_free(message);
    }
}

#[test]
fn panics_of_a_library_are_failures_of_its_input() {
    let failure = catch_panic::<()>(INVALID_INPUT, || panic!("boom")).unwrap_err();
    assert_eq!((failure.status, failure.message.as_str()), (INVALID_INPUT, "cannot be used: boom"));
    assert_eq!(catch_panic(FAILED, || Ok(7)).unwrap(), 7);
    // The crate unwraps the result of its helper for added tokens.
    let json = r#"{"version":"1.0","added_tokens":[{"id":0,"content":"a","single_word":false,"lstrip":false,"rstrip":false,
        "normalized":false,"special":true}],"model":{"type":"WordLevel","vocab":{"a" 0},"unk_token":"a"}}"#;
    let mut tokenizer = std::ptr::null_mut();
    let added = "[]";
    let status = unsafe {
        charm_text_tokenizer_new(
            json.as_ptr().cast(),
            json.len(),
            added.as_ptr().cast(),
            added.len(),
            0,
            &mut tokenizer,
        )
    };
    assert_eq!(status, INVALID_INPUT);
}

#[test]
fn header_declares_exactly_what_is_exported() {
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/");
    let read = |path: &str| std::fs::read_to_string(format!("{root}{path}")).unwrap();
    let names = |text: &str, before: &str| -> std::collections::BTreeSet<String> {
        text.match_indices(before)
            .map(|(i, _)| {
                let rest = &text[i + before.len() - "charm_text_".len()..];
                rest[..rest.find('(').unwrap_or(0)].to_owned()
            })
            .filter(|name| name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') && !name.is_empty())
            .collect()
    };
    let mut exported = std::collections::BTreeSet::new();
    for file in ["src/allocator.rs", "src/ffi.rs", "src/template.rs", "src/tokenizer.rs"] {
        exported.append(&mut names(&read(file), "extern \"C\" fn charm_text_"));
    }
    let header: String =
        read("include/charm_text.h").split("/*").map(|part| part.split("*/").last().unwrap()).collect();
    let declared = &names(&header, " charm_text_");
    assert!(exported.len() > 10);
    assert_eq!(declared, &exported);
    assert!(header.contains(&format!("#define CHARM_TEXT_ABI_VERSION {ABI_VERSION}u")));
}
