//! For which architectures a package is built, and how busy their builders are (spec/services.md, section 4).

use koji::arch::canonical;
use koji::types::{ArchHeaders, Host};

/// The architecture of packages that run everywhere.
pub const NOARCH: &str = "noarch";

/// The architectures that a scratch build is to be submitted for, in a stable order; empty when there are none.
///
/// `tag` are the build tag's architectures, `headers` those of the source package, `arch_override` what was set by hand
/// for the package (a list that replaces, or with `^` one that removes), `configured` the option `build_arches`.
pub fn architectures(
    tag: &[&str],
    headers: &ArchHeaders,
    arch_override: Option<&str>,
    configured: &[String],
) -> Vec<String> {
    let has = |list: &[String], arch: &str| list.iter().any(|entry| entry == arch);
    let mut arches: Vec<&str> = if headers.build_archs.is_empty() {
        tag.to_vec()
    } else {
        headers.build_archs.iter().map(String::as_str).collect()
    };
    if !headers.exclusive_arch.is_empty() {
        arches.retain(|arch| has(&headers.exclusive_arch, arch));
    }
    arches.retain(|arch| !has(&headers.exclude_arch, arch));
    if (has(&headers.build_archs, NOARCH) || has(&headers.exclusive_arch, NOARCH))
        && !has(&headers.exclude_arch, NOARCH)
    {
        arches.push(NOARCH);
    }
    match arch_override.map(str::trim).filter(|text| !text.is_empty()) {
        None => {}
        Some(text) => match text.strip_prefix('^') {
            Some(removed) => {
                let removed: Vec<&str> = removed
                    .split_whitespace()
                    .map(|arch| canonical(arch.trim_start_matches('^')))
                    .collect();
                arches.retain(|arch| !removed.contains(&canonical(arch)));
            }
            None => arches = text.split_whitespace().collect(),
        },
    }
    let tag: Vec<&str> = tag.iter().map(|arch| canonical(arch)).collect();
    let configured: Vec<&str> = configured.iter().map(|arch| canonical(arch)).collect();
    let mut result: Vec<String> = Vec::new();
    for arch in arches {
        let allowed = arch == NOARCH
            || (tag.contains(&canonical(arch)) && configured.contains(&canonical(arch)));
        if allowed && !has(&result, arch) {
            result.push(arch.to_owned());
        }
    }
    result
}

/// Reads the architectures that a person sets for a package, between commas or white space, all of them or none with `^`
/// in front; gives them as they are stored, `None` for no limitation.
///
/// # Errors
/// A sentence when some are not configured, or only some have a `^`.
pub fn read_override(text: &str, configured: &[String]) -> Result<Option<String>, String> {
    let entries: Vec<&str> = text
        .split(|c: char| c.is_whitespace() || c == ',')
        .filter(|word| !word.is_empty())
        .collect();
    let removed = entries.iter().filter(|entry| entry.starts_with('^')).count();
    if removed > 0 && removed < entries.len() {
        return Err("Put ^ before all architectures, or before none: a package is built only for some, or for all but \
                    some."
            .to_owned());
    }
    let mut arches: Vec<&str> = Vec::new();
    for entry in entries {
        let arch = entry.trim_start_matches('^');
        if arch.is_empty() || arches.contains(&arch) {
            continue;
        }
        if !configured.iter().any(|known| canonical(known) == canonical(arch)) {
            return Err(format!(
                "{arch} is not one of the architectures that Koschei builds for: {}.",
                configured.join(", ")
            ));
        }
        arches.push(arch);
    }
    Ok((!arches.is_empty())
        .then(|| format!("{}{}", if removed > 0 { "^" } else { "" }, arches.join(" "))))
}

/// Stored architectures as a person would type them: each with its own `^`.
pub fn override_as_typed(stored: &str) -> String {
    match stored.trim().strip_prefix('^') {
        Some(removed) => {
            let removed: Vec<String> = removed
                .split_whitespace()
                .map(|arch| format!("^{}", arch.trim_start_matches('^')))
                .collect();
            removed.join(" ")
        }
        None => stored.split_whitespace().collect::<Vec<_>>().join(" "),
    }
}

/// The option `arch_override` to send to Koji for these architectures: none when the build is for any.
pub fn koji_arch_override(arches: &[String]) -> Option<String> {
    (!arches.iter().any(|arch| arch == NOARCH)).then(|| arches.join(" "))
}

/// The canonical architectures whose builders have to be asked for their load: those of the build, or all of the tag's
/// when it can be built on any.
pub fn architectures_to_ask(arches: &[String], tag: &[&str]) -> Vec<String> {
    let mut ask: Vec<String> = if arches.iter().any(|arch| arch == NOARCH) {
        tag.iter().map(|arch| canonical(arch).to_owned()).collect()
    } else {
        arches.iter().map(|arch| canonical(arch).to_owned()).collect()
    };
    ask.sort();
    ask.dedup();
    ask
}

/// Load of the builders of one architecture, 0 to 1, and 1 when there are none.
pub fn builders_load(hosts: &[Host]) -> f64 {
    let capacity: f64 = hosts.iter().map(|host| host.capacity).sum();
    if capacity <= 0.0 {
        return 1.0;
    }
    let load: f64 = hosts
        .iter()
        .map(|host| if host.ready { host.task_load.min(host.capacity) } else { host.capacity })
        .sum();
    load / capacity
}

/// Load that counts for a build: the highest of its architectures, or, when it can be built on any, the lowest.
pub fn load(arches: &[String], loads: impl IntoIterator<Item = f64>) -> f64 {
    let any = arches.iter().any(|arch| arch == NOARCH);
    loads.into_iter().reduce(|a, b| if any { a.min(b) } else { a.max(b) }).unwrap_or(1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TAG: [&str; 3] = ["i686", "x86_64", "aarch64"];

    fn list(text: &str) -> Vec<String> {
        text.split_whitespace().map(str::to_owned).collect()
    }

    fn headers(build: &str, exclude: &str, exclusive: &str) -> ArchHeaders {
        ArchHeaders {
            build_archs: list(build),
            exclude_arch: list(exclude),
            exclusive_arch: list(exclusive),
        }
    }

    fn arches(headers: &ArchHeaders, arch_override: Option<&str>) -> String {
        architectures(&TAG, headers, arch_override, &list("i386 x86_64 armhfp")).join(" ")
    }

    #[test]
    fn without_anything_special_it_is_the_tag_limited_to_the_configuration() {
        assert_eq!(arches(&headers("", "", ""), None), "i686 x86_64");
    }

    #[test]
    fn headers_of_the_source_package_count() {
        assert_eq!(arches(&headers("x86_64", "", ""), None), "x86_64");
        assert_eq!(arches(&headers("", "i686", ""), None), "x86_64");
        assert_eq!(arches(&headers("", "", "x86_64 s390x"), None), "x86_64");
        assert_eq!(arches(&headers("", "", "s390x"), None), "");
        assert_eq!(arches(&headers("", "", "aarch64"), None), "", "not configured");
    }

    #[test]
    fn noarch_comes_from_buildarch_and_exclusivearch() {
        assert_eq!(arches(&headers("noarch", "", ""), None), "noarch");
        assert_eq!(arches(&headers("", "", "x86_64 noarch"), None), "x86_64 noarch");
        assert_eq!(arches(&headers("noarch", "", "x86_64"), None), "noarch");
        assert_eq!(arches(&headers("noarch", "noarch", ""), None), "");
    }

    #[test]
    fn noarch_may_be_excluded_removed_and_overridden() {
        assert_eq!(arches(&headers("", "noarch", "x86_64 noarch"), None), "x86_64");
        assert_eq!(arches(&headers("noarch", "", "x86_64 noarch"), None), "noarch", "once");
        assert_eq!(arches(&headers("noarch", "", ""), Some("^noarch")), "");
        assert_eq!(arches(&headers("", "", "x86_64 noarch"), Some("^x86_64")), "noarch");
        assert_eq!(arches(&headers("", "", ""), Some("noarch")), "noarch", "needs no tag's arch");
        assert_eq!(arches(&headers("noarch", "", ""), Some("x86_64")), "x86_64");
    }

    #[test]
    fn a_header_names_the_architecture_itself_and_not_its_kind() {
        // As rpmbuild and kojid do: i386 in ExclusiveArch does not let i686 be built.
        assert_eq!(arches(&headers("", "", "i386"), None), "");
        assert_eq!(arches(&headers("", "i386", ""), None), "i686 x86_64");
        // An override, the tag and the configuration are compared by kind.
        assert_eq!(arches(&headers("", "", ""), Some("i386 i586")), "i386 i586");
    }

    #[test]
    fn a_tag_without_architectures_has_none_but_noarch() {
        let of =
            |headers: &ArchHeaders| architectures(&[], headers, None, &list("x86_64")).join(" ");
        assert_eq!(of(&headers("", "", "")), "");
        assert_eq!(of(&headers("x86_64", "", "")), "");
        assert_eq!(of(&headers("noarch", "", "")), "noarch");
    }

    #[test]
    fn an_override_replaces_or_removes() {
        assert_eq!(arches(&headers("", "", ""), Some("x86_64")), "x86_64");
        assert_eq!(arches(&headers("", "", ""), Some("x86_64 s390x x86_64")), "x86_64");
        assert_eq!(arches(&headers("", "", ""), Some("^i686")), "x86_64");
        assert_eq!(arches(&headers("", "", ""), Some("^i386")), "x86_64", "canonical");
        assert_eq!(arches(&headers("", "", ""), Some("^i386 x86_64")), "");
        assert_eq!(arches(&headers("", "x86_64", ""), Some("x86_64")), "x86_64");
        assert_eq!(arches(&headers("", "", ""), Some("  ")), "i686 x86_64");
    }

    #[test]
    fn what_a_person_sets_is_read_strictly() {
        let configured = list("i386 x86_64 armhfp");
        let read = |text: &str| read_override(text, &configured);
        assert_eq!(read(" x86_64,i686 , x86_64"), Ok(Some("x86_64 i686".to_owned())));
        assert_eq!(read("^x86_64, ^i386"), Ok(Some("^x86_64 i386".to_owned())));
        assert_eq!(read(" , "), Ok(None));
        assert_eq!(read("^"), Ok(None));
        assert!(read("x86_64 ^i386").is_err_and(|error| error.contains("before all")));
        assert!(read("^x86_64 i386").is_err());
        for stored in ["^x86_64 i386", "x86_64 i386", "^armhfp"] {
            assert_eq!(read(&override_as_typed(stored)), Ok(Some(stored.to_owned())), "{stored}");
        }
        assert!(read("x86_64 s390x").is_err_and(|error| error.starts_with("s390x is not one")));
    }

    #[test]
    fn no_override_is_sent_for_a_build_that_runs_anywhere() {
        assert_eq!(koji_arch_override(&list("i686 x86_64")).as_deref(), Some("i686 x86_64"));
        assert_eq!(koji_arch_override(&list("x86_64 noarch")), None);
    }

    fn host(capacity: f64, task_load: f64, ready: bool) -> Host {
        Host {
            id: 1,
            name: "builder".into(),
            user_id: 1,
            arches: None,
            capacity,
            task_load,
            ready,
            enabled: true,
            update_ts: None,
            description: None,
            comment: None,
        }
    }

    #[test]
    fn the_load_of_an_architecture_is_that_of_its_builders() {
        assert_eq!(builders_load(&[host(4.0, 1.0, true), host(4.0, 3.0, true)]), 0.5);
        assert_eq!(builders_load(&[host(4.0, 1.0, false)]), 1.0, "one that is not ready is full");
        assert_eq!(builders_load(&[host(2.0, 9.0, true), host(2.0, 0.0, true)]), 0.5, "capped");
        assert_eq!(builders_load(&[]), 1.0);
        assert_eq!(builders_load(&[host(0.0, 0.0, true)]), 1.0);
        assert_eq!(builders_load(&[host(0.0, 3.0, true), host(4.0, 1.0, true)]), 0.25);
        assert_eq!(builders_load(&[host(3.0, 0.0, false), host(1.0, 0.0, true)]), 0.75);
    }

    #[test]
    fn a_build_waits_for_its_busiest_architecture_and_noarch_for_the_idlest() {
        assert_eq!(load(&list("i686 x86_64"), [0.2, 0.7]), 0.7);
        assert_eq!(load(&list("noarch"), [0.2, 0.7]), 0.2);
        assert_eq!(load(&list("x86_64"), []), 1.0);
        assert_eq!(architectures_to_ask(&list("noarch"), &TAG), ["aarch64", "i386", "x86_64"]);
        assert_eq!(architectures_to_ask(&list("i686"), &TAG), ["i386"]);
    }
}
