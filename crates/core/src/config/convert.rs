//! From a file in the Python syntax of older versions to the same settings as TOML, comments included.

use std::sync::Arc;

use super::{
    ConfigError, Origin, Source,
    python::{Dict, Literal},
    syntax,
    tree::{Node, Value},
    write::{self, Content, Entry, Section},
};

/// A file that was converted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Converted {
    /// The file as TOML. Secrets stand in it as they stood in the other.
    pub toml: String,
    /// What TOML cannot say.
    pub warnings: Vec<String>,
}

/// Turns a file in the Python syntax of older versions into TOML.
///
/// # Errors
/// When it is none, or is wrong in itself. Whether its settings exist is not looked at.
pub fn convert(source: &Source) -> Result<Converted, ConfigError> {
    if !syntax::is_python(&source.text) {
        return Err(ConfigError::Syntax {
            origin: Origin { source: Arc::from(source.name.as_str()), line: None },
            problem: "this file is not in the Python syntax of older versions, so there is nothing to convert"
                .to_owned(),
        });
    }
    let mut converter = Converter { name: Arc::from(source.name.as_str()), warnings: Vec::new() };
    let file = syntax::parse_python(source, &mut converter.warnings)?;
    let comments = |lines: Vec<String>| {
        let mut lines: Vec<String> =
            lines.into_iter().filter(|line| !is_about_the_syntax(line)).collect();
        while lines.last().is_some_and(String::is_empty) {
            lines.pop();
        }
        lines
    };
    let mut toml = String::new();
    for line in comments(file.above) {
        toml.push_str(&format!("# {line}").trim_end().replace(char::is_control, " "));
        toml.push('\n');
    }
    let mut section = converter.section(file.config, &mut Vec::new())?;
    section.below.extend(comments(file.below));
    let body = write::file(&section);
    if !toml.is_empty() && !body.is_empty() {
        toml.push('\n');
    }
    toml.push_str(&body);
    Ok(Converted { toml, warnings: converter.warnings })
}

/// Whether a comment tells an editor that the file is Python.
fn is_about_the_syntax(comment: &str) -> bool {
    comment.contains("python") && (comment.contains("vim:") || comment.contains("-*-"))
}

struct Converter {
    name: Arc<str>,
    warnings: Vec<String>,
}

impl Converter {
    fn section(&mut self, dict: Dict, path: &mut Vec<String>) -> Result<Section, ConfigError> {
        let mut entries = Vec::new();
        for pair in dict.pairs {
            path.push(pair.key.clone());
            let content = match pair.value {
                Literal::None => {
                    self.warnings.push(format!(
                        "{}, line {}: {} is None, for which TOML has no word: it is left out, so that the value of \
                         an earlier file would count",
                        self.name,
                        pair.line,
                        path.join(".")
                    ));
                    Content::Nothing(format!("{} = None", write::key(&pair.key)))
                }
                Literal::Dict(dict) => Content::Table(self.section(dict, path)?),
                Literal::List(items) if is_of_tables(&items) => {
                    let mut tables = Vec::new();
                    for (_, item) in items {
                        if let Literal::Dict(dict) = item {
                            tables.push(self.section(dict, path)?);
                        }
                    }
                    Content::Tables(tables)
                }
                other => {
                    let node = syntax::from_python(other, pair.line, &self.name);
                    let unsayable = || ConfigError::Value {
                        origin: first_nothing(&node).unwrap_or(&node).origin.clone(),
                        key: path.join("."),
                        problem: "has None within a list, for which TOML has no word".to_owned(),
                    };
                    match write::value(&node) {
                        Some(value) if first_nothing(&node).is_none() => Content::Value(value),
                        _ => return Err(unsayable()),
                    }
                }
            };
            path.pop();
            entries.push(Entry { above: pair.comments, key: pair.key, content, beside: None });
        }
        Ok(Section { entries, below: dict.below, spaced: false })
    }
}

fn is_of_tables(items: &[(usize, Literal)]) -> bool {
    !items.is_empty() && items.iter().all(|(_, item)| matches!(item, Literal::Dict(_)))
}

fn first_nothing(node: &Node) -> Option<&Node> {
    match &node.value {
        Value::Null => Some(node),
        Value::List(items) => items.iter().find_map(first_nothing),
        Value::Table(table) => table.values().find_map(first_nothing),
        _ => None,
    }
}
