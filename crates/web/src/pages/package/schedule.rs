//! The column beside: when the package is built next, and links.

use koschei_core::scheduling::Reason;
use koschei_db::pages::{ChangeRow, CollectionRow, PackageRow};

use super::Maker;
use crate::pages::schedule;
use crate::text;

pub(super) struct Priority {
    pub(super) current: String,
    pub(super) parts: Vec<(&'static str, String)>,
    pub(super) note: String,
}

impl Maker<'_> {
    pub(super) fn reasons(&self) -> Vec<Reason> {
        schedule::reasons_of(self.package, self.collection, self.frame.clock.now)
    }

    pub(super) fn facts(&self, unapplied: &[ChangeRow]) -> Vec<(&'static str, String)> {
        let package = self.package;
        let mut facts = vec![("Tracked", if package.tracked { "yes" } else { "no" }.to_owned())];
        let waiting = unapplied.first().map_or(0, |change| change.owner_total);
        if waiting > 0 {
            facts.push(("Changes waiting", text::count(waiting)));
        }
        if let Some(arches) =
            package.arch_override.as_deref().filter(|arches| !arches.trim().is_empty())
        {
            facts.push(match arches.strip_prefix('^') {
                Some(arches) => ("Not built for", arches.trim().to_owned()),
                None => ("Built only for", arches.to_owned()),
            });
        }
        if let Some(time) = package.not_before.filter(|time| *time > self.frame.clock.now) {
            facts.push(("Not built before", self.frame.clock.long(time)));
        }
        if package.skip_resolution {
            facts.push(("Dependencies", "not resolved, on request".to_owned()));
        }
        facts
    }

    /// How urgent the next build is; `None` when none can be planned.
    pub(super) fn priority(&self) -> Option<Priority> {
        let package = self.package;
        let now = self.frame.clock.now;
        let current = schedule::current_priority(self.site, package, self.collection, now)?;
        let parameters = &self.site.config.priorities;
        let hours = schedule::hours_since(package.last_started?, now);
        let coefficient = self.collection.priority_coefficient;
        let mut parts = vec![("By time", text::count(parameters.time(hours).floor() as i64))];
        for (name, value) in [
            ("By changed dependencies", package.dependency_priority),
            ("By its last builds", package.build_priority),
            ("Set by hand", package.manual_priority),
            ("Set by administrators", package.static_priority),
        ] {
            if value != 0 {
                parts.push((name, text::count(i64::from(value))));
            }
        }
        if coefficient != 1.0 {
            parts.push(("Factor of the collection", format!("{coefficient}")));
        }
        let threshold = parameters.build_threshold;
        let note = if current >= threshold {
            "High enough: it is built as soon as there is room in Koji.".to_owned()
        } else {
            format!("It is built when its priority reaches {}.", text::count(threshold as i64))
        };
        Some(Priority { current: text::count(current.floor() as i64), parts, note })
    }

    pub(super) fn links(&self) -> Vec<(String, String)> {
        self.site
            .config
            .links
            .iter()
            .filter_map(|link| {
                let address =
                    link.address(|key| package_value(key, self.package, self.collection))?;
                Some((link.name.clone(), address))
            })
            .collect()
    }
}

/// A value for the placeholders of links (`koschei_core::config::Link::PLACEHOLDERS`).
pub(in crate::pages) fn package_value(
    key: &str,
    package: &PackageRow,
    collection: &CollectionRow,
) -> Option<String> {
    match key.strip_prefix("package.").unwrap_or(key) {
        "name" => Some(package.name.clone()),
        "collection.name" => Some(collection.name.clone()),
        "collection.display_name" => Some(collection.display_name.clone()),
        "collection.target" => Some(collection.target.clone()),
        "collection.dest_tag" => Some(collection.dest_tag.clone()),
        "collection.build_tag" => Some(collection.build_tag.clone()),
        "collection.bugzilla_product" => collection.bugzilla_product.clone(),
        "collection.bugzilla_version" => collection.bugzilla_version.clone(),
        _ => None,
    }
}
