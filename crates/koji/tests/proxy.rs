//! A hub behind a proxy that the environment names, as curl and Python's clients read it: `http_proxy` and `https_proxy`,
//! and `no_proxy` for hosts that are reached without. The hub of the other tests plays the proxy.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test says what it expects"
)]

mod support;

use std::process::Command;

use koji::{Client, ClientConfig, Error, calls};

use self::support::Hub;

/// The environment is of the whole process: runs the test of this name once more, in a process that has these variables.
fn run_with(test: &str, variables: &[(&str, &str)]) {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", test, "--nocapture"]).env("KOSCHEI_TEST_AGAIN", "yes");
    for variable in ["http_proxy", "https_proxy", "all_proxy", "no_proxy", "ALL_PROXY", "NO_PROXY"]
    {
        command.env_remove(variable);
    }
    assert!(command.envs(variables.iter().copied()).status().unwrap().success());
}

fn is_second_process() -> bool {
    std::env::var_os("KOSCHEI_TEST_AGAIN").is_some()
}

/// Asks a hub that no name server knows.
fn ask(session: koji::SessionOptions, login: koji::Login) -> Result<(), Error> {
    let server = "http://koji.invalid/kojihub";
    let config = ClientConfig { session, login, ..ClientConfig::anonymous(server) };
    let call = async { Client::new(config).call(calls::get_logged_in_user()).await };
    tokio::runtime::Runtime::new().unwrap().block_on(call).map(|_| ())
}

#[test]
fn a_hub_behind_a_proxy_is_asked_through_it() {
    let hub = Hub::start();
    if is_second_process() {
        return ask(hub.config().session, Hub::login()).unwrap();
    }
    let proxy = hub.url.strip_suffix("/kojihub").unwrap();
    run_with("a_hub_behind_a_proxy_is_asked_through_it", &[("http_proxy", proxy)]);
    let asked: Vec<_> =
        hub.state().seen.iter().map(|seen| (seen.call.method.clone(), seen.path.clone())).collect();
    let hub_of = |method: &str| (method.to_owned(), "http://koji.invalid/kojihub".to_owned());
    assert_eq!(asked, [hub_of("login"), hub_of("getLoggedInUser")]);
}

#[test]
fn a_hub_that_is_excepted_is_asked_without_the_proxy() {
    let hub = Hub::start();
    if is_second_process() {
        let session = koji::SessionOptions { max_retries: 0, ..hub.config().session };
        let error = ask(session, Hub::login()).unwrap_err();
        assert!(matches!(error, Error::Unreachable { .. }), "{error:?}");
        return;
    }
    let proxy = hub.url.strip_suffix("/kojihub").unwrap();
    let variables = [("http_proxy", proxy), ("no_proxy", "example.org,koji.invalid")];
    run_with("a_hub_that_is_excepted_is_asked_without_the_proxy", &variables);
    assert!(hub.state().seen.is_empty());
}
