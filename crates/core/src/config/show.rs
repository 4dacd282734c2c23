//! The merged configuration as an operator may see it: every value that counts, with the place where it was set when it is
//! not a built-in default, and asterisks for what the definitions call a secret.

use serde_json::Value as Json;

use super::{
    Loaded, Origin,
    secret::MASK,
    sections::{FREE_FORM, Shown},
    tree::Node,
    write::{self, Content, Entry, Section},
};

impl Loaded {
    /// The configuration as TOML. Whoever reads it learns no secret: a field of type `Secret` is one, and in tables of free
    /// form every value whose key is not known to be harmless.
    #[must_use]
    pub fn show(&self) -> String {
        // Fields that are secret have become asterisks here, whatever they hold.
        let values = serde_json::to_value(&self.config).unwrap_or_default();
        match section(&values, Some(&self.merged), &mut Vec::new()) {
            Some(section) => write::file(&section),
            None => String::new(),
        }
    }
}

fn section(values: &Json, places: Option<&Node>, path: &mut Vec<String>) -> Option<Section> {
    let mut entries = Vec::new();
    for (key, value) in values.as_object()? {
        path.push(key.clone());
        let place = places.and_then(|places| places.get(key));
        if let Some(content) = content(value, place, path) {
            let beside = match (&content, place) {
                (Content::Value(_), Some(node)) if node.origin != Origin::built_in() => {
                    Some(node.origin.to_string())
                }
                _ => None,
            };
            entries.push(Entry { above: Vec::new(), key: key.clone(), content, beside });
        }
        path.pop();
    }
    Some(Section { entries, ..Section::default() })
}

fn content(value: &Json, place: Option<&Node>, path: &mut Vec<String>) -> Option<Content> {
    if is_hidden(path) {
        return Some(Content::Value(write::text(MASK)));
    }
    if value.is_object() {
        return section(value, place, path).map(Content::Table);
    }
    let tables =
        value.as_array().filter(|items| !items.is_empty() && items.iter().all(Json::is_object));
    if let Some(items) = tables {
        return items
            .iter()
            .map(|item| section(item, None, path))
            .collect::<Option<_>>()
            .map(Content::Tables);
    }
    write::value(&Node::from_json(value.clone(), &Origin::built_in())).map(Content::Value)
}

/// Whether a value in a table of free form must not be seen.
fn is_hidden(path: &[String]) -> bool {
    let path = path.join(".");
    let path = path.strip_prefix("secondary_").unwrap_or(&path);
    FREE_FORM.iter().any(|table| {
        let key = path.strip_prefix(table.path).and_then(|rest| rest.strip_prefix('.'));
        match (key, table.shown) {
            (Some(key), Shown::Only(shown)) => !shown.contains(&key),
            _ => false,
        }
    })
}
