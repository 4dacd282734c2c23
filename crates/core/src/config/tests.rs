//! What `spec`-minded operators rely on: defaults, merging, messages, masking.

use std::time::Duration;

use super::*;

fn source(name: &str, text: &str) -> Source {
    Source { name: name.to_owned(), text: text.to_owned() }
}

fn load(text: &str) -> Result<Loaded, ConfigError> {
    parse(&[source("config.cfg", text)], [])
}

fn refused(text: &str) -> String {
    load(text).expect_err("a mistake").to_string()
}

fn mistakes<const COUNT: usize>(
    sources: &[Source],
    environment: [(String, String); COUNT],
) -> Vec<ConfigError> {
    let (found, left) = parse_all(sources, environment);
    assert!(left.is_some(), "something is left of it: {found:?}");
    found
}

fn with_environment(variables: &[(&str, &str)]) -> Result<Loaded, ConfigError> {
    parse(&[], variables.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())))
}

#[test]
fn without_any_file_the_defaults_hold() {
    let config = parse(&[], []).unwrap().config;
    assert_eq!(config, Config::default());
    assert_eq!(config.koji_config.max_builds, 30);
    assert_eq!(config.koji_config.build_arches, ["i386", "x86_64", "armhfp"]);
    assert_eq!(config.koji_config.task_timeout, 172_800);
    assert_eq!(config.services.polling.interval, 1200.0);
    assert_eq!(config.services.scheduler.interval, 3.0);
    assert!(config.services.watcher.watchdog);
    assert_eq!(config.priorities.newly_added, 3000);
    assert_eq!(config.dependency.cache_l2_capacity, 100);
    assert_eq!(config.directories.cachedir, "/var/cache/koschei");
    assert_eq!(config.links.len(), 5);
    assert_eq!(config.secondary_koji_config, None);
}

#[test]
fn tables_merge_and_everything_else_is_replaced_by_the_later_file() {
    let loaded = parse(
        &[
            source(
                "a",
                "plugins = ['pagure']\n[koji_config]\nmax_builds = 5\nbuild_arches = ['x86_64']\n",
            ),
            source("b", "plugins = ['fedmsg', 'repo_regen']\n[koji_config]\nmax_builds = 7\n"),
        ],
        [],
    )
    .unwrap();
    assert_eq!(loaded.config.koji_config.max_builds, 7);
    assert_eq!(loaded.config.koji_config.build_arches, ["x86_64"]);
    assert_eq!(loaded.config.plugins, [Plugin::Fedmsg, Plugin::RepoRegen]);
    assert_eq!(loaded.config.koji_config.load_threshold, 0.5, "untouched keys keep their default");
}

#[test]
fn setting_one_key_of_a_service_keeps_the_others() {
    let services = load("[services.polling]\nmemory_limit = 1000\n").unwrap().config.services;
    assert_eq!(services.polling.interval, 1200.0);
    assert_eq!(services.polling.memory_limit, Some(1000));
}

#[test]
fn free_form_tables_merge_too() {
    let koji = load("[koji_config.session_opts]\ntimeout = 60\nkrb_rdns = false\n")
        .unwrap()
        .config
        .koji_config;
    assert_eq!(koji.session_opts.number("timeout"), Some(60.0));
    assert_eq!(koji.session_opts.number("max_retries"), Some(1000.0));
    assert_eq!(koji.session_opts.truth("krb_rdns"), Some(false));
}

#[test]
fn an_unknown_key_is_named_with_file_line_and_the_key_that_was_meant() {
    assert_eq!(
        refused("[koji_config]\n\nmax_bilds = 3\n"),
        "config.cfg, line 3: there is no setting called koji_config.max_bilds \
         (did you mean koji_config.max_builds?)"
    );
    assert_eq!(
        refused("frobnicate = 1\n"),
        "config.cfg, line 1: there is no setting called frobnicate"
    );
    assert_eq!(
        refused("[koji]\nserver = 'x'\n"),
        "config.cfg, line 1: there is no setting called koji"
    );
}

#[test]
fn a_wrong_type_is_named_and_its_value_is_not_repeated() {
    assert_eq!(
        refused("[koji_config]\nmax_builds = 'hunter2'\n"),
        "config.cfg, line 2: koji_config.max_builds must be a whole number that is not negative, \
         not text"
    );
    assert_eq!(
        refused("koji_config = 3\n"),
        "config.cfg, line 1: koji_config must be a table, not this whole number"
    );
    assert_eq!(
        refused("[database_config]\nport = 70000\n"),
        "config.cfg, line 2: database_config.port must be a whole number from 0 to 65535; this whole number is not"
    );
    assert_eq!(
        refused("plugins = [\n 'fedmsg',\n 'cofr']\n"),
        "config.cfg, line 3: plugins.2 must be one of fedmsg, pagure, copr, repo_regen, osci"
    );
    assert_eq!(refused("[[links]]\nname = 'Elsewhere'\n"), "config.cfg, line 1: links.1 lacks url");
}

#[test]
fn a_typo_in_the_placeholder_of_a_link_is_named() {
    let link = |url: &str| format!("[[links]]\nname = 'Bugs'\nurl = '{url}'\n");
    assert_eq!(
        refused(&link("https://b.example/{package.nmae}")),
        "config.cfg, line 3: links.1.url has the placeholder {package.nmae}, which does not exist \
         (did you mean {package.name}?)"
    );
    assert_eq!(
        refused(&link("https://b.example/?p={collection.bugzilla_produkt}&c={name}")),
        "config.cfg, line 3: links.1.url has the placeholder {collection.bugzilla_produkt}, which does not exist \
         (did you mean {package.collection.bugzilla_product}?)"
    );
    let nothing_near = refused(&link("https://b.example/{package.last_build.version}"));
    assert!(nothing_near.ends_with("{package.collection.bugzilla_version}"), "{nothing_near}");
    assert_eq!(
        refused(&link("https://b.example/{package.name")),
        "config.cfg, line 3: links.1.url has a brace { without its }"
    );
    let good = link("https://b.example/{package.collection.bugzilla_product}/{name}");
    assert_eq!(load(&good).unwrap().config.links.len(), 1);
}

#[test]
fn all_mistakes_are_found_at_once_each_with_its_place() {
    let backend = "\
[koji_config]
max_bilds = 3
login_method = 'login'
[priorities]
t0 = 'six'
[[links]]
name = 'Bugs'
url = 'https://b.example/{nmae}'
[[links]]
name = 'Bugs'
adress = 'https://b.example/{name}'
[secondary_koji_config]
topurl = 3
session_opts = { timeout = 'long' }
";
    let broken = "config = {'koji_config': {'server': os.environ['KOJI']}}\n";
    let frontend = "[frontend]\nlisten = 'localhost'\nexternal_url = 'koschei.example.org'\n";
    let sources = [
        source("backend.cfg", backend),
        source("broken.cfg", broken),
        source("frontend.cfg", frontend),
    ];
    let variable = ("KOSCHEI__FRONTEND__PATH_PREFXI".to_owned(), "/x".to_owned());
    let found: Vec<String> =
        mistakes(&sources, [variable]).iter().map(ToString::to_string).collect();
    for expected in [
        "broken.cfg, line 1: ",
        "environment variable KOSCHEI__FRONTEND__PATH_PREFXI: there is no setting called frontend.path_prefxi",
        "backend.cfg, line 2: there is no setting called koji_config.max_bilds (did you mean",
        "backend.cfg, line 5: priorities.t0 must be a number, not text",
        "backend.cfg, line 8: links.1.url has the placeholder {nmae}",
        "backend.cfg, line 11: there is no setting called links.2.adress",
        "backend.cfg, line 13: secondary_koji_config.topurl must be text, not this whole number",
        "backend.cfg, line 14: secondary_koji_config.session_opts must have a number of seconds as timeout",
        "frontend.cfg, line 2: frontend.listen must be an address and a port",
        "frontend.cfg, line 3: frontend.external_url must begin with http:// or https://",
    ] {
        let lines: Vec<&String> = found.iter().filter(|line| line.starts_with(expected)).collect();
        assert_eq!(lines.len(), 1, "{expected}\n{found:#?}");
    }
    assert!(
        found.iter().any(|line| line.contains("koji_config.login_args must have user")),
        "{found:#?}"
    );
    assert_eq!(found.len(), 11, "{found:#?}");
    // The first is the one that a service would name.
    let first = parse(&sources[..1], []).unwrap_err();
    assert_eq!(mistakes(&sources[..1], []).first(), Some(&first));
    assert!(
        mistakes(&[source("frontend.cfg", "[frontend]\nlisten = '[::1]:80'\n")], []).is_empty()
    );
}

#[test]
fn a_setting_says_where_it_was_set_and_one_that_nobody_set_where_its_table_was() {
    let loaded = load("[frontend]\n[frontend.auth]\nuser_re = 'x'\n").unwrap();
    let place = |key: &str| loaded.origin(key).to_string();
    assert_eq!(place("frontend.auth.user_re"), "config.cfg, line 3");
    assert_eq!(place("frontend.auth.user_env"), "config.cfg, line 2");
    assert_eq!(place("frontend.external_url"), "config.cfg, line 1");
    assert_eq!(loaded.origin("priorities.t0"), Origin::built_in());
}

#[test]
fn a_broken_file_is_named_with_the_line() {
    let said = refused("[koji_config]\nserver = \n");
    assert!(said.starts_with("config.cfg, line 2: "), "{said}");
    let twice = refused("[koji_config]\nmax_builds = 1\nmax_builds = 2\n");
    assert!(twice.starts_with("config.cfg, line 3: "), "{twice}");
    assert!(!twice.contains('\n'), "one sentence: {twice}");
}

/// An installation of the old kind, as its operators left it.
fn old_installation() -> [Source; 3] {
    [
        source("config.cfg", include_str!("../../tests/old-installation/config.cfg")),
        source(
            "config-backend.cfg",
            include_str!("../../tests/old-installation/config-backend.cfg"),
        ),
        source(
            "config-frontend.cfg",
            include_str!("../../tests/old-installation/config-frontend.cfg"),
        ),
    ]
}

#[test]
fn the_files_of_an_old_installation_are_read_unchanged() {
    let [defaults, backend, frontend] = old_installation();
    let loaded = parse(&[defaults.clone(), backend], []).unwrap();
    assert_eq!(
        loaded.warnings,
        [
            "settings of older versions that nothing uses any more are ignored: alembic.alembic_ini, caching, \
          database_config.drivername, directories.datadir, directories.static_folder, directories.static_url, \
          directories.templates, frontend.fedmenu_data_url, frontend.fedmenu_url, frontend.fedora_assets_url, \
          logging, version"
        ]
    );
    let config = loaded.config;
    assert_eq!(config.database_config.host, "db01.iad2.example.org");
    assert_eq!(config.database_config.port, 5432);
    assert_eq!(config.database_config.password, Some(Secret::new("p\"ssword")));
    assert_eq!(config.unpriv_db_username.as_deref(), Some("koschei-services"));
    let koji = &config.koji_config;
    assert_eq!(koji.topurl, "https://kojipkgs.example.org");
    assert_eq!(koji.login_method, LoginMethod::GssapiLogin);
    assert_eq!(
        koji.login_args.text("principal"),
        Some("koschei/koschei-backend01.example.org@EXAMPLE.ORG")
    );
    assert_eq!(koji.session_opts.number("timeout"), Some(3600.0));
    assert_eq!(koji.session_opts.truth("krb_rdns"), Some(false));
    assert_eq!(koji.max_builds, 60);
    assert_eq!(koji.build_arches, ["x86_64", "ppc64le", "aarch64"]);
    assert_eq!(koji.load_threshold, 0.75);
    assert_eq!(koji.task_timeout, 172_800);
    assert_eq!(config.secondary_koji_config, None);
    assert_eq!(config.dependency.cache_l2_capacity, 100);
    assert_eq!(config.priorities, Priorities::default());
    assert_eq!(config.services.polling.memory_limit, Some(3_145_728));
    assert_eq!(config.services.repo_resolver.virtual_memory_limit, Some(1 << 24));
    assert_eq!(config.services.repo_resolver.memory_limit, Some(6 << 20));
    assert_eq!(config.services.build_resolver.interval, 15.0);
    assert_eq!(config.plugins, [Plugin::Fedmsg, Plugin::Pagure, Plugin::Copr]);
    assert!(config.fedmsg_publisher.enabled);
    assert_eq!(config.pagure, Pagure::default());
    assert_eq!(
        config.copr.description.as_deref(),
        Some("A rebuild of the packages\nthat a change may break.")
    );
    assert_eq!(config.links.len(), 2);
    assert_eq!(
        config.links[1].url,
        "https://bugzilla.redhat.com/buglist.cgi?product={package.collection.bugzilla_product}\
         &component={package.name}"
    );
    assert_eq!(config.bypass_login, None);

    let config = parse(&[defaults, frontend], []).unwrap().config;
    assert_eq!(config.session_key(), Some("b7c0ffeeb7c0ffee"));
    assert_eq!(config.frontend.prefix(), "/koschei");
    assert_eq!(config.frontend.auth.user_re, r"(.+)@EXAMPLE\.ORG");
}

#[test]
fn old_files_and_new_ones_merge() {
    let [defaults, backend, _] = old_installation();
    let own = source("config-admin.cfg", "[koji_config.session_opts]\ntimeout = 5\n");
    let koji = parse(&[defaults, backend, own], []).unwrap().config.koji_config;
    assert_eq!(koji.session_opts.number("timeout"), Some(5.0));
    assert_eq!(koji.session_opts.truth("krb_rdns"), Some(false));
}

#[test]
fn a_mistake_in_an_old_file_is_named_with_file_line_and_key() {
    assert_eq!(
        refused("config = {\n    'koji_config': {\n        'max_bilds': 3,\n    },\n}\n"),
        "config.cfg, line 3: there is no setting called koji_config.max_bilds (did you mean \
         koji_config.max_builds?)"
    );
    assert_eq!(
        refused("config = {\n    'plugins': ['fedmsg',\n 'cofr'],\n}\n"),
        "config.cfg, line 3: plugins.2 must be one of fedmsg, pagure, copr, repo_regen, osci"
    );
    assert_eq!(
        refused("config = {\n    'koji_config': {'server': None},\n}\n"),
        "config.cfg, line 2: koji_config.server must be text, not nothing"
    );
}

#[test]
fn the_syntax_is_recognised_by_the_dict() {
    for text in [
        "config = {}",
        "# vim: filetype=python\nconfig={\n}\n",
        "\u{feff}config = {}",
        "config = \\\n{}",
        "config = (\n{})",
    ] {
        assert_eq!(load(text).unwrap().config, Config::default(), "{text}");
    }
    // What stands before the dict is no TOML either.
    let said = refused("import os\nconfig = {\n}\n");
    assert!(
        said.starts_with("config.cfg, line 1: import cannot be read; in the Python syntax"),
        "{said}"
    );
    let said = refused("import os\n");
    assert!(!said.contains("Python"), "{said}");
}

#[test]
fn a_key_that_stands_twice_in_an_old_file_counts_as_in_python_and_is_told() {
    let loaded = load(
        "config = {\n'koji_config': {'max_builds': 1},\n'koji_config': {'task_priority': 2}}\n",
    )
    .unwrap();
    assert_eq!(loaded.config.koji_config.max_builds, 30);
    assert_eq!(loaded.config.koji_config.task_priority, 2);
    assert_eq!(
        loaded.warnings,
        ["config.cfg, line 3: koji_config stands in line 2 already; the last one counts"]
    );
}

#[test]
fn priorities_that_cannot_be_computed_are_refused_where_they_were_set() {
    assert_eq!(
        refused("[priorities]\nt1 = 6\n"),
        "config.cfg, line 2: priorities.t1 must be more hours than priorities.t0"
    );
    assert_eq!(
        refused("[priorities]\nt0 = 0\n"),
        "config.cfg, line 2: priorities.t0 must be a number of hours above 0"
    );
}

#[test]
fn the_environment_wins_and_takes_its_types_from_the_keys() {
    let config = with_environment(&[
        ("KOSCHEI__DATABASE_CONFIG__HOST", "db.example.com"),
        ("KOSCHEI__DATABASE_CONFIG__PASSWORD", "1234"),
        ("KOSCHEI__DATABASE_CONFIG__PORT", "5433"),
        ("KOSCHEI__FEDMSG_PUBLISHER__ENABLED", "true"),
        ("KOSCHEI__FLASK__SECRET_KEY", "s3cret"),
        ("KOSCHEI__KOJI_CONFIG__BUILD_ARCHES", "x86_64, aarch64"),
        ("KOSCHEI__KOJI_CONFIG__LOGIN_ARGS__CERT", "/etc/koji.pem"),
        ("KOSCHEI__PLUGINS", "['pagure', 'copr']"),
        ("KOSCHEI__SERVICES__REPO_RESOLVER__INTERVAL", "0.5"),
        ("PATH", "/usr/bin"),
    ])
    .unwrap()
    .config;
    assert_eq!(config.database_config.host, "db.example.com");
    assert_eq!(config.database_config.password, Some(Secret::new("1234")));
    assert_eq!(config.database_config.port, 5433);
    assert!(config.fedmsg_publisher.enabled);
    assert_eq!(config.session_key(), Some("s3cret"));
    assert_eq!(config.koji_config.build_arches, ["x86_64", "aarch64"]);
    assert_eq!(config.koji_config.login_args.text("cert"), Some("/etc/koji.pem"));
    assert_eq!(config.plugins, [Plugin::Pagure, Plugin::Copr]);
    assert_eq!(config.services.repo_resolver.interval, 0.5);
}

#[test]
fn mistakes_in_the_environment_name_the_variable() {
    let said = with_environment(&[("KOSCHEI__KOJI_CONFIG__MAX_BUILD", "3")]).unwrap_err();
    assert_eq!(
        said.to_string(),
        "environment variable KOSCHEI__KOJI_CONFIG__MAX_BUILD: there is no setting called \
         koji_config.max_build (did you mean koji_config.max_builds?)"
    );
    let said = with_environment(&[("KOSCHEI__KOJI_CONFIG__MAX_BUILDS", "many")]).unwrap_err();
    assert_eq!(
        said.to_string(),
        "environment variable KOSCHEI__KOJI_CONFIG__MAX_BUILDS: koji_config.max_builds must be a \
         whole number that is not negative, not text"
    );
}

#[test]
fn a_secondary_koji_inherits_from_the_primary() {
    let text = "[koji_config]\nserver = 'https://primary/kojihub'\nmax_builds = 4\n\
                [secondary_koji_config]\nserver = 'https://secondary/kojihub'\n\
                repo_url = 'https://secondary/{repo_id}/{arch}'\n";
    let secondary = load(text).unwrap().config.secondary_koji_config.expect("secondary mode");
    assert_eq!(secondary.koji.server, "https://secondary/kojihub");
    assert_eq!(secondary.koji.max_builds, 4);
    assert_eq!(secondary.repo_url.as_deref(), Some("https://secondary/{repo_id}/{arch}"));

    assert_eq!(load("[secondary_koji_config]\n").unwrap().config.secondary_koji_config, None);
    assert_eq!(
        refused("[secondary_koji_config]\nservr = 'x'\n"),
        "config.cfg, line 2: there is no setting called secondary_koji_config.servr \
         (did you mean secondary_koji_config.server?)"
    );
    let config = with_environment(&[("KOSCHEI__SECONDARY_KOJI_CONFIG__SERVER", "x")]).unwrap();
    assert_eq!(config.config.secondary_koji_config.unwrap().koji.server, "x");
}

#[test]
fn the_clients_login_and_patience_come_from_their_keys() {
    let text = "[koji_config]\nserver = 'http://hub'\nlogin_method = 'login'\n\
                login_args = { user = 'koschei', password = 'hunter2' }\n\
                session_opts = { timeout = 60, retry_interval = 0.5 }\n";
    let client = load(text).unwrap().config.koji_config.client_config().unwrap();
    assert_eq!(client.server, "http://hub");
    assert_eq!(
        client.login,
        koji::Login::Password {
            user: "koschei".to_owned(),
            password: koji::Secret::new("hunter2")
        }
    );
    assert_eq!(client.session.timeout.as_secs(), 60);
    assert_eq!(client.session.retry_interval.as_millis(), 500);
    assert_eq!(client.session.max_retries, 1000);

    assert_eq!(
        refused("[koji_config]\nlogin_method = 'ssl_login'\nlogin_args = { ca = 'x' }\n"),
        "config.cfg, line 3: koji_config.login_args must have cert, because login_method is \
         ssl_login"
    );
    assert_eq!(
        refused("[koji_config.session_opts]\nmax_retries = 'often'\n"),
        "config.cfg, line 1: koji_config.session_opts must have a whole number as max_retries"
    );
}

#[test]
fn all_six_session_options_reach_the_client() {
    let text = "[koji_config.session_opts]\ntimeout = 7\nmax_retries = 3\nretry_interval = 1.5\n\
                anon_retry = false\noffline_retry = false\noffline_retry_interval = 11\n";
    let session = load(text).unwrap().config.koji_config.client_config().unwrap().session;
    let expected = koji::SessionOptions {
        timeout: Duration::from_secs(7),
        max_retries: 3,
        retry_interval: Duration::from_millis(1500),
        anon_retry: false,
        offline_retry: false,
        offline_retry_interval: Duration::from_secs(11),
        give_up_after: None,
        sign_of_life_after: None,
    };
    assert_eq!(session, expected);
}

#[test]
fn keys_of_older_versions_are_ignored_with_one_warning() {
    let text = "version = 1\n[alembic]\nalembic_ini = 'x'\n[logging.loggers.x]\nlevel = 1\n\
                [directories]\ntemplates = 't'\ncachedir = '/c'\n\
                [database_config]\ndrivername = 'postgres'\n";
    let loaded = load(text).unwrap();
    assert_eq!(loaded.config.directories.cachedir, "/c");
    assert_eq!(
        loaded.warnings,
        ["settings of older versions that nothing uses any more are ignored: \
          alembic.alembic_ini, database_config.drivername, directories.templates, logging, version"]
    );
}

#[test]
fn secrets_are_never_printed() {
    let text = "db_url = 'postgresql://k:hunter2@h/d'\n[database_config]\npassword = 'hunter2'\n\
                db_url = 'hunter2'\n\
                [koji_config.login_args]\nuser = 'koschei'\npassword = 'hunter2'\n'hash of it' = 'hunter2'\n\
                [koji_config.session_opts]\ntimeout = 5\nproxy = 'http://u:hunter2@proxy'\n\
                [flask]\nSECRET_KEY = 'hunter2'\nFALLBACKS = { A = ['hunter2'] }\n\
                [frontend]\nsecret_key = 'hunter2'\n[frontend.auth.oidc]\nclient_secret = 'hunter2'\n\
                [secondary_koji_config.login_args]\npassword = 'hunter2'\nuser = 'other'\n";
    let loaded = load(text).unwrap();
    assert_eq!(loaded.config.database_url(), Some("postgresql://k:hunter2@h/d"));
    let debug = format!("{:?}", loaded.config);
    assert!(!debug.contains("hunter2"), "{debug}");
    let shown = loaded.show();
    assert!(!shown.contains("hunter2"), "{shown}");
    assert_eq!(shown.matches("********").count(), 13, "{shown}");
    assert!(shown.contains("user = \"koschei\"") && shown.contains("timeout = 5"), "{shown}");
}

#[test]
fn what_config_show_prints_can_be_read_again_and_says_where_each_value_was_set() {
    let text = "[koji_config]\nmax_builds = 3\n[koji_config.session_opts]\ntimeout = 1\n\
                [secondary_koji_config]\nserver = 's'\n[[links]]\nname = 'a'\nurl = 'b'\n";
    let loaded = parse(
        &[source("config.cfg", text)],
        [("KOSCHEI__DATABASE_CONFIG__HOST".to_owned(), "db".to_owned())],
    )
    .unwrap();
    let shown = loaded.show();
    assert_eq!(load(&shown).unwrap().config, loaded.config, "{shown}");
    for line in [
        "max_builds = 3  # config.cfg, line 2",
        "timeout = 1  # config.cfg, line 4",
        "server = \"s\"  # config.cfg, line 6",
        "host = \"db\"  # environment variable KOSCHEI__DATABASE_CONFIG__HOST",
        "load_threshold = 0.5",
        "[[links]]",
    ] {
        assert!(shown.lines().any(|shown| shown == line), "{line}:\n{shown}");
    }
}

#[test]
fn the_prefix_is_the_path_of_the_external_address() {
    let prefix = |text: &str| load(text).unwrap().config.frontend.prefix().to_owned();
    assert_eq!(prefix(""), "");
    assert_eq!(
        prefix("[frontend]\nexternal_url = 'https://apps.example.com/koschei/'\n"),
        "/koschei"
    );
    assert_eq!(prefix("[frontend]\nexternal_url = 'https://koschei.example.com'\n"), "");
    assert_eq!(
        prefix("[frontend]\nexternal_url = 'https://x/koschei'\npath_prefix = '/k'\n"),
        "/k"
    );
    assert_eq!(
        refused("[frontend]\npath_prefix = 'koschei'\n"),
        "config.cfg, line 2: frontend.path_prefix must begin with a slash"
    );
    assert_eq!(
        refused("[frontend]\nexternal_url = 'apps.example.com/koschei'\n"),
        "config.cfg, line 2: frontend.external_url must begin with http:// or https://"
    );
}

/// A tree without the places, and without what TOML cannot say.
fn values(node: &Node) -> Node {
    let value = match &node.value {
        Value::List(items) => Value::List(items.iter().map(values).collect()),
        Value::Table(table) => Value::Table(
            table
                .iter()
                .filter(|(_, node)| node.value != Value::Null)
                .map(|(key, node)| (key.clone(), values(node)))
                .collect(),
        ),
        value => value.clone(),
    };
    Node { value, origin: Origin::built_in() }
}

/// Converts a file and asserts that the settings are the same.
pub(super) fn converted(text: &str) -> Converted {
    let old = source("old.cfg", text);
    let converted = convert(&old).unwrap();
    let new = source("new.cfg", &converted.toml);
    let old = syntax::read(&old, &mut Vec::new()).unwrap();
    let new = syntax::read(&new, &mut Vec::new())
        .unwrap_or_else(|error| panic!("{error}\n{}", converted.toml));
    assert_eq!(values(&new), values(&old), "{}", converted.toml);
    converted
}

#[test]
fn an_old_file_becomes_toml_that_says_the_same() {
    for old in old_installation() {
        let converted = converted(&old.text);
        assert!(converted.warnings.len() <= 1, "{:?}", converted.warnings);
        let new = Source { name: old.name.clone(), text: converted.toml };
        assert_eq!(parse(&[new], []).unwrap().config, parse(&[old], []).unwrap().config);
    }
}

#[test]
fn a_converted_file_keeps_order_and_comments() {
    let text = "\
# vim: ft=python
# Managed by Ansible.
config = {
    # what Koschei may use
    'koji_config': {
        'server': 'https://koji.example.org/' + 'kojihub',  # the new one
        'session_opts': {'timeout': 60 * 60},
        'max_builds': 2 * 30,
        # 'load_threshold': 0.5,
    },
    'unpriv_db_username': None,
    'links': [{'name': 'A', 'url': 'https://a/{package.name}'}],
    'copr': {'description': 'one\\ntwo\\\\'},
}
# vim: ft=python
";
    let converted = converted(text);
    assert_eq!(
        converted.toml,
        "\
# Managed by Ansible.

# unpriv_db_username = None

# what Koschei may use
[koji_config]
# the new one
server = \"https://koji.example.org/kojihub\"
max_builds = 60
# 'load_threshold': 0.5,

[koji_config.session_opts]
timeout = 3600

[[links]]
name = \"A\"
url = \"https://a/{package.name}\"

[copr]
description = '''
one
two\\'''
"
    );
    assert_eq!(
        converted.warnings,
        [
            "old.cfg, line 11: unpriv_db_username is None, for which TOML has no word: it is left out, so that the \
          value of an earlier file would count"
        ]
    );
}

#[test]
fn what_cannot_be_converted_is_said() {
    let said = |text: &str| convert(&source("old.cfg", text)).unwrap_err().to_string();
    assert_eq!(
        said("[koji_config]\n"),
        "old.cfg: this file is not in the Python syntax of older versions, so there is nothing to convert"
    );
    assert_eq!(
        said("config = {'a': {'b': [1,\n[None]]}}"),
        "old.cfg, line 2: a.b has None within a list, for which TOML has no word"
    );
    assert_eq!(
        said("config = {\n'a': b}"),
        load("config = {\n'a': b}").unwrap_err().to_string().replace("config.cfg", "old.cfg")
    );
}

proptest::proptest! {
    /// Nothing that anybody writes into a file makes us panic.
    #[test]
    fn mistakes_are_found_where_and_only_where_something_is_refused(
        lines in proptest::collection::vec(
            proptest::sample::select(vec![
                "plugins = ['fedmsg', 'x', 3]", "[koji_config]", "max_builds = 'a'", "server = 3", "t0 = -1", "[priorities]",
                "[services.polling]", "interval = -1", "x = 1", "[frontend]", "listen = ''", "[[links]]", "name = 'a'",
                "url = '{x'", "[secondary_koji_config]", "login_method = 'ssl_login'", "login_method = 4", "=",
            ]),
            0..8,
        )
    ) {
        let sources = [source("f", &lines.join("\n"))];
        let found = mistakes(&sources, []);
        match parse(&sources, []) {
            Ok(_) => proptest::prop_assert!(found.is_empty(), "{found:?}"),
            Err(first) => proptest::prop_assert_eq!(found.first(), Some(&first)),
        }
        proptest::prop_assert!(found.len() < 20);
    }

    #[test]
    fn any_text_is_read_or_refused(text in "(?s).{0,200}") {
        let _ = load(&text);
    }

    /// Nor anything in the environment.
    #[test]
    fn any_variable_is_read_or_refused(name in "[A-Z_]{0,40}", value in "(?s).{0,40}") {
        let _ = parse(&[], [(format!("KOSCHEI__{name}"), value)]);
    }
}
