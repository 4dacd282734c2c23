//! The rules of sessions, call numbers and repetition, one test each, against a hub that misbehaves as told and counts
//! what it executes. Whatever happens on the way, no build is lost unnoticed and none is made twice.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test says what it expects"
)]

mod support;

use std::time::{Duration, Instant};

use koji::types::BuildRequest;
use koji::xmlrpc::Struct;
use koji::{Client, ClientConfig, Error, FaultKind, Login, Secret, SessionOptions, calls};

use self::support::{Hub, Trouble};

async fn build(client: &Client) -> Result<i64, Error> {
    let request = BuildRequest {
        source: "../packages/x/1/1/src/x-1-1.src.rpm".to_owned(),
        target: Some("f40".to_owned()),
        options: Struct::new().with("scratch", true),
    };
    client.call(calls::build(&request, Some(30))).await
}

/// A call of the session that changes nothing when it is repeated.
async fn who(client: &Client) -> Result<Option<koji::types::User>, Error> {
    client.call(calls::get_logged_in_user()).await
}

async fn channel(client: &Client) -> Result<(), Error> {
    client.call(calls::get_channel("default")).await.map(|_| ())
}

// Sessions

#[tokio::test]
async fn a_client_logs_in_when_it_has_to_and_only_once() {
    let hub = Hub::start();
    let client = hub.logged_in();
    channel(&client).await.unwrap();
    assert_eq!(hub.seen("login").len(), 0, "reading needs no login");

    assert_eq!(build(&client).await.unwrap(), 101);
    assert_eq!(build(&client).await.unwrap(), 102);
    assert_eq!(who(&client).await.unwrap().unwrap().name, "koschei");

    let logins = hub.seen("login");
    assert_eq!(logins.len(), 1);
    assert_eq!(logins[0].call.params, ["koschei".into(), "geheim".into()]);
    assert!(logins[0].header("Koji-Session-Id").is_none());
}

#[tokio::test]
async fn calls_of_a_session_are_numbered_from_zero_upwards() {
    let hub = Hub::start();
    let client = hub.logged_in();
    build(&client).await.unwrap();
    who(&client).await.unwrap();
    build(&client).await.unwrap();

    let state = hub.state();
    let numbers: Vec<_> = state.seen.iter().filter_map(|seen| seen.number()).collect();
    assert_eq!(numbers, [0, 1, 2]);
    let last = state.seen.last().unwrap();
    assert_eq!(last.header("Koji-Session-Id"), Some("1"));
    assert_eq!(last.header("Koji-Session-Key"), Some("key-1"));
    // The name under which hubs before 1.35 look for the number.
    assert_eq!(last.header("Koji-Callnum"), Some("2"));
    assert_eq!(last.header("Content-Type"), Some("text/xml"));
    assert_eq!(last.path, "/kojihub");
}

#[tokio::test]
async fn hubs_without_header_sessions_get_the_session_in_the_query() {
    let hub = Hub::start();
    hub.state().old_logins = true;
    let client = hub.logged_in();
    build(&client).await.unwrap();
    build(&client).await.unwrap();

    let paths: Vec<_> = hub.seen("build").into_iter().map(|seen| seen.path).collect();
    assert_eq!(
        paths,
        [
            "/kojihub?session-id=1&session-key=key-1&callnum=0",
            "/kojihub?session-id=1&session-key=key-1&callnum=1",
        ]
    );
    assert!(hub.seen("build")[0].header("Koji-Session-Id").is_none());
}

#[tokio::test]
async fn reads_carry_no_session_even_when_there_is_one() {
    let hub = Hub::start();
    let client = hub.logged_in();
    build(&client).await.unwrap();
    channel(&client).await.unwrap();
    let read = &hub.seen("getChannel")[0];
    assert!(read.header("Koji-Session-Id").is_none());
    assert!(read.number().is_none());
}

#[tokio::test]
async fn an_anonymous_client_never_logs_in() {
    let hub = Hub::start();
    let client = hub.anonymous();
    assert_eq!(who(&client).await.unwrap(), None);
    let error = build(&client).await.unwrap_err();
    assert_eq!(error.fault_kind(), Some(FaultKind::ActionNotAllowed));
    assert_eq!(hub.seen("login").len(), 0);
}

#[tokio::test]
async fn logging_out_ends_the_session_and_the_next_call_makes_another() {
    let hub = Hub::start();
    let client = hub.logged_in();
    build(&client).await.unwrap();
    client.log_out().await;
    assert_eq!(hub.seen("logout")[0].number(), Some(1));
    client.log_out().await;
    assert_eq!(hub.seen("logout").len(), 1, "there was no session any more");

    build(&client).await.unwrap();
    assert_eq!(hub.seen("login").len(), 2);
    assert_eq!(hub.seen("build")[1].number(), Some(0), "a session made anew counts from 0");
}

#[tokio::test]
async fn calls_of_a_session_wait_for_each_other() {
    let hub = Hub::start();
    hub.troubles(std::iter::repeat_n(Trouble::Slow(Duration::from_millis(50)), 5));
    let client = hub.logged_in();
    let _ = tokio::join!(build(&client), build(&client), who(&client), build(&client));
    assert_eq!(hub.state().most_under_way, 1);
    assert_eq!(hub.executed("build"), 3);
}

#[tokio::test]
async fn reads_go_in_parallel_but_no_more_than_configured() {
    let hub = Hub::start();
    hub.troubles(std::iter::repeat_n(Trouble::Slow(Duration::from_millis(300)), 6));
    let client = Client::new(ClientConfig { parallel_requests: 2, ..hub.config() });
    let reads = (0..6).map(|_| {
        let client = client.clone();
        tokio::spawn(async move { channel(&client).await })
    });
    for read in reads.collect::<Vec<_>>() {
        read.await.unwrap().unwrap();
    }
    assert_eq!(hub.state().most_under_way, 2);
}

// Sessions that are lost

#[tokio::test]
async fn a_session_that_the_hub_forgot_is_made_anew_and_the_call_repeated() {
    let hub = Hub::start();
    let client = hub.logged_in();
    build(&client).await.unwrap();
    hub.troubles([Trouble::SessionForgotten]);
    assert_eq!(build(&client).await.unwrap(), 102);

    assert_eq!(hub.executed("build"), 2);
    let seen = hub.state().seen.iter().map(|seen| seen.call.method.clone()).collect::<Vec<_>>();
    assert_eq!(seen, ["login", "build", "build", "login", "build"]);
    // A login that replaces a lost session must not name that session.
    assert!(hub.seen("login")[1].header("Koji-Session-Id").is_none());
    assert_eq!(hub.seen("build")[2].number(), Some(0));
}

#[tokio::test]
async fn faults_1007_and_1008_too_make_the_client_log_in_anew_and_repeat() {
    for (code, text) in [(1007, "session \"136\" has expired"), (1008, "2 > 0 (session 136)")] {
        let hub = Hub::start();
        let client = hub.logged_in();
        build(&client).await.unwrap();
        hub.troubles([Trouble::Fault(code, text)]);
        build(&client).await.unwrap();
        assert_eq!(hub.executed("build"), 2, "{code}");
        assert_eq!(hub.seen("login").len(), 2, "{code}");
    }
}

#[tokio::test]
async fn a_hub_that_refuses_every_new_session_is_not_asked_for_ever() {
    let hub = Hub::start();
    let client = hub.logged_in();
    build(&client).await.unwrap();
    let refused = [Trouble::Fault(1002, "Invalid session"), Trouble::None];
    hub.troubles(std::iter::repeat_n(refused, 20).flatten());
    let error = build(&client).await.unwrap_err();
    assert_eq!(error.fault_kind(), Some(FaultKind::AuthError));
    assert!(error.is_transient());
    assert_eq!(hub.seen("login").len(), 4);
}

#[tokio::test]
async fn another_exclusive_session_is_reported_and_may_go_away() {
    let hub = Hub::start();
    hub.troubles([Trouble::None, Trouble::Fault(1006, "User locked by another session")]);
    let error = who(&hub.logged_in()).await.unwrap_err();
    assert_eq!(error.fault_kind(), Some(FaultKind::AuthLockError));
    assert!(error.is_transient());
}

#[tokio::test]
async fn a_refused_login_is_a_matter_for_a_person() {
    let hub = Hub::start();
    hub.troubles([Trouble::Fault(1002, "invalid username or password")]);
    let error = build(&hub.logged_in()).await.unwrap_err();
    assert!(matches!(error, Error::Setup { .. }), "{error:?}");
    assert!(!error.is_transient());
    assert_eq!(
        error.to_string(),
        format!("{}: build: login refused: invalid username or password", hub.url)
    );
    assert_eq!(hub.state().seen.len(), 1, "it is not tried again");
}

// A call that took effect

#[tokio::test]
async fn a_lost_answer_to_a_build_is_noticed_and_the_build_not_made_again() {
    let lost = [
        Trouble::LostAfter,
        Trouble::CutAfter,
        Trouble::Garbage,
        Trouble::Status(500, true),
        Trouble::Status(502, true),
    ];
    for trouble in lost {
        let hub = Hub::start();
        let client = hub.logged_in();
        who(&client).await.unwrap();
        hub.troubles([trouble.clone()]);
        let error = build(&client).await.unwrap_err();
        assert!(matches!(error, Error::TookEffect { .. }), "{trouble:?}: {error:?}");
        assert!(error.may_have_taken_effect() && !error.is_transient());
        assert_eq!(hub.executed("build"), 1, "{trouble:?}");
        // The repetition carried the number of the first attempt: that is how the hub knew.
        let numbers: Vec<_> = hub.seen("build").iter().map(|seen| seen.number()).collect();
        assert_eq!(numbers, [Some(1), Some(1)], "{trouble:?}");
        // The session is good for other calls.
        build(&client).await.unwrap();
        assert_eq!(hub.seen("login").len(), 1);
    }
}

#[tokio::test]
async fn a_build_that_did_not_reach_the_hub_is_sent_again() {
    for trouble in [Trouble::LostBefore, Trouble::Status(503, false), Trouble::Status(403, false)] {
        let hub = Hub::start();
        hub.troubles([Trouble::None, trouble.clone(), trouble]);
        assert_eq!(build(&hub.logged_in()).await.unwrap(), 101);
        assert_eq!(hub.executed("build"), 1);
        assert_eq!(hub.seen("build").len(), 3);
    }
}

#[tokio::test]
async fn a_build_is_not_repeated_in_a_new_session_when_the_old_one_may_have_made_it() {
    let hub = Hub::start();
    let client = hub.logged_in();
    who(&client).await.unwrap();
    hub.troubles([Trouble::LostAfterAndSessionForgotten]);
    let error = build(&client).await.unwrap_err();
    assert!(matches!(error, Error::Unconfirmed { .. }), "{error:?}");
    assert!(error.may_have_taken_effect() && !error.is_transient());
    assert_eq!(hub.executed("build"), 1);

    // The same without the build being made: the client cannot know, so it does not ask again either.
    who(&client).await.unwrap();
    hub.troubles([Trouble::LostBefore, Trouble::SessionForgotten]);
    let error = build(&client).await.unwrap_err();
    assert!(error.may_have_taken_effect());
    assert_eq!(hub.executed("build"), 1);
}

#[tokio::test]
async fn a_call_that_may_be_repeated_is_repeated_in_a_new_session() {
    let hub = Hub::start();
    let client = hub.logged_in();
    who(&client).await.unwrap();
    hub.troubles([Trouble::LostAfterAndSessionForgotten]);
    client.call(calls::cancel_task(5)).await.unwrap();
    assert_eq!(hub.executed("cancelTask"), 2, "cancelling twice is cancelling");
}

#[tokio::test]
async fn after_the_last_retry_a_build_is_unconfirmed_and_a_read_unreachable() {
    let hub = Hub::start();
    let client = hub.logged_in();
    who(&client).await.unwrap();
    hub.troubles(std::iter::repeat_n(Trouble::LostBefore, 6));
    let error = build(&client).await.unwrap_err();
    assert!(matches!(error, Error::Unconfirmed { .. }), "{error:?}");
    assert_eq!(hub.seen("build").len(), 6, "once, and five times again");

    hub.troubles(std::iter::repeat_n(Trouble::Status(503, false), 6));
    let error = channel(&client).await.unwrap_err();
    assert!(matches!(error, Error::Unreachable { tries: 6, .. }), "{error:?}");
    assert!(error.is_transient());
    let text = format!("{}: getChannel: HTTP status 503 (tried 6 times)", hub.url);
    assert_eq!(error.to_string(), text);
}

#[tokio::test]
async fn a_hub_that_breaks_down_after_a_lost_answer_leaves_a_build_unconfirmed() {
    for (code, text) in [(1014, "database outage"), (1, "<class 'psycopg2.OperationalError'>")] {
        let hub = Hub::start();
        let mut config = hub.logged_in().config().clone();
        config.session.offline_retry = false;
        let client = Client::new(config);
        who(&client).await.unwrap();
        hub.troubles([Trouble::LostAfter, Trouble::Fault(code, text)]);
        let error = build(&client).await.unwrap_err();
        assert!(error.may_have_taken_effect(), "{error:?}");
        assert_eq!(hub.executed("build"), 1);
    }
}

// Outages

#[tokio::test]
async fn an_offline_hub_is_waited_for_without_limit() {
    let hub = Hub::start();
    let client = hub.logged_in();
    // At the login, and then at the call, far more often than anything else is repeated.
    hub.troubles(std::iter::repeat_n(Trouble::Fault(1014, "planned outage"), 20));
    hub.troubles([Trouble::None]);
    hub.troubles(std::iter::repeat_n(Trouble::Fault(1014, "database outage"), 20));
    assert_eq!(build(&client).await.unwrap(), 101);
    assert_eq!(hub.seen("login").len(), 21);
    assert!(hub.seen("build").iter().all(|seen| seen.number() == Some(0)));
    assert_eq!(hub.executed("build"), 1);
}

#[tokio::test]
async fn an_offline_hub_gives_failed_attempts_a_new_count() {
    let hub = Hub::start();
    let round =
        [Trouble::Status(503, false), Trouble::Status(503, false), Trouble::Fault(1014, "")];
    hub.troubles(std::iter::repeat_n(round, 10).flatten());
    channel(&hub.anonymous()).await.unwrap();
    assert_eq!(hub.seen("getChannel").len(), 31);
}

#[tokio::test]
async fn without_offline_retry_an_offline_hub_is_an_error() {
    let hub = Hub::start();
    hub.troubles([Trouble::Fault(1014, "rig outage test")]);
    let mut config = hub.config();
    config.session.offline_retry = false;
    let error = channel(&Client::new(config)).await.unwrap_err();
    assert_eq!(error.fault_kind(), Some(FaultKind::ServerOffline));
    assert!(error.is_transient());
}

#[tokio::test]
async fn without_anon_retry_reads_are_tried_once_and_logged_in_calls_again() {
    let hub = Hub::start();
    let mut config = ClientConfig { login: Hub::login(), ..hub.config() };
    config.session.anon_retry = false;
    let client = Client::new(config);
    hub.troubles([Trouble::LostBefore]);
    let error = channel(&client).await.unwrap_err();
    assert!(matches!(error, Error::Unreachable { tries: 1, .. }), "{error:?}");
    hub.troubles([Trouble::LostBefore, Trouble::LostBefore]);
    build(&client).await.unwrap();
}

#[tokio::test]
async fn other_faults_are_never_repeated() {
    for code in [1, 1000, 1004, 1005, 1013, 1019, 4711] {
        let hub = Hub::start();
        hub.troubles([Trouble::None, Trouble::Fault(code, "no")]);
        let error = build(&hub.logged_in()).await.unwrap_err();
        assert_eq!(error.fault_kind(), Some(FaultKind::of(code)));
        assert_eq!(hub.seen("build").len(), 1, "{code}");
    }
}

#[tokio::test]
async fn the_first_repetition_comes_at_once_and_the_others_after_the_interval() {
    let hub = Hub::start();
    let mut config = hub.config();
    config.session.retry_interval = Duration::from_secs(30);
    let client = Client::new(config.clone());
    hub.troubles([Trouble::Status(503, false)]);
    let begin = Instant::now();
    channel(&client).await.unwrap();
    assert!(begin.elapsed() < Duration::from_secs(10));

    config.session.retry_interval = Duration::from_millis(200);
    let client = Client::new(config);
    hub.troubles([Trouble::Status(503, false), Trouble::Status(503, false)]);
    let begin = Instant::now();
    channel(&client).await.unwrap();
    assert!(begin.elapsed() >= Duration::from_millis(200));
}

#[tokio::test]
async fn a_kept_connection_that_the_hub_closed_is_no_failed_attempt() {
    let hub = Hub::start();
    let mut config = hub.config();
    config.session.max_retries = 0;
    let client = Client::new(config);
    for _ in 0..5 {
        hub.troubles([Trouble::ClosedAfterAnswer]);
        channel(&client).await.unwrap();
    }
    channel(&client).await.unwrap();
    channel(&client).await.unwrap();
    let connections: Vec<_> = hub.seen("getChannel").iter().map(|seen| seen.connection).collect();
    assert_eq!(connections, [0, 1, 2, 3, 4, 5, 5], "and one that stays is used again");
}

#[tokio::test]
async fn a_kept_connection_that_breaks_in_the_middle_of_an_answer_is_repeated_once() {
    let hub = Hub::start();
    let mut config = ClientConfig { login: Hub::login(), ..hub.config() };
    config.session.max_retries = 0;
    let client = Client::new(config);
    who(&client).await.unwrap();
    who(&client).await.unwrap();
    hub.troubles([Trouble::CutAfter]);
    who(&client).await.unwrap();
    let seen = hub.seen("getLoggedInUser");
    assert_eq!(seen[2].number(), seen[3].number());
}

#[tokio::test]
async fn a_hub_that_is_silent_for_the_timeout_is_given_up() {
    let hub = Hub::start();
    let mut config = hub.config();
    config.session.timeout = Duration::from_secs(1);
    config.session.max_retries = 0;
    hub.troubles([Trouble::Silence(Duration::from_secs(60))]);
    let begin = Instant::now();
    let error = channel(&Client::new(config)).await.unwrap_err();
    assert!(matches!(error, Error::Unreachable { .. }), "{error:?}");
    assert!(begin.elapsed() < Duration::from_secs(20));
}

#[tokio::test]
async fn nobody_listening_is_unreachable_and_a_build_surely_not_made() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/kojihub", listener.local_addr().unwrap());
    drop(listener);
    let session = SessionOptions {
        max_retries: 2,
        retry_interval: Duration::from_millis(10),
        ..SessionOptions::default()
    };
    let login = Login::Password { user: "koschei".to_owned(), password: Secret::new("geheim") };
    let config = ClientConfig { session, login, ..ClientConfig::anonymous(url) };
    let error = build(&Client::new(config)).await.unwrap_err();
    assert!(matches!(error, Error::Unreachable { tries: 3, .. }), "{error:?}");
}

#[tokio::test]
async fn a_hub_that_never_answers_costs_one_timeout_when_patience_has_an_end() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/kojihub", listener.local_addr().unwrap());
    let session = SessionOptions {
        timeout: Duration::from_secs(1),
        give_up_after: Some(Duration::from_secs(1)),
        ..SessionOptions::default()
    };
    let client = Client::new(ClientConfig { session, ..ClientConfig::anonymous(url) });
    let error = client.call(calls::get_tag("f40")).await.unwrap_err();
    assert!(matches!(error, Error::Unreachable { tries: 1, .. }), "{error:?}");
    assert!(error.is_transient());
    drop(listener);
}

#[tokio::test]
async fn a_hub_that_falls_silent_is_given_up_long_before_the_timeout_and_one_that_is_slow_is_not() {
    let hub = Hub::start();
    let mut config = ClientConfig { login: Hub::login(), ..hub.config() };
    config.session.timeout = Duration::from_secs(600);
    config.session.sign_of_life_after = Some(Duration::from_secs(2));
    let client = Client::new(config);
    who(&client).await.unwrap();
    // It thinks for longer than a sign of life may take, and answers others meanwhile.
    hub.troubles([Trouble::Slow(Duration::from_secs(7))]);
    build(&client).await.unwrap();
    assert!(hub.seen("getLoggedInUser").len() > 1, "it was asked whether it is there");

    let silence = || Trouble::Silence(Duration::from_secs(600));
    hub.troubles([silence(), silence()]);
    let begin = Instant::now();
    let error = build(&client).await.unwrap_err();
    // The build may have been made, and nobody asks for it again without looking.
    assert!(matches!(error, Error::Unconfirmed { .. }), "{error:?}");
    hub.troubles([silence(), silence()]);
    let error = channel(&client).await.unwrap_err();
    assert!(matches!(error, Error::Unreachable { tries: 1, .. }), "{error:?}");
    assert!(begin.elapsed() < Duration::from_secs(60), "{:?}", begin.elapsed());
    assert_eq!(hub.executed("build"), 1);
    channel(&client).await.unwrap();
}

// Stopping

#[tokio::test]
async fn a_dropped_call_is_cut_off_and_the_client_stays_usable() {
    let hub = Hub::start();
    let client = hub.logged_in();
    build(&client).await.unwrap();
    hub.troubles([Trouble::Silence(Duration::from_secs(60))]);
    let stopped = tokio::spawn({
        let client = client.clone();
        async move { build(&client).await }
    });
    // The hub has it, and says nothing.
    until(|| hub.seen("build").len() == 2).await;
    stopped.abort();
    assert!(stopped.await.unwrap_err().is_cancelled());

    // The next call has a number of its own: the hub may still execute the one that was cut off.
    build(&client).await.unwrap();
    let numbers: Vec<_> = hub.seen("build").iter().map(|seen| seen.number()).collect();
    assert_eq!(numbers, [Some(0), Some(1), Some(2)]);

    until(|| hub.state().gone > 0).await;
}

/// Waits until something holds.
async fn until(holds: impl Fn() -> bool) {
    let begin = Instant::now();
    while !holds() {
        assert!(begin.elapsed() < Duration::from_secs(60), "it does not come to that");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test]
async fn waiting_for_an_offline_hub_can_be_stopped() {
    let hub = Hub::start();
    let mut config = hub.config();
    config.session.offline_retry_interval = Duration::from_secs(600);
    hub.troubles([Trouble::Fault(1014, "outage")]);
    let client = Client::new(config);
    let waiting = tokio::spawn({
        let client = client.clone();
        async move { channel(&client).await }
    });
    until(|| hub.seen("getChannel").len() == 1).await;
    waiting.abort();
    assert!(waiting.await.unwrap_err().is_cancelled());
    channel(&client).await.unwrap();
}

// Many calls at once

#[tokio::test]
async fn a_multicall_goes_in_chunks_and_each_call_has_its_own_result() {
    let hub = Hub::start();
    let client = Client::new(ClientConfig { multicall_chunk_size: 3, ..hub.config() });
    let names = ["default", "broken", "default", "default", "broken"];
    let mut multicall = client.multicall(names.map(calls::get_channel));

    let first = multicall.next_chunk().await.unwrap().unwrap();
    assert_eq!(hub.seen("multiCall").len(), 1, "nothing is sent before it is asked for");
    assert_eq!(first.len(), 3);
    assert_eq!(first[0].as_ref().unwrap(), &None);
    let error = first[1].as_ref().unwrap_err();
    assert_eq!(
        error.to_string(),
        format!("{}: getChannel: GenericError (1000): no such thing", hub.url)
    );
    assert_eq!(multicall.remaining(), 2);

    let second = multicall.next_chunk().await.unwrap().unwrap();
    assert_eq!(second.len(), 2);
    assert!(second[1].is_err());
    assert!(multicall.next_chunk().await.is_none());
    assert_eq!(hub.seen("multiCall").len(), 2);
}

#[tokio::test]
async fn a_multicall_is_sent_again_when_its_answer_is_lost() {
    let hub = Hub::start();
    hub.troubles([Trouble::CutAfter, Trouble::Garbage, Trouble::Fault(1014, "outage")]);
    let results = hub.anonymous().multicall(vec![calls::get_channel("default"); 2]).all().await;
    assert_eq!(results.unwrap().len(), 2);
}

#[tokio::test]
async fn a_multicall_of_nothing_asks_nothing() {
    let hub = Hub::start();
    let nothing = hub.anonymous().multicall(Vec::<koji::Call<Option<koji::types::Task>>>::new());
    assert!(nothing.all().await.unwrap().is_empty());
    assert!(hub.state().seen.is_empty());
}

#[tokio::test]
async fn a_chunk_stays_below_the_hubs_limit_for_requests() {
    let hub = Hub::start();
    let long = "x".repeat(1_500_000);
    let client = hub.anonymous();
    let results = client.multicall(vec![calls::get_channel(&long); 5]).all().await.unwrap();
    assert_eq!(results.len(), 5);
    assert_eq!(hub.seen("multiCall").len(), 3);
}

// What errors say

#[tokio::test]
async fn an_answer_of_another_shape_is_named_with_its_place() {
    let hub = Hub::start();
    let error = hub.anonymous().call(calls::get_tag("f40")).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        format!("{}: getTag: unexpected answer: string where a struct should be", hub.url)
    );
    assert!(!error.is_transient());
}

#[tokio::test]
async fn keys_and_passwords_are_never_shown() {
    let hub = Hub::start();
    let client = hub.logged_in();
    build(&client).await.unwrap();
    hub.troubles([Trouble::LostAfterAndSessionForgotten]);
    let error = build(&client).await.unwrap_err();
    let login = koji::xmlrpc::MethodCall::new("login", vec!["koschei".into(), "geheim".into()]);
    let shown = format!("{error} {error:?} {client:?} {:?} {login:?}", client.config());
    assert!(shown.contains("koschei"));
    assert!(!shown.contains("geheim") && !shown.contains("key-1"), "{shown}");

    let config =
        ClientConfig { server: "http://me:geheim@127.0.0.1:1/hub".to_owned(), ..hub.config() };
    let error = channel(&Client::new(config)).await.unwrap_err();
    assert!(!format!("{error} {error:?}").contains("geheim"), "{error}");
}

#[tokio::test]
async fn a_hub_that_has_moved_is_a_matter_for_a_person() {
    let hub = Hub::start();
    hub.troubles([Trouble::Status(301, false)]);
    let error = channel(&hub.anonymous()).await.unwrap_err();
    let text = "getChannel: HTTP status 301: the hub has moved; set its new address";
    assert_eq!(error.to_string(), format!("{}: {text}", hub.url));
    assert_eq!(hub.state().seen.len(), 1);
}

#[tokio::test]
async fn a_missing_certificate_is_named() {
    let hub = Hub::start();
    let login = Login::Certificate { cert: "/nowhere/koschei.pem".into() };
    let error = build(&Client::new(ClientConfig { login, ..hub.config() })).await.unwrap_err();
    let text = error.to_string();
    assert!(text.contains("the client certificate /nowhere/koschei.pem cannot be read"), "{text}");
    assert!(hub.state().seen.is_empty());
}

#[tokio::test]
async fn a_certificate_login_goes_to_its_own_address_and_a_refusal_names_the_file() {
    let hub = Hub::start();
    let certificate = tempfile::NamedTempFile::new().unwrap();
    let login = Login::Certificate { cert: certificate.path().to_owned() };
    let client = Client::new(ClientConfig { login, ..hub.config() });
    hub.troubles([Trouble::Status(403, false)]);
    let error = build(&client).await.unwrap_err();
    assert!(matches!(error, Error::Setup { .. }), "{error:?}");
    assert!(error.to_string().contains(certificate.path().to_str().unwrap()), "{error}");
    assert_eq!(hub.state().seen.len(), 1, "it is not tried again");

    build(&client).await.unwrap();
    let logins = hub.seen("sslLogin");
    assert!(logins.iter().all(|seen| seen.path == "/kojihub/ssllogin"));
    assert_eq!(logins[1].call.params, []);
    assert_eq!(hub.seen("build")[0].path, "/kojihub");
}
