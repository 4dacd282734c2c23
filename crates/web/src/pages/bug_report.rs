//! `/bugreport/NAME`: on to the bug tracker's form, with its fields filled in.

use axum::extract::{Path, State};
use axum::response::Response;
use koschei_db::pages::{self as db, CollectionRow, PackageRow};

use crate::address::query;
use crate::error::Error;
use crate::pages::package::package_value;
use crate::request::Ask;
use crate::site::{SharedSite, Site};

/// Whether a page may offer to file a bug: the tracker has to know the collection, and there has to be a build to talk of.
pub(super) fn is_possible(package: &PackageRow, collection: &CollectionRow) -> bool {
    !package.blocked
        && package.last_complete_build_id.is_some()
        && collection.bugzilla_product.is_some()
        && collection.bugzilla_version.is_some()
}

/// Text without the indentation that all of its lines share, and without white space around it.
fn dedent(text: &str) -> String {
    let depth = |line: &&str| line.len() - line.trim_start_matches([' ', '\t']).len();
    let common = text.lines().filter(|line| !line.trim().is_empty()).map(|line| depth(&line)).min();
    let lines: Vec<&str> =
        text.lines().map(|line| line.get(common.unwrap_or(0)..).unwrap_or_default()).collect();
    lines.join("\n").trim().to_owned()
}

/// A template with its placeholders filled; those that are none stay as they are.
fn fill(template: &str, value: impl Fn(&str) -> Option<String>) -> String {
    let mut filled = String::new();
    let mut rest = template;
    while let Some((before, after)) = rest.split_once('{') {
        filled.push_str(before);
        let known = after.split_once('}').and_then(|(key, after)| Some((value(key)?, after)));
        match known {
            Some((value, after)) => {
                filled.push_str(&value);
                rest = after;
            }
            None => {
                filled.push('{');
                rest = after;
            }
        }
    }
    filled.push_str(rest);
    filled
}

/// The redirect.
pub(crate) async fn bug_report(
    State(site): State<SharedSite>,
    Path(name): Path<String>,
    ask: Ask,
) -> Result<Response, Error> {
    let selection = site.selection(&ask).await?;
    let rows = db::package(&site.pool, &name).await?;
    let unknown = |title: String| {
        Error::not_found(title, "A bug can be filed about a package that was built at least once.")
    };
    if rows.is_empty() {
        return Err(unknown(format!("No package is called {name}")));
    }
    let found = selection.chosen.iter().find_map(|collection| {
        let row = rows.iter().find(|row| row.collection_id == collection.id && !row.blocked)?;
        Some((row, collection))
    });
    let Some((package, collection)) = found else {
        return Err(unknown(format!("{name} is not in this collection, or is blocked")));
    };
    let build = match package.last_complete_build_id {
        Some(id) => db::build(&site.pool, id).await?,
        None => None,
    };
    let Some((version, release)) = build.and_then(|build| build.evr.version.zip(build.evr.release))
    else {
        return Err(unknown(format!("No build of {name} is known in {}", collection.display_name)));
    };
    Ok(crate::frame::redirect(&address(&site, package, collection, &version, &release)))
}

fn address(
    site: &Site,
    package: &PackageRow,
    collection: &CollectionRow,
    version: &str,
    release: &str,
) -> String {
    let page = site.absolute(&site.addresses.package(&package.name, &collection.name));
    let value = |key: &str| match key {
        "name" => Some(package.name.clone()),
        "version" => Some(version.to_owned()),
        "release" => Some(release.to_owned()),
        "arch" => Some("src".to_owned()),
        "url" => Some(page.clone()),
        "collection" | "package.collection" => Some(collection.display_name.clone()),
        "package" => Some(package.name.clone()),
        // What a collection does not have is empty.
        key => match key.strip_prefix("package.").unwrap_or(key) {
            "collection.bugzilla_product" | "collection.bugzilla_version" => {
                Some(package_value(key, package, collection).unwrap_or_default())
            }
            _ => package_value(key, package, collection),
        },
    };
    let report = &site.config.bug_report;
    let template = &report.template;
    let fields = [
        ("product", &template.product),
        ("component", &template.component),
        ("version", &template.version),
        ("short_desc", &template.short_desc),
        ("bug_file_loc", &template.bug_file_loc),
        ("comment", &template.comment),
    ]
    .map(|(name, template)| (name, fill(&dedent(template), value)));
    let pairs: Vec<(&str, &str)> =
        fields.iter().map(|(name, value)| (*name, value.as_str())).collect();
    report.url.replace("{query}", query(&pairs).trim_start_matches('?'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn templates_are_dedented_and_stripped() {
        assert_eq!(dedent("\n    a\n      b\n\n    c\n  "), "a\n  b\n\nc");
        assert_eq!(dedent("a\n b"), "a\n b");
        assert_eq!(dedent(" \n\t"), "");
    }

    #[test]
    fn only_placeholders_are_filled() {
        let value = |key: &str| (key == "name").then(|| "{url}&<b>".to_owned());
        assert_eq!(fill("{name} {nothing} {name", value), "{url}&<b> {nothing} {name");
    }
}
