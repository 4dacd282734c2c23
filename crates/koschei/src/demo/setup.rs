//! What the demo's Koschei is given at its first start: a configuration, collections, packages to track, groups.

use std::{ffi::OsString, fs, path::Path, time::Duration};

use koji::types::BuildTarget;
use koschei_db::{
    DatabaseConfig, Pool,
    administration::{self, Actor, NewCollection},
    news,
};
use serde_json::json;
use tokio::time::sleep;

use super::place::Place;
use crate::failure::Failure;

/// The releases of the simulated distribution that become collections: build target, name for people, place in the
/// order, and how much its packages count beside the other's.
const COLLECTIONS: [(&str, &str, i32, f64); 2] =
    [("buyan2", "Buyan 2", 200, 1.0), ("buyan1", "Buyan 1", 100, 0.5)];

/// Groups and how their members' names begin.
const GROUPS: [(&str, &[&str]); 4] = [
    ("python", &["python-", "python3"]),
    ("perl", &["perl-", "perl"]),
    ("xml", &["libxml2", "libxslt", "expat", "python-lxml", "perl-XML-"]),
    ("toolchain", &["gcc", "glibc", "binutils", "make", "kernel-headers"]),
];

/// How the demo lives.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pace {
    /// How much faster than usual.
    pub(super) speed: f64,
}

impl Pace {
    /// A time of the usual pace, in seconds, at this pace; never so short that it would only heat the machine.
    fn seconds(self, usual: f64) -> f64 {
        (usual / self.speed).max(0.3)
    }

    fn hours(self, usual_minutes: f64) -> f64 {
        usual_minutes / 60.0 / self.speed
    }
}

/// Writes the configuration of the demo's services.
pub(super) fn write_configuration(
    place: &Place,
    database: &DatabaseConfig,
    koji_port: u16,
    web_port: u16,
    pace: Pace,
) -> Result<(), Failure> {
    let koschei_db::Address::Parts { host, port, database, username, .. } = &database.address
    else {
        return Err(Failure::new("the private PostgreSQL has an address of an unknown kind"));
    };
    let koji = format!("http://127.0.0.1:{koji_port}");
    let service = |seconds: f64| json!({ "interval": pace.seconds(seconds) });
    let configuration = json!({
        "database_config": {
            "host": host,
            "port": port,
            "database": database,
            "username": username,
        },
        "koji_config": {
            "server": format!("{koji}/kojihub"),
            "topurl": format!("{koji}/kojifiles"),
            "weburl": format!("{koji}/koji"),
            "login_method": "login",
            "login_args": { "user": "koschei", "password": "koschei" },
            "session_opts": { "timeout": 30, "retry_interval": 1, "offline_retry_interval": 2 },
            "max_builds": 6,
            "build_arches": ["x86_64", "aarch64"],
            "load_threshold": 0.95,
        },
        // A changed direct dependency is enough a minute after the last build, one behind it after some weeks. Time
        // alone is never enough, so that what happens has a reason that can be seen.
        "priorities": { "t0": pace.hours(1.0), "t1": 10_000_000.0 },
        "services": {
            "polling": service(2.0),
            "repo_resolver": service(1.0),
            "build_resolver": service(1.0),
            "scheduler": service(1.0),
        },
        "directories": { "cachedir": place.cache() },
        "frontend": {
            "listen": format!("127.0.0.1:{web_port}"),
            "external_url": format!("http://127.0.0.1:{web_port}"),
            "secret_key": "the demo listens on loopback only",
        },
        "links": [{ "name": "Koji", "url": format!("{koji}/koji/packageinfo?packageID={{package.name}}") }],
    });
    let text = toml::to_string(&configuration)
        .map_err(|error| Failure::new(format_args!("the demo's configuration: {error}")))?;
    let path = place.configuration();
    fs::write(&path, format!("# Written by koschei demo at each start.\n{text}"))
        .map_err(|error| Failure::new(format_args!("cannot write {}: {error}", path.display())))
}

/// The arguments of the simulated Koji.
pub(super) fn koji_arguments(directory: &Path, port: u16, speed: f64, seed: u64) -> Vec<OsString> {
    let mut arguments = vec![OsString::from("--dir"), directory.into()];
    for (name, value) in [
        ("--listen", format!("127.0.0.1:{port}")),
        ("--speed", speed.to_string()),
        ("--seed", seed.to_string()),
    ] {
        arguments.push(name.into());
        arguments.push(value.into());
    }
    arguments
}

/// Asks the simulated Koji for the collections' targets, as soon as it answers, and creates the collections.
pub(super) async fn create_collections(pool: &Pool, koji: &koji::Client) -> Result<(), Failure> {
    for (target, display_name, order, priority_coefficient) in COLLECTIONS {
        let tags = target_when_ready(koji, target).await?;
        let new = NewCollection {
            name: target.to_owned(),
            display_name: display_name.to_owned(),
            target: target.to_owned(),
            dest_tag: tags.dest_tag_name,
            build_tag: tags.build_tag_name,
            secondary_mode: false,
            order,
            priority_coefficient,
            build_group: "build".to_owned(),
            poll_untracked: true,
            bugzilla_product: None,
            bugzilla_version: None,
        };
        let mut connection = pool.acquire().await.map_err(Failure::new)?;
        match administration::create_collection(&mut connection, &actor(), &new).await {
            // There already: an earlier start was interrupted later on.
            Ok(_) | Err(administration::Error::CollectionExists(_)) => {}
            Err(error) => return Err(Failure::new(error)),
        }
    }
    Ok(())
}

async fn target_when_ready(koji: &koji::Client, target: &str) -> Result<BuildTarget, Failure> {
    loop {
        match koji.call(koji::calls::get_build_target(target)).await {
            Ok(Some(found)) => return Ok(found),
            Ok(None) => {
                return Err(Failure::new(format_args!(
                    "the simulated Koji has no target {target}"
                )));
            }
            Err(error) if error.is_transient() => sleep(Duration::from_millis(100)).await,
            Err(error) => return Err(Failure::new(error)),
        }
    }
}

/// Tracks every package and makes groups, once polling has found the packages.
pub(super) async fn track_everything(pool: &Pool) -> Result<(), Failure> {
    // Some are tracked already when an earlier start was interrupted in here.
    let (packages, tracked) = loop {
        let untracked = news::untracked_packages(pool).await.map_err(Failure::new)?;
        let tracked = news::tracked_packages(pool).await.map_err(Failure::new)?;
        let expected = COLLECTIONS.map(|(_, display_name, ..)| display_name);
        let seen = |collection: &str| {
            untracked.iter().any(|(_, shown, _)| shown == collection)
                || tracked.iter().any(|package| package.collection == collection)
        };
        if expected.into_iter().all(seen) {
            break (untracked, tracked);
        }
        sleep(Duration::from_millis(100)).await;
    };
    let mut connection = pool.acquire().await.map_err(Failure::new)?;
    for (collection, ..) in COLLECTIONS {
        let names: Vec<String> = packages
            .iter()
            .filter(|(name, ..)| name == collection)
            .map(|(_, _, package)| package.clone())
            .collect();
        administration::track(&mut connection, &actor(), collection, &names)
            .await
            .map_err(Failure::new)?;
    }
    for (group, beginnings) in GROUPS {
        let begins = |name: &str| {
            beginnings.iter().any(|beginning| {
                if beginning.ends_with('-') {
                    name.starts_with(beginning)
                } else {
                    name == *beginning
                }
            })
        };
        let mut members: Vec<String> = packages
            .iter()
            .map(|(.., name)| name)
            .chain(tracked.iter().map(|package| &package.name))
            .filter(|name| begins(name))
            .cloned()
            .collect();
        members.sort();
        members.dedup();
        if members.is_empty() {
            continue;
        }
        match administration::add_group(&mut connection, &actor(), None, group, &members, &[]).await
        {
            Ok(()) | Err(administration::Error::GroupExists(_)) => {}
            Err(error) => return Err(Failure::new(error)),
        }
    }
    Ok(())
}

fn actor() -> Actor {
    Actor::administrator("demo")
}
