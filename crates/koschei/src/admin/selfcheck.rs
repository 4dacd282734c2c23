//! `selfcheck`: is everything there that the services need? One line for each thing that was looked at, and for whatever is
//! wrong a sentence that says what.
//!
//! Nothing is changed by it, so it may be run at any time, also before there is a schema. What cannot be looked at
//! because something else is wrong is left out.

use std::{path::Path, process::ExitCode, time::Duration};

use chrono::Utc;
use koji::{Client, calls, types::RepoState};
use koschei_core::{
    config::{Config, KojiConfig, LoginMethod, Plugin},
    sources::repo_url,
};
use koschei_db::{
    DatabaseConfig, PgConnection,
    entities::{self, Collection},
    locks, schema,
};
use tokio::time::timeout;

use super::configuration::{check_all, files};
use crate::{database, failure::Failure};

/// How long each thing that is asked may take.
const LIMIT: Duration = Duration::from_secs(30);

/// How far the clocks of two machines may be apart. Times of both are compared, in hours.
const CLOCKS: Duration = Duration::from_secs(60);

/// Less space than that does not hold the next repositories.
const SPACE: u64 = 1 << 30;

/// What is wrong, in a sentence.
type Outcome = Result<String, String>;

/// What was found so far.
#[derive(Default)]
struct Findings {
    good: usize,
    wrong: usize,
}

impl Findings {
    /// Says how it is with something.
    fn tell(&mut self, what: &str, outcome: Outcome) {
        match outcome {
            Ok(sentence) => {
                self.good += 1;
                println!("ok     {what}: {sentence}");
            }
            Err(sentence) => {
                self.wrong += 1;
                println!("WRONG  {what}: {sentence}");
            }
        }
    }
}

/// Looks at everything.
pub(super) fn run() -> Result<ExitCode, Failure> {
    let mut findings = Findings::default();
    if nix::unistd::geteuid().is_root() {
        println!(
            "note   looked at as root; as user koschei, as the services do, more may be refused"
        );
    }
    let checked = match check_all() {
        Ok(checked) => checked,
        Err(mistakes) => {
            for mistake in mistakes {
                findings.tell("configuration", Err(mistake));
            }
            return ending(&findings);
        }
    };
    for (whose, configuration) in &checked {
        let whose = if checked.len() > 1 { whose } else { "" };
        findings.tell(&format!("configuration{whose}"), Ok(files(configuration)));
    }
    // Those of the services and of koschei-admin are the same but for what is only for koschei-admin.
    let of = |wanted: &str| {
        let own = checked.iter().find(|(whose, _)| whose.trim_start() == wanted);
        own.or(checked.first()).map(|(_, configuration)| &configuration.loaded.config)
    };
    let (Some(backend), Some(frontend), Some(admin)) =
        (of("of the services"), of("of the web interface"), of("of koschei-admin"))
    else {
        return ending(&findings);
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::new(format_args!("cannot start: {error}")))?;
    runtime.block_on(async {
        let collections = databases(backend, frontend, admin, &mut findings).await;
        kojis(backend, &collections, &mut findings).await;
        bus(backend, &mut findings).await;
    });
    findings.tell("cache directory", cache(backend));
    ending(&findings)
}

fn ending(findings: &Findings) -> Result<ExitCode, Failure> {
    match findings.wrong {
        0 => {
            println!("Everything that was looked at is in order");
            Ok(ExitCode::SUCCESS)
        }
        1 => Err(Failure::new("one thing is wrong, see above")),
        wrong => Err(Failure::new(format_args!("{wrong} things are wrong, see above"))),
    }
}

/// The databases that the configurations name, which are mostly one; the collections in it.
async fn databases(
    backend: &Config,
    frontend: &Config,
    admin: &Config,
    findings: &mut Findings,
) -> Vec<Collection> {
    let mut seen: Vec<String> = Vec::new();
    let mut collections = Vec::new();
    for (whose, config) in
        [("", backend), (" of the web interface", frontend), (" of koschei-admin", admin)]
    {
        let address = database::configured(config, "koschei-selfcheck");
        let shown = address.to_string();
        if seen.contains(&shown) {
            continue;
        }
        let (outcome, found) = one_database(&address).await;
        findings.tell(&format!("database{whose}"), outcome);
        if seen.is_empty() {
            collections = found;
        }
        seen.push(shown);
    }
    collections
}

async fn one_database(address: &DatabaseConfig) -> (Outcome, Vec<Collection>) {
    let mut connection = match timeout(LIMIT, koschei_db::connect_one(address)).await {
        Ok(Ok(connection)) => connection,
        Ok(Err(error)) => return (Err(error.to_string()), Vec::new()),
        Err(_) => return (Err(format!("{address} does not answer")), Vec::new()),
    };
    let looked = timeout(LIMIT, look_into(address, &mut connection)).await;
    match looked {
        Ok(Ok((sentence, collections))) => (Ok(sentence), collections),
        Ok(Err(sentence)) => (Err(sentence), Vec::new()),
        Err(_) => (Err(format!("{address} does not answer")), Vec::new()),
    }
}

async fn look_into(
    address: &DatabaseConfig,
    connection: &mut PgConnection,
) -> Result<(String, Vec<Collection>), String> {
    let said = |error: koschei_db::Error| error.to_string();
    let (version, clock) = koschei_db::server(connection).await.map_err(said)?;
    let apart = (clock - Utc::now()).abs();
    if apart.to_std().unwrap_or(CLOCKS) >= CLOCKS {
        return Err(format!(
            "{address} has a clock that is {} seconds apart from that of this machine: let both keep the right time",
            apart.num_seconds()
        ));
    }
    schema::check_current(connection).await.map_err(said)?;
    let running = locks::running_services(connection).await.map_err(said)?;
    let running = if running.is_empty() {
        "no services run".to_owned()
    } else {
        format!("running: {}", running.join(", "))
    };
    let collections = entities::collections(connection).await.map_err(said)?;
    Ok((
        format!("{address}: PostgreSQL {version}, the schema is up to date, {running}"),
        collections,
    ))
}

/// The Koji of scratch builds, and the secondary one if there is one.
async fn kojis(config: &Config, collections: &[Collection], findings: &mut Findings) {
    one_koji("Koji", "koji_config", &config.koji_config, true, findings).await;
    if let Some(secondary) = &config.secondary_koji_config {
        let koji = &secondary.koji;
        one_koji("secondary Koji", "secondary_koji_config", koji, false, findings).await;
    }
    for collection in collections {
        let koji = match (&config.secondary_koji_config, collection.secondary_mode) {
            (Some(secondary), true) => &secondary.koji,
            (None, true) => {
                findings.tell(
                    &format!("collection {}", collection.name),
                    Err("it is in secondary mode, but there is no secondary_koji_config".to_owned()),
                );
                continue;
            }
            (_, false) => &config.koji_config,
        };
        let outcome = one_collection(koji, &config.dependency.repo_arch, collection).await;
        findings.tell(&format!("collection {}", collection.name), outcome);
    }
}

/// A client that gives up soon: somebody waits for it.
fn client(koji: &KojiConfig, logs_in: bool) -> Result<Client, String> {
    let made = if logs_in { koji.client_config() } else { koji.anonymous_client_config() };
    let mut patience = made.map_err(|error| error.to_string())?;
    patience.session.max_retries = 0;
    patience.session.offline_retry = false;
    patience.session.timeout = LIMIT;
    Ok(Client::new(patience))
}

async fn asked<T>(client: &Client, call: koji::Call<T>) -> Result<T, String> {
    match timeout(LIMIT, client.call(call)).await {
        Ok(answer) => answer.map_err(|error| error.to_string()),
        Err(_) => Err("it does not answer".to_owned()),
    }
}

async fn one_koji(
    what: &str,
    section: &str,
    koji: &KojiConfig,
    logs_in: bool,
    findings: &mut Findings,
) {
    let outcome = async {
        let client = client(koji, logs_in)?;
        if !logs_in || koji.login_method == LoginMethod::Logout {
            asked(&client, calls::get_channel("default")).await?;
            let login = if logs_in { ", without login: no builds can be submitted" } else { "" };
            return Ok(format!("{} answers{login}", koji.server));
        }
        let user = asked(&client, calls::get_logged_in_user()).await?;
        client.log_out().await;
        match user {
            Some(user) => Ok(format!("{} answers, logged in as {}", koji.server, user.name)),
            None => Err(format!("{} does not know who we are after the login", koji.server)),
        }
    };
    let outcome = outcome.await.map_err(|reason: String| {
        format!("{reason} (see {section}.server, {section}.login_method and {section}.login_args)")
    });
    findings.tell(what, outcome);
}

/// Whether Koji still has a collection's target as it is known here, and its newest repo can be fetched.
async fn one_collection(koji: &KojiConfig, arch: &str, collection: &Collection) -> Outcome {
    let client = client(koji, false)?;
    let Some(target) = asked(&client, calls::get_build_target(&collection.target)).await? else {
        return Err(format!("{} has no build target {}", koji.server, collection.target));
    };
    if target.build_tag_name != collection.build_tag {
        return Err(format!(
            "the build tag of Koji's target {} is {}, but the collection has {}",
            collection.target, target.build_tag_name, collection.build_tag
        ));
    }
    let tag = &collection.build_tag;
    let Some(repo) = asked(&client, calls::get_repo(tag, RepoState::Ready)).await? else {
        return Err(format!("{} has no repo of {tag}", koji.server));
    };
    let address = format!("{}/repodata/repomd.xml", repo_url(&koji.topurl, tag, repo.id, arch));
    let fetched =
        tokio::task::spawn_blocking(move || super::refreshing::fetch(&address, LIMIT)).await;
    match fetched {
        Ok(Ok(_)) => Ok(format!("built from {tag}, whose newest repo {} can be fetched", repo.id)),
        Ok(Err(failure)) => Err(format!("the newest repo of {tag}: {failure}")),
        Err(error) => Err(error.to_string()),
    }
}

/// The broker of messages, if anything is sent there or received from there.
async fn bus(config: &Config, findings: &mut Findings) {
    if !config.has_plugin(Plugin::Fedmsg) {
        findings.tell("message bus", Ok("not used: fedmsg is not among the plugins".to_owned()));
        return;
    }
    let outcome = async {
        let bus = fedora_messaging::Config::load().map_err(|error| error.to_string())?;
        let connecting = fedora_messaging::Publisher::connect(&bus, "koschei-selfcheck");
        match timeout(LIMIT, connecting).await {
            Ok(Ok(_)) => {}
            Ok(Err(error)) => return Err(error.to_string()),
            Err(_) => return Err(format!("{} does not answer", bus.amqp_url)),
        }
        let sends = if database::publishes(config) {
            "messages are sent"
        } else {
            "no messages are sent: fedmsg-publisher.enabled is false"
        };
        Ok(format!("{} lets us in; {sends}", bus.amqp_url))
    };
    findings.tell("message bus", outcome.await);
}

/// Whether repositories can be kept.
fn cache(config: &Config) -> Outcome {
    let directory = Path::new(&config.directories.cachedir).join("repodata");
    let shown = directory.display();
    if !directory.is_dir() {
        return Err(format!(
            "{shown} is no directory: systemd-tmpfiles --create makes the usual one, and directories.cachedir says \
             where it is"
        ));
    }
    tempfile::Builder::new()
        .prefix(".selfcheck-")
        .tempfile_in(&directory)
        .map_err(|error| format!("{shown} cannot be written to: {error}"))?;
    let space = nix::sys::statvfs::statvfs(&directory)
        .map_err(|error| format!("{shown}: the space that is left cannot be found out: {error}"))?;
    let free = space.blocks_available().saturating_mul(space.fragment_size());
    let gigabytes = free as f64 / 1e9;
    if free < SPACE {
        return Err(format!("{shown} has only {gigabytes:.1} GB left"));
    }
    Ok(format!("{shown}, {gigabytes:.0} GB are free"))
}
