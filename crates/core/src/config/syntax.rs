//! From the text of a file to a [`Node`]: one function for each syntax, and the choice between them.

use std::{ops::Range, sync::Arc};

use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

use super::{
    ConfigError, Source,
    python::{self, Literal},
    tree::{Node, Origin, Value},
};

/// Reads a file in whatever syntax it is written. What is doubtful but no mistake is added to `warnings`.
pub(super) fn read(source: &Source, warnings: &mut Vec<String>) -> Result<Node, ConfigError> {
    if is_python(&source.text) {
        let file = parse_python(source, warnings)?;
        let name = Arc::from(source.name.as_str());
        return Ok(from_python(Literal::Dict(file.config), file.line, &name));
    }
    read_toml(source)
}

/// Whether a dict is assigned to `config`, as in files of older installations: by the first statement, or by a later one
/// of what is no TOML (that nothing may stand before the dict is better said by who knows the syntax). In TOML the same
/// beginning would be an inline table without the quoted keys and colons of a dict, and `config` is no key.
pub(super) fn is_python(text: &str) -> bool {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let lines = || text.split(['\n', '\r']);
    let first = lines().find(|line| !matches!(line.trim_start().chars().next(), None | Some('#')));
    first.is_some_and(|line| assigns_config(line.trim_start()))
        || (lines().any(assigns_config) && DeTable::parse(text).is_err())
}

fn assigns_config(line: &str) -> bool {
    line.strip_prefix("config").and_then(|rest| rest.trim_start().strip_prefix('=')).is_some_and(
        |rest| matches!(rest.trim_start().chars().next(), None | Some('{' | '\\' | '(' | '#')),
    )
}

/// Reads a file in the Python syntax, with its comments.
pub(super) fn parse_python(
    source: &Source,
    warnings: &mut Vec<String>,
) -> Result<python::File, ConfigError> {
    let file = python::read(&source.text).map_err(|refusal| ConfigError::Syntax {
        origin: Origin { source: Arc::from(source.name.as_str()), line: Some(refusal.line) },
        problem: refusal.problem,
    })?;
    warnings.extend(file.repeated.iter().map(|repeated| {
        let (first, last) = repeated.lines;
        let (name, key) = (&source.name, &repeated.key);
        format!("{name}, line {last}: {key} stands in line {first} already; the last one counts")
    }));
    Ok(file)
}

pub(super) fn from_python(literal: Literal, line: usize, name: &Arc<str>) -> Node {
    let value = match literal {
        Literal::None => Value::Null,
        Literal::Boolean(truth) => Value::Boolean(truth),
        Literal::Integer(number) => Value::Integer(number),
        Literal::Float(number) => Value::Float(number),
        Literal::Text(text) => Value::Text(text),
        Literal::List(items) => Value::List(
            items.into_iter().map(|(line, item)| from_python(item, line, name)).collect(),
        ),
        Literal::Dict(dict) => Value::Table(
            dict.pairs
                .into_iter()
                .map(|pair| (pair.key, from_python(pair.value, pair.line, name)))
                .collect(),
        ),
    };
    Node { value, origin: Origin { source: name.clone(), line: Some(line) } }
}

fn read_toml(source: &Source) -> Result<Node, ConfigError> {
    let reader = TomlReader::new(&source.name, &source.text);
    let table = DeTable::parse(&source.text).map_err(|error| ConfigError::Syntax {
        origin: reader.origin(error.span().unwrap_or(0..0)),
        problem: error.message().trim().replace('\n', ", "),
    })?;
    let span = table.span();
    reader.table(table.into_inner(), span)
}

struct TomlReader {
    name: Arc<str>,
    /// Where each line ends.
    ends: Vec<usize>,
}

impl TomlReader {
    fn new(name: &str, text: &str) -> Self {
        let ends = text.match_indices('\n').map(|(at, _)| at).collect();
        Self { name: Arc::from(name), ends }
    }

    fn origin(&self, span: Range<usize>) -> Origin {
        let line = self.ends.partition_point(|end| *end < span.start) + 1;
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
    let reader = TomlReader::new(name, text);
    let value = DeValue::parse(text).ok()?;
    reader.value(value).ok()
}
