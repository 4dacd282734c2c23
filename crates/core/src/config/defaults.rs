//! The file of defaults, `deploy/config.cfg`: every setting with what it means and its default, made from the definitions
//! in `sections.rs`. The definitions are read as text, because their documentation is a part of them.
//!
//! `KOSCHEI_UPDATE=1 cargo test -p koschei-core defaults` writes the file anew.

use std::{collections::BTreeMap, path::Path};

use serde_json::Value as Json;

use super::{
    Config, Origin, Source, parse,
    sections::FREE_FORM,
    tree::Node,
    write::{self, Content, Entry, Section},
};

const DEFINITIONS: &str = include_str!("sections.rs");

const ABOVE: &str = "\
The defaults of Koschei, key by key. Do not change this file: it is replaced with every version.

What is set in /etc/koschei/config.cfg, and then in /etc/koschei/config-backend.cfg (services and koschei-admin) or
/etc/koschei/config-frontend.cfg (web), and then in /etc/koschei/config-admin.cfg (koschei-admin) counts instead. Tables merge,
everything else is replaced. Those files may be TOML, as this one is, or in the Python syntax of older versions; single values
can be set by environment, as in KOSCHEI__DATABASE_CONFIG__HOST=db.example.org. koschei-admin config show prints what counts.

A line such as \"# username = ...\" stands for a setting that has no default.";

/// A field of a struct, or a variant of an enum.
struct Definition {
    documentation: Vec<String>,
    name: String,
    of_type: String,
}

/// Structs and enums with their definitions, in order.
fn definitions() -> BTreeMap<String, Vec<Definition>> {
    let mut all = BTreeMap::new();
    let mut documentation = Vec::new();
    let mut renamed = None;
    let mut current: Option<(String, Vec<Definition>)> = None;
    for line in DEFINITIONS.lines() {
        let word = |after: &str| line.split_once(after).map(|(_, rest)| rest);
        if let Some(name) = word("pub struct ")
            .or_else(|| word("pub enum "))
            .and_then(|rest| rest.strip_suffix(" {"))
        {
            current = Some((name.to_owned(), Vec::new()));
            documentation.clear();
        } else if line == "}" {
            if let Some((name, definitions)) = current.take() {
                all.insert(name, definitions);
            }
            documentation.clear();
        } else if let Some(text) = line.strip_prefix("    /// ") {
            documentation.push(text.to_owned());
        } else if let Some(name) =
            word("#[serde(rename = \"").and_then(|rest| rest.strip_suffix("\")]"))
        {
            renamed = Some(name.to_owned());
        } else if let Some((_, definitions)) = &mut current
            && let Some(line) =
                line.strip_prefix("    ").filter(|line| !line.starts_with(['#', ' ', '/']))
        {
            let line = line.trim_end_matches(',');
            let (name, of_type) =
                match line.strip_prefix("pub ").and_then(|field| field.split_once(": ")) {
                    Some((name, of_type)) => (name.to_owned(), of_type),
                    None => (words(line), ""),
                };
            definitions.push(Definition {
                documentation: std::mem::take(&mut documentation),
                name: renamed.take().unwrap_or(name),
                of_type: of_type.to_owned(),
            });
        }
    }
    all
}

/// `SslLogin` as `ssl_login`.
fn words(variant: &str) -> String {
    let mut words = String::new();
    for c in variant.chars() {
        if c.is_uppercase() && !words.is_empty() {
            words.push('_');
        }
        words.extend(c.to_lowercase());
    }
    words
}

/// Documentation for Rust's readers as a comment for operators.
fn comment(documentation: &[String]) -> Vec<String> {
    documentation.iter().map(|line| line.replace('`', "")).collect()
}

fn section(
    all: &BTreeMap<String, Vec<Definition>>,
    definitions: &[Definition],
    defaults: &Json,
    path: &str,
) -> Section {
    let mut entries = Vec::new();
    for definition in definitions {
        let key = &definition.name;
        let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
        let default = defaults.get(key).unwrap_or(&Json::Null);
        let mut above = comment(&definition.documentation);
        let plain = definition.of_type.replace("Option<", "").replace("Vec<", "").replace('>', "");
        let inner = all.get(&plain);
        let is_choice = inner.is_some_and(|inner| inner.iter().all(|d| d.of_type.is_empty()));
        if let Some(choices) = inner.filter(|_| is_choice) {
            above.extend(choices.iter().map(|choice| {
                format!("  {}: {}", choice.name, comment(&choice.documentation).join(" "))
            }));
        }
        let one_line = |value: &Json| {
            write::value(&Node::from_json(value.clone(), &Origin::built_in())).unwrap_or_default()
        };
        let content = match (default, inner) {
            (Json::Object(table), _) if FREE_FORM.iter().any(|free| free.path == path) => {
                Content::Table(Section {
                    entries: table
                        .iter()
                        .map(|(key, value)| Entry {
                            above: Vec::new(),
                            key: key.clone(),
                            content: Content::Value(one_line(value)),
                            beside: None,
                        })
                        .collect(),
                    ..Section::default()
                })
            }
            (Json::Object(_), Some(inner)) => Content::Table(section(all, inner, default, &path)),
            (Json::Array(items), Some(inner)) if !is_choice => Content::Tables(
                items
                    .iter()
                    .enumerate()
                    .map(|(at, item)| {
                        let mut section = section(all, inner, item, &path);
                        // What the keys mean is said once.
                        if at > 0 {
                            section.entries.iter_mut().for_each(|entry| entry.above.clear());
                            section.spaced = false;
                        }
                        section
                    })
                    .collect(),
            ),
            (Json::Null, _) if key == "secondary_koji_config" => Content::Table(Section::default()),
            (Json::Null, _) => Content::Nothing(format!("{key} = ...")),
            (value, _) => Content::Value(one_line(value)),
        };
        entries.push(Entry { above, key: key.clone(), content, beside: None });
    }
    Section { entries, below: Vec::new(), spaced: true }
}

fn generated() -> String {
    let all = definitions();
    let defaults = serde_json::to_value(Config::default()).unwrap();
    let mut text = String::new();
    for line in ABOVE.lines() {
        text.push_str(format!("# {line}").trim_end());
        text.push('\n');
    }
    text.push('\n');
    text.push_str(&write::file(&section(&all, &all["Config"], &defaults, "")));
    text
}

#[test]
fn the_file_of_defaults_is_what_the_definitions_say() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../deploy/config.cfg");
    let generated = generated();
    if std::env::var_os("KOSCHEI_UPDATE").is_some() {
        std::fs::write(&path, &generated).unwrap();
    }
    let written = std::fs::read_to_string(&path).unwrap();
    assert!(
        written == generated,
        "deploy/config.cfg is not what the definitions say; KOSCHEI_UPDATE=1 cargo test -p koschei-core defaults writes it"
    );
    let loaded = parse(&[Source { name: "config.cfg".to_owned(), text: written }], []).unwrap();
    assert_eq!(loaded.config, Config::default());
    assert!(loaded.warnings.is_empty());
}

#[test]
fn the_file_of_defaults_documents_every_key() {
    let all = definitions();
    let written = generated();
    let mut keys = 0;
    for (name, definitions) in &all {
        for definition in definitions {
            assert!(!definition.documentation.is_empty(), "{name}.{}", definition.name);
            // What a secondary Koji has is what the primary has.
            if definition.of_type.is_empty() || name == "SecondaryKojiConfig" {
                continue;
            }
            let named = [
                format!("{} = ", definition.name),
                format!("{}]", definition.name),
                format!("[{}.", definition.name),
            ];
            assert!(
                named.iter().any(|named| written.contains(named)),
                "{name}.{}",
                definition.name
            );
            keys += 1;
        }
    }
    assert!(keys > 100, "{keys}");
}
