//! The sample configuration of httpd, with a real Apache httpd in front of the real web interface: the pages are below
//! `/koschei`, and nobody but httpd says who somebody is.

use std::{
    fs,
    net::{TcpListener, TcpStream},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use curl::easy::{Easy, List};
use koschei_db::testing::{Database, database};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::support::{
    database_section,
    installation::{PATIENCE, free_port},
    koschei,
};

/// httpd and the web interface behind it.
struct Front {
    directory: tempfile::TempDir,
    database: Database,
    port: u16,
    children: Vec<Child>,
}

impl Drop for Front {
    fn drop(&mut self) {
        for child in &mut self.children {
            // Killed the hard way, httpd would leave its workers behind.
            let _ = kill(Pid::from_raw(child.id() as i32), Signal::SIGTERM);
            let asked = Instant::now();
            while matches!(child.try_wait(), Ok(None)) && asked.elapsed() < PATIENCE {
                std::thread::sleep(Duration::from_millis(20));
            }
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// What httpd answered.
#[derive(Debug)]
struct Answer {
    status: u32,
    headers: Vec<(String, String)>,
    body: String,
}

impl Answer {
    fn header(&self, name: &str) -> &str {
        let header = self.headers.iter().find(|(key, _)| key.eq_ignore_ascii_case(name));
        header.map_or("", |(_, value)| value)
    }

    /// The cookie that was set, to be sent again.
    fn cookie(&self) -> String {
        self.header("set-cookie").split(';').next().unwrap_or_default().to_owned()
    }
}

impl Front {
    async fn new() -> Self {
        let database = database().await;
        let directory = tempfile::tempdir().unwrap();
        let at = |name: &str| directory.path().join(name);
        // httpd reads its files as another user when the tests run as root.
        fs::set_permissions(directory.path(), fs::Permissions::from_mode(0o755)).unwrap();
        let (web, port) = (free_port(), free_port());
        fs::write(
            at("config-frontend.cfg"),
            format!(
                "{}[frontend]\nlisten = '127.0.0.1:{web}'\nexternal_url = 'http://127.0.0.1:{port}/koschei'\n\
                 secret_key = 'of this test only, and long enough for that'\n\
                 [frontend.auth]\ntrusted_proxies = ['127.0.0.1']\n",
                database_section(database.config())
            ),
        )
        .unwrap();
        let made = Command::new("htpasswd")
            .arg("-cbB")
            .arg(at("httpd.passwd"))
            .args(["alice", "secret"])
            .output()
            .expect("htpasswd: scripts/install-deps test installs it");
        assert!(made.status.success());
        fs::set_permissions(at("httpd.passwd"), fs::Permissions::from_mode(0o644)).unwrap();
        fs::write(at("httpd.conf"), httpd_configuration(directory.path(), port, web)).unwrap();
        let children = vec![
            koschei(&at("config-frontend.cfg"))
                .arg("web")
                .stdout(Stdio::null())
                .stderr(fs::File::create(at("web.log")).unwrap())
                .spawn()
                .unwrap(),
            Command::new(httpd())
                .arg("-f")
                .arg(at("httpd.conf"))
                .arg("-DFOREGROUND")
                .stdout(Stdio::null())
                .stderr(fs::File::create(at("httpd.log")).unwrap())
                .spawn()
                .unwrap(),
        ];
        let mut front = Self { directory, database, port, children };
        let deadline = Instant::now() + PATIENCE;
        while !(TcpStream::connect(("127.0.0.1", port)).is_ok()
            && TcpStream::connect(("127.0.0.1", web)).is_ok())
        {
            let ended = front.children.iter_mut().any(|child| child.try_wait().unwrap().is_some());
            assert!(!ended && Instant::now() < deadline, "{}", front.logs());
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        front
    }

    fn logs(&self) -> String {
        ["web.log", "httpd.log", "error.log"]
            .map(|name| fs::read_to_string(self.directory.path().join(name)).unwrap_or_default())
            .join("---\n")
    }

    /// Asks for a page as a browser would.
    fn get(&self, path: &str, password: Option<&str>, headers: &[&str]) -> Answer {
        let mut handle = Easy::new();
        handle.url(&format!("http://127.0.0.1:{}{path}", self.port)).unwrap();
        handle.noproxy("*").unwrap();
        handle.path_as_is(true).unwrap();
        handle.timeout(PATIENCE).unwrap();
        if let Some(password) = password {
            handle.username("alice").unwrap();
            handle.password(password).unwrap();
        }
        let mut list = List::new();
        for header in headers {
            list.append(header).unwrap();
        }
        handle.http_headers(list).unwrap();
        let mut answer = Answer { status: 0, headers: Vec::new(), body: String::new() };
        let mut body = Vec::new();
        {
            let mut transfer = handle.transfer();
            transfer
                .write_function(|data| {
                    body.extend_from_slice(data);
                    Ok(data.len())
                })
                .unwrap();
            transfer
                .header_function(|line| {
                    let line = String::from_utf8_lossy(line);
                    if let Some((name, value)) = line.split_once(':') {
                        answer.headers.push((name.to_owned(), value.trim().to_owned()));
                    }
                    true
                })
                .unwrap();
            transfer.perform().unwrap();
        }
        answer.status = handle.response_code().unwrap();
        answer.body = String::from_utf8_lossy(&body).into_owned();
        answer
    }

    async fn users(&self) -> Vec<String> {
        sqlx::query_scalar(r#"SELECT name FROM "user" ORDER BY name"#)
            .fetch_all(self.database.pool())
            .await
            .unwrap()
    }
}

fn httpd() -> PathBuf {
    ["/usr/sbin/apache2", "/usr/sbin/httpd"]
        .into_iter()
        .map(PathBuf::from)
        .find(|path| path.exists())
        .expect("Apache httpd: scripts/install-deps test installs it")
}

/// The sample as it is, but for ports and the file of passwords, below what a distribution's httpd.conf has.
fn httpd_configuration(directory: &Path, port: u16, web: u16) -> String {
    let sample = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../deploy/httpd/koschei.conf");
    let sample = fs::read_to_string(sample).unwrap();
    let sample = sample.replace("127.0.0.1:8080", &format!("127.0.0.1:{web}")).replace(
        "/etc/httpd/koschei.passwd",
        &directory.join("httpd.passwd").display().to_string(),
    );
    let modules = ["/usr/lib/apache2/modules", "/usr/lib64/httpd/modules"]
        .into_iter()
        .find(|path| Path::new(path).exists())
        .expect("modules of httpd");
    let mut text = format!(
        "ServerRoot {directory}\nServerName 127.0.0.1\nListen 127.0.0.1:{port}\nPidFile {directory}/httpd.pid\n\
         ErrorLog {directory}/error.log\nMutex file:{directory}\n",
        directory = directory.display()
    );
    if nix::unistd::geteuid().is_root() {
        text.push_str("User nobody\n");
    }
    for module in [
        "mpm_event",
        "authz_core",
        "authz_user",
        "authn_core",
        "authn_file",
        "auth_basic",
        "headers",
        "proxy",
        "proxy_http",
        "unixd",
    ] {
        // Some are built in, depending on the distribution.
        let file = format!("{modules}/mod_{module}.so");
        if Path::new(&file).exists() {
            text.push_str(&format!("LoadModule {module}_module {file}\n"));
        }
    }
    text + &sample
}

#[tokio::test]
async fn pages_are_below_the_prefix_and_lead_nowhere_else() {
    let front = Front::new().await;
    let page = front.get("/koschei/", None, &[]);
    assert_eq!(page.status, 200, "{page:?}\n{}", front.logs());
    assert!(page.body.contains("Package summary"), "{}", page.body);
    let mut links = 0;
    for attribute in ["href=\"/", "src=\"/", "action=\"/"] {
        for (at, _) in page.body.match_indices(attribute) {
            let link = &page.body[at + attribute.len() - 1..];
            assert!(link.starts_with("/koschei"), "{link:.80}");
            links += 1;
        }
    }
    assert!(links > 3, "{}", page.body);
    let style = page.body.split("href=\"").find(|link| link.contains(".css")).unwrap();
    let style = style.split('"').next().unwrap();
    assert_eq!(front.get(style, None, &[]).status, 200, "{style}");
    assert_eq!(front.get("/koschei/api/v1/packages", None, &[]).body.trim(), "[]");
    // A redirect keeps the prefix, and the address that people use.
    let search = front.get("/koschei/search?q=", None, &[]);
    assert!((300..400).contains(&search.status), "{search:?}");
    let location = search.header("location");
    let base = format!("http://127.0.0.1:{}", front.port);
    let path = location.strip_prefix(&base).unwrap_or(location);
    assert!(path.starts_with("/koschei"), "{location}");
    assert_eq!(front.get("/", None, &[]).status, 404, "that is httpd's own");
}

#[tokio::test]
async fn only_httpd_says_who_somebody_is() {
    let front = Front::new().await;
    // Without a password httpd answers itself.
    let refused = front.get("/koschei/login", None, &[]);
    assert_eq!(refused.status, 401);
    assert_eq!(refused.header("www-authenticate"), "Basic realm=\"Koschei\"");
    assert_eq!(front.get("/koschei/login", Some("wrong"), &[]).status, 401);
    // Nobody becomes anybody by saying so, on whatever way to the login.
    for header in [
        "REMOTE_USER: mallory",
        "Remote_User: mallory",
        "REMOTE-USER: mallory",
        "X-Remote-User: mallory",
    ] {
        for path in [
            "/koschei/login",
            "/koschei/login/",
            "/koschei//login",
            "//koschei/login",
            "/koschei/./login",
            "/koschei/%6cogin",
            "/koschei/x/../login",
            "/koschei%2flogin",
            "/koschei/LOGIN",
            "/koschei/",
            "/koschei/packages",
        ] {
            let answer = front.get(path, None, &[header]);
            assert_eq!(answer.header("set-cookie"), "", "{header}, {path}: {answer:?}");
            assert!(!answer.body.contains("Log out"), "{header}, {path}");
        }
    }
    assert_eq!(front.users().await, Vec::<String>::new());
    // Who has a password is who the password says, whatever the header says.
    let login = front.get(
        "/koschei/login?next=/koschei/packages",
        Some("secret"),
        &["REMOTE_USER: mallory"],
    );
    assert_eq!(login.status, 303, "{login:?}\n{}", front.logs());
    assert_eq!(login.header("location"), "/koschei/packages");
    assert!(login.header("set-cookie").contains("Path=/koschei"), "{login:?}");
    assert_eq!(front.users().await, ["alice"]);
    // From then on the cookie counts, everywhere below the prefix and without a password.
    let page = front.get("/koschei/", None, &[&format!("Cookie: {}", login.cookie())]);
    assert!(page.body.contains("alice") && page.body.contains("Log out"), "{}", page.body);
    assert_eq!(front.users().await, ["alice"]);
}

#[tokio::test]
async fn a_port_that_is_taken_is_no_reason_to_hang() {
    let database = database().await;
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("config-frontend.cfg");
    let listen = taken.local_addr().unwrap();
    let section = database_section(database.config());
    fs::write(&file, format!("{section}[frontend]\nlisten = '{listen}'\n")).unwrap();
    let output = koschei(&file).arg("web").output().unwrap();
    let said = super::support::stderr(&output);
    assert!(said.contains("another program uses it; set frontend.listen"), "{said}");
}
