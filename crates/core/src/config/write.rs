//! Writing a configuration as TOML, with comments: what `config convert`, `config show` and the file of defaults have in
//! common. A table's own values come before its tables, as TOML wants it; apart from that the order is the caller's.

use super::tree::{Node, Value};

/// A table.
#[derive(Debug, Default)]
pub(super) struct Section {
    pub(super) entries: Vec<Entry>,
    /// Comments behind its own values.
    pub(super) below: Vec<String>,
    /// Whether an empty line stands between its values.
    pub(super) spaced: bool,
}

/// A key and its value.
#[derive(Debug)]
pub(super) struct Entry {
    /// Comments before it.
    pub(super) above: Vec<String>,
    pub(super) key: String,
    pub(super) content: Content,
    /// A comment behind it, on its line.
    pub(super) beside: Option<String>,
}

#[derive(Debug)]
pub(super) enum Content {
    /// A value, already as TOML.
    Value(String),
    /// No value; a line says so, as in `# username =`. TOML has no word for it.
    Nothing(String),
    Table(Section),
    /// Tables in a list: `[[links]]`.
    Tables(Vec<Section>),
}

/// The text of a file.
pub(super) fn file(section: &Section) -> String {
    let mut text = String::new();
    write(&mut text, "", section);
    text
}

fn write(text: &mut String, path: &str, section: &Section) {
    let mut first = true;
    for entry in &section.entries {
        let line = match &entry.content {
            Content::Value(value) => format!("{} = {value}", key(&entry.key)),
            Content::Nothing(line) => format!("# {line}"),
            Content::Table(_) | Content::Tables(_) => continue,
        };
        if section.spaced && !first {
            text.push('\n');
        }
        first = false;
        comments(text, &entry.above);
        text.push_str(&line);
        if let Some(beside) = &entry.beside {
            text.push_str("  # ");
            text.push_str(&harmless(beside));
        }
        text.push('\n');
    }
    comments(text, &section.below);
    for entry in &section.entries {
        let path = match path {
            "" => key(&entry.key),
            path => format!("{path}.{}", key(&entry.key)),
        };
        let (sections, header) = match &entry.content {
            Content::Table(table) => (std::slice::from_ref(table), format!("[{path}]\n")),
            Content::Tables(tables) => (tables.as_slice(), format!("[[{path}]]\n")),
            Content::Value(_) | Content::Nothing(_) => continue,
        };
        for (at, table) in sections.iter().enumerate() {
            // A table of nothing but tables needs no line of its own.
            let implied = matches!(entry.content, Content::Table(_))
                && !table.entries.is_empty()
                && table.below.is_empty()
                && table
                    .entries
                    .iter()
                    .all(|e| matches!(e.content, Content::Table(_) | Content::Tables(_)));
            let above = if at == 0 { entry.above.as_slice() } else { &[] };
            if !text.is_empty() && (!implied || !above.is_empty()) {
                text.push('\n');
            }
            comments(text, above);
            if !implied {
                text.push_str(&header);
            }
            write(text, &path, table);
        }
    }
}

fn comments(text: &mut String, lines: &[String]) {
    for line in lines {
        text.push_str(if line.is_empty() { "#" } else { "# " });
        text.push_str(&harmless(line));
        text.push('\n');
    }
}

/// TOML allows no control characters in comments.
fn harmless(comment: &str) -> String {
    comment.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

/// A key as TOML.
pub(super) fn key(key: &str) -> String {
    let bare = !key.is_empty()
        && key.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'));
    if bare {
        return key.to_owned();
    }
    let mut quoted = String::from("\"");
    for c in key.chars() {
        match c {
            '"' | '\\' => quoted.extend(['\\', c]),
            c if c.is_control() => quoted.push_str(&format!("\\u{:04x}", u32::from(c))),
            c => quoted.push(c),
        }
    }
    quoted + "\""
}

/// A text as TOML.
pub(super) fn text(text: &str) -> String {
    toml::Value::from(text).to_string()
}

/// A value as TOML in one piece; tables are written inline. Nothing when there is nothing in it: TOML has no word for that.
pub(super) fn value(node: &Node) -> Option<String> {
    Some(match &node.value {
        Value::Null | Value::LeftOut => return None,
        Value::Boolean(truth) => truth.to_string(),
        Value::Integer(number) => number.to_string(),
        Value::Float(number) => format!("{number:?}"),
        Value::Text(written) | Value::Untyped(written) => text(written),
        Value::List(items) => {
            let items: Vec<String> = items.iter().filter_map(value).collect();
            let line = format!("[{}]", items.join(", "));
            if line.len() <= 100 {
                line
            } else {
                format!(
                    "[\n{}]",
                    items.iter().map(|item| format!("    {item},\n")).collect::<String>()
                )
            }
        }
        Value::Table(table) => {
            let pairs: Vec<String> = table
                .iter()
                .filter_map(|(name, node)| Some(format!("{} = {}", key(name), value(node)?)))
                .collect();
            if pairs.is_empty() { "{}".to_owned() } else { format!("{{ {} }}", pairs.join(", ")) }
        }
    })
}
