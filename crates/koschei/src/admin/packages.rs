//! `add-pkg`, `set-priority`, `set-arch-override`.

use clap::Args;
use koschei_db::administration::{self, Priority};

use super::{Session, groups::group_name};
use crate::failure::Failure;

/// `add-pkg NAME... -c COLLECTION`
#[derive(Debug, Args)]
pub(super) struct AddPkg {
    /// Names of packages that Koji knows in the collection
    #[arg(required = true, value_name = "PACKAGE")]
    names: Vec<String>,
}

impl AddPkg {
    pub(super) async fn run(self, session: &mut Session) -> Result<String, Failure> {
        let collection = session.collection()?;
        let tracked = administration::track(
            &mut session.connection,
            &session.actor,
            &collection,
            &self.names,
        )
        .await
        .map_err(Failure::new)?;
        Ok(match tracked.as_slice() {
            [] => format!("Nothing to do: tracked in {collection} already"),
            [one] => format!("Tracked in {collection}: {one}"),
            many => {
                format!("Tracked in {collection}: {} packages: {}", many.len(), many.join(", "))
            }
        })
    }
}

/// `set-priority [--static] --collection C NAME... VALUE`
#[derive(Debug, Args)]
#[command(allow_negative_numbers = true)]
pub(super) struct SetPriority {
    /// Set the static priority, which builds do not reset, instead of the manual one
    #[arg(long = "static")]
    permanent: bool,
    /// Names of packages
    #[arg(required = true, value_name = "PACKAGE")]
    names: Vec<String>,
    /// The priority
    #[arg(value_name = "VALUE", value_parser = priority)]
    value: i32,
}

fn priority(text: &str) -> Result<i32, String> {
    text.parse().map_err(|_| {
        "the last word has to be the priority, a whole number such as 100 or -50".to_owned()
    })
}

impl SetPriority {
    pub(super) async fn run(self, session: &mut Session) -> Result<String, Failure> {
        let collection = session.collection()?;
        let (priority, word) = if self.permanent {
            (Priority::Static, "Static")
        } else {
            (Priority::Manual, "Manual")
        };
        administration::set_priority(
            &mut session.connection,
            &session.actor,
            &collection,
            &self.names,
            priority,
            self.value,
        )
        .await
        .map_err(Failure::new)?;
        Ok(format!("{word} priority of {} in {collection}: {}", self.names.join(", "), self.value))
    }
}

/// `set-arch-override NAME ARCHES [--group] [--collection C]`
#[derive(Debug, Args)]
pub(super) struct SetArchOverride {
    /// Name of a package
    name: String,
    /// Architectures to build for, or, with ^ in front, not to build for; empty for those that Koji says
    #[arg(allow_hyphen_values = true)]
    arches: String,
    /// The name is that of a group: all of its packages
    #[arg(long)]
    group: bool,
}

impl SetArchOverride {
    pub(super) async fn run(self, session: &mut Session) -> Result<String, Failure> {
        let arches = arch_override(&self.arches)?;
        let collection = session.collection_if_named()?;
        let (connection, actor) = (&mut session.connection, &session.actor);
        let changed = if self.group {
            let group = group_name(&self.name)?;
            administration::set_arch_override_of_group(
                connection,
                actor,
                &group,
                collection.as_deref(),
                arches.as_deref(),
            )
            .await
            .map_err(Failure::new)?
        } else {
            let collections = administration::set_arch_override(
                connection,
                actor,
                &self.name,
                collection.as_deref(),
                arches.as_deref(),
            )
            .await
            .map_err(Failure::new)?;
            collections.into_iter().map(|collection| (self.name.clone(), collection)).collect()
        };
        if changed.is_empty() {
            return Ok("Nothing to do: it is like that already".to_owned());
        }
        let names: Vec<String> =
            changed.iter().map(|(name, collection)| format!("{name} ({collection})")).collect();
        Ok(match arches {
            Some(arches) => format!("Architectures of {}: {arches}", names.join(", ")),
            None => format!("Architectures of {}: those that Koji says", names.join(", ")),
        })
    }
}

/// A list as it is stored, apart by spaces and with one `^` in front of all of them (spec/web.md); `None` when empty.
fn arch_override(text: &str) -> Result<Option<String>, Failure> {
    let text = text.trim();
    let (sign, list) = match text.strip_prefix('^') {
        Some(list) => ("^", list),
        None => ("", text),
    };
    let words: Vec<&str> =
        list.split([' ', ',']).map(str::trim).filter(|word| !word.is_empty()).collect();
    // A person may put the sign before each of them, which means the same.
    let arches: Vec<&str> = words
        .iter()
        .enumerate()
        .map(|(place, word)| match word.strip_prefix('^') {
            Some(arch) if !sign.is_empty() && place > 0 => arch,
            _ => word,
        })
        .collect();
    let signs = words.iter().skip(1).filter(|word| word.starts_with('^')).count();
    if signs > 0 && (sign.is_empty() || signs + 1 < words.len()) {
        return Err(Failure::usage(format_args!(
            "{text:?}: a ^ stands in front of all architectures or of none"
        )));
    }
    for arch in &arches {
        if !arch.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') {
            return Err(Failure::usage(format_args!("{arch:?} cannot be an architecture")));
        }
    }
    Ok((!arches.is_empty()).then(|| format!("{sign}{}", arches.join(" "))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn architectures_are_stored_with_one_sign_for_all() {
        let stored = |text| arch_override(text).map_err(|error| error.to_string());
        assert_eq!(stored("x86_64"), Ok(Some("x86_64".to_owned())));
        assert_eq!(stored(" x86_64, aarch64 "), Ok(Some("x86_64 aarch64".to_owned())));
        assert_eq!(stored("^s390x ppc64le"), Ok(Some("^s390x ppc64le".to_owned())));
        assert_eq!(stored("^s390x ^ppc64le"), Ok(Some("^s390x ppc64le".to_owned())));
        assert_eq!(stored(""), Ok(None));
        assert_eq!(stored("^"), Ok(None));
        for wrong in ["s390x ^ppc64le", "^a b ^c", "a;b", "^^a"] {
            assert!(stored(wrong).is_err(), "{wrong}");
        }
    }
}
