//! From the text of a file to a [`Node`]: one function for each syntax, and the choice between them.

use std::{ops::Range, sync::Arc};

use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

use super::{
    ConfigError, Source,
    tree::{Node, Origin, Value},
};

/// Reads a file in whatever syntax it is written.
pub(super) fn read(source: &Source) -> Result<Node, ConfigError> {
    if is_python(&source.text) {
        return Err(ConfigError::Syntax {
            origin: Origin { source: Arc::from(source.name.as_str()), line: None },
            problem: "this is the Python syntax of older versions, which cannot be read yet; \
                      write it as TOML"
                .to_owned(),
        });
    }
    read_toml(source)
}

/// Whether the first statement assigns a dict to `config`, as in files of older installations. In TOML the same
/// beginning would be an inline table without the quoted keys and colons of a dict, and `config` is no key.
fn is_python(text: &str) -> bool {
    let first = text.lines().map(str::trim).find(|l| !l.is_empty() && !l.starts_with('#'));
    first
        .and_then(|line| line.strip_prefix("config"))
        .and_then(|rest| rest.trim_start().strip_prefix('='))
        .is_some_and(|rest| {
            matches!(rest.trim_start().chars().next(), None | Some('{' | '\\' | '('))
        })
}

fn read_toml(source: &Source) -> Result<Node, ConfigError> {
    let reader = TomlReader { name: Arc::from(source.name.as_str()), text: &source.text };
    let table = DeTable::parse(&source.text).map_err(|error| ConfigError::Syntax {
        origin: reader.origin(error.span().unwrap_or(0..0)),
        problem: error.message().trim().replace('\n', ", "),
    })?;
    let span = table.span();
    reader.table(table.into_inner(), span)
}

struct TomlReader<'a> {
    name: Arc<str>,
    text: &'a str,
}

impl TomlReader<'_> {
    fn origin(&self, span: Range<usize>) -> Origin {
        let before = self.text.as_bytes().get(..span.start).unwrap_or(self.text.as_bytes());
        let line = before.iter().filter(|byte| **byte == b'\n').count() + 1;
        Origin { source: self.name.clone(), line: Some(line) }
    }

    fn table(&self, table: DeTable<'_>, span: Range<usize>) -> Result<Node, ConfigError> {
        let mut nodes = std::collections::BTreeMap::new();
        for (key, value) in table {
            // The key's line is the one that a person looks for.
            let origin = self.origin(key.span());
            let mut node = self.value(value)?;
            node.origin = origin;
            nodes.insert(key.into_inner().into_owned(), node);
        }
        Ok(Node { value: Value::Table(nodes), origin: self.origin(span) })
    }

    fn value(&self, value: Spanned<DeValue<'_>>) -> Result<Node, ConfigError> {
        let span = value.span();
        let origin = self.origin(span.clone());
        let wrong = |problem: &str| ConfigError::Syntax {
            origin: origin.clone(),
            problem: problem.to_owned(),
        };
        let value = match value.into_inner() {
            DeValue::String(text) => Value::Text(text.into_owned()),
            DeValue::Integer(number) => Value::Integer(
                i64::from_str_radix(&number.as_str().replace('_', ""), number.radix())
                    .map_err(|_| wrong("this number is too large"))?,
            ),
            DeValue::Float(number) => Value::Float(
                number
                    .as_str()
                    .replace('_', "")
                    .parse()
                    .map_err(|_| wrong("this is not a number"))?,
            ),
            DeValue::Boolean(truth) => Value::Boolean(truth),
            DeValue::Datetime(when) => Value::Text(when.to_string()),
            DeValue::Array(items) => Value::List(
                items.into_iter().map(|item| self.value(item)).collect::<Result<_, _>>()?,
            ),
            DeValue::Table(table) => return self.table(table, span),
        };
        Ok(Node { value, origin })
    }
}

/// Reads one TOML value, as the environment may hold it: `["a", "b"]`, `true`, `12`.
pub(super) fn read_toml_value(name: &str, text: &str) -> Option<Node> {
    let reader = TomlReader { name: Arc::from(name), text };
    let value = DeValue::parse(text).ok()?;
    reader.value(value).ok()
}
