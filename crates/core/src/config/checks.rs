//! What types cannot say: rules between values; and all mistakes of a configuration at once.

use super::{
    ClientProblem, Config, ConfigError, Origin, tree,
    tree::{Node, Value},
    typed,
};

/// Rules between values.
pub(super) fn check(config: &Config, root: &Node) -> Result<(), ConfigError> {
    let refuse = |key: &str, problem: &str| {
        Err(ConfigError::Value {
            origin: origin(root, key),
            key: key.to_owned(),
            problem: problem.to_owned(),
        })
    };
    let priorities = &config.priorities;
    if !(priorities.t0 > 0.0 && priorities.t0.is_finite()) {
        return refuse("priorities.t0", "must be a number of hours above 0");
    }
    if !(priorities.t1 > priorities.t0 && priorities.t1.is_finite()) {
        return refuse("priorities.t1", "must be more hours than priorities.t0");
    }
    if config.koji_config.multicall_chunk_size == 0 {
        return refuse("koji_config.multicall_chunk_size", "must be at least 1");
    }
    if config.dependency.persist_chunk_size == 0 {
        return refuse("dependency.persist_chunk_size", "must be at least 1");
    }
    // A prefix or an address that only looks like one would give pages whose links lead nowhere.
    let frontend = &config.frontend;
    if frontend
        .path_prefix
        .as_deref()
        .is_some_and(|path| !path.is_empty() && !path.starts_with('/'))
    {
        return refuse("frontend.path_prefix", "must begin with a slash");
    }
    let web = |address: &str| address.starts_with("http://") || address.starts_with("https://");
    if frontend.external_url.as_deref().is_some_and(|address| !web(address)) {
        return refuse("frontend.external_url", "must begin with http:// or https://");
    }
    if !is_listening_address(&frontend.listen) {
        return refuse(
            "frontend.listen",
            "must be an address and a port, such as 127.0.0.1:8080 or [::1]:8080",
        );
    }
    if let Err(ClientProblem { key, problem }) = config.koji_config.client_config() {
        return refuse(&format!("koji_config.{key}"), &problem);
    }
    if let Some(secondary) = &config.secondary_koji_config
        && let Err(ClientProblem { key, problem }) = secondary.koji.anonymous_client_config()
    {
        return refuse(&format!("secondary_koji_config.{key}"), &problem);
    }
    for (name, service) in config.services.all() {
        if !(service.interval >= 0.0 && service.interval.is_finite()) {
            return refuse(
                &format!("services.{name}.interval"),
                "must be a number of seconds, 0 or more",
            );
        }
    }
    Ok(())
}

/// `HOST:PORT`, where the host may be a name, an address, or one in brackets.
fn is_listening_address(text: &str) -> bool {
    text.rsplit_once(':').is_some_and(|(host, port)| {
        let is_plain = !host.is_empty() && !host.contains([':', '[', ']', ' ', '/']);
        let is_in_brackets = host
            .strip_prefix('[')
            .and_then(|rest| rest.strip_suffix(']'))
            .is_some_and(|host| host.parse::<std::net::Ipv6Addr>().is_ok());
        (is_plain || is_in_brackets) && port.parse::<u16>().is_ok()
    })
}

/// Where the setting, or else the nearest table around it, was set by somebody.
pub(super) fn origin(root: &Node, key: &str) -> Origin {
    let mut place = Some(root);
    let mut found = Origin::built_in();
    for part in key.split('.') {
        place = place.and_then(|node| node.get(part));
        match place {
            Some(node) if node.origin != Origin::built_in() => found = node.origin.clone(),
            _ => {}
        }
    }
    found
}

/// No configuration has more mistakes than a person wants to read at once.
const MOST: usize = 100;

/// What is wrong with a tree: each mistake is noted, and what it is about is made what it is when nobody sets it. And the
/// configuration that is left.
pub(super) fn all_mistakes(root: &mut Node) -> (Vec<ConfigError>, Option<Config>) {
    let defaults = tree::defaults();
    let mut found: Vec<ConfigError> = Vec::new();
    let mut left_out: Vec<String> = Vec::new();
    for _ in 0..MOST {
        let mistake = match typed(root.clone()) {
            Ok(config) => return (found, Some(config)),
            Err(mistake) => mistake,
        };
        let Some(mut key) = mistake.key().map(str::to_owned) else {
            found.push(mistake);
            break;
        };
        // A mistake of the default that took the place of one is no mistake of the operator's.
        if !left_out.contains(&key) {
            left_out.push(key.clone());
            found.push(mistake);
        }
        // What does not change by itself changes with what is around it.
        while !leave_out(root, Some(&defaults), &key) {
            match key.rsplit_once('.') {
                Some((around, _)) => key = around.to_owned(),
                None => return (found, None),
            }
        }
    }
    (found, None)
}

/// Makes a setting what it is when nobody sets it. Whether that made a difference.
fn leave_out(node: &mut Node, default: Option<&Node>, key: &str) -> bool {
    let (first, rest) = match key.split_once('.') {
        Some((first, rest)) => (first, Some(rest)),
        None => (key, None),
    };
    let default = default.and_then(|default| default.get(first));
    match (&mut node.value, rest) {
        (Value::Table(table), Some(rest)) => {
            table.get_mut(first).is_some_and(|inner| leave_out(inner, default, rest))
        }
        (Value::Table(table), None) => match default {
            Some(default) => {
                let replaced = table.insert(first.to_owned(), default.clone());
                replaced.is_none_or(|replaced| replaced != *default)
            }
            None => table.remove(first).is_some(),
        },
        (Value::List(items), _) => {
            let place = first.parse::<usize>().ok().and_then(|number| number.checked_sub(1));
            let Some(item) = place.and_then(|place| items.get_mut(place)) else { return false };
            // An entry would lack what is left out of it, so it goes as a whole.
            std::mem::replace(&mut item.value, Value::LeftOut) != Value::LeftOut
        }
        _ => false,
    }
}
