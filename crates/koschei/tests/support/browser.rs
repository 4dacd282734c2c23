//! A real browser: headless Chromium, driven by chromedriver over the WebDriver protocol (W3C), which is JSON over HTTP.

use std::{
    io::{BufRead, BufReader},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use curl::easy::{Easy, List};
use serde_json::{Value, json};

/// A browser with one window; gone when this is dropped.
pub(crate) struct Browser {
    driver: Child,
    session: String,
    _profile: tempfile::TempDir,
}

impl Browser {
    /// Starts one, with a window of this size in CSS pixels.
    pub(crate) fn start(width: u32, height: u32) -> Self {
        let mut driver = Command::new("chromedriver")
            .args(["--port=0", "--log-level=SEVERE"])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("chromedriver can be started: install it with scripts/install-deps test");
        let port = announced_port(&mut driver);
        let profile = tempfile::tempdir().unwrap();
        let arguments = [
            "--headless=new".to_owned(),
            // Chromium's own sandbox needs rights that root in a container has not.
            "--no-sandbox".to_owned(),
            "--disable-gpu".to_owned(),
            "--disable-dev-shm-usage".to_owned(),
            "--disable-quic".to_owned(),
            "--no-first-run".to_owned(),
            // It must talk to nobody but us.
            "--disable-background-networking".to_owned(),
            "--disable-component-update".to_owned(),
            "--disable-sync".to_owned(),
            format!("--user-data-dir={}", profile.path().display()),
            format!("--window-size={width},{height}"),
        ];
        let wanted = json!({
            "capabilities": { "alwaysMatch": {
                "browserName": "chrome",
                "goog:chromeOptions": { "args": arguments },
            } }
        });
        let address = format!("http://127.0.0.1:{port}/session");
        let answer = request("POST", &address, Some(&wanted))
            .unwrap_or_else(|problem| panic!("Chromium cannot be started: {problem}"));
        let id = answer["sessionId"].as_str().expect("a session");
        Self { driver, session: format!("{address}/{id}"), _profile: profile }
    }

    /// Opens a page and waits until it is loaded.
    pub(crate) fn open(&self, address: &str) {
        self.command("POST", "/url", Some(&json!({ "url": address })));
    }

    /// What the page says, as a person sees it.
    pub(crate) fn text(&self) -> String {
        self.evaluate("return document.body.innerText").as_str().unwrap_or_default().to_owned()
    }

    /// The visible text of everything that matches a CSS selector.
    pub(crate) fn texts(&self, selector: &str) -> Vec<String> {
        let script = format!(
            "return [...document.querySelectorAll({})].map(e => e.innerText.trim())",
            json!(selector)
        );
        let found = self.evaluate(&script);
        found
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(|t| t.as_str())
            .map(str::to_owned)
            .collect()
    }

    /// Runs JavaScript in the page.
    pub(crate) fn evaluate(&self, script: &str) -> Value {
        self.command("POST", "/execute/sync", Some(&json!({ "script": script, "args": [] })))
    }

    /// Reloads the page until it satisfies a condition; what it said then. Panics with what it says at the deadline.
    pub(crate) fn wait(
        &self,
        address: &str,
        patience: Duration,
        what: &str,
        satisfied: impl Fn(&Self) -> bool,
    ) -> String {
        let deadline = Instant::now() + patience;
        loop {
            self.open(address);
            if satisfied(self) {
                return self.text();
            }
            assert!(
                Instant::now() < deadline,
                "{address} does not show {what} within {patience:?}; it says:\n{}",
                self.text()
            );
            std::thread::sleep(Duration::from_millis(500));
        }
    }

    /// A picture of the whole window, as PNG in base64.
    pub(crate) fn screenshot(&self) -> String {
        self.command("GET", "/screenshot", None).as_str().unwrap_or_default().to_owned()
    }

    /// Runs a command of the Chrome DevTools protocol, for what WebDriver has no word: the size of the page itself, themes,
    /// keys.
    pub(crate) fn devtools(&self, command: &str, parameters: &Value) -> Value {
        let body = json!({ "cmd": command, "params": parameters });
        self.command("POST", "/goog/cdp/execute", Some(&body))
    }

    fn command(&self, method: &str, path: &str, body: Option<&Value>) -> Value {
        request(method, &format!("{}{path}", self.session), body)
            .unwrap_or_else(|problem| panic!("the browser cannot do {path}: {problem}"))
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // Ends Chromium; killing the driver alone would leave it.
        let _ = request("DELETE", &self.session, None);
        let _ = self.driver.kill();
        let _ = self.driver.wait();
    }
}

/// The port that chromedriver chose, from its first lines.
fn announced_port(driver: &mut Child) -> u16 {
    let output = driver.stdout.take().expect("its output is piped");
    let mut lines = BufReader::new(output).lines();
    let port = lines
        .by_ref()
        .map_while(Result::ok)
        .find_map(|line| {
            line.split("started successfully on port ").nth(1)?.trim_end_matches('.').parse().ok()
        })
        .expect("chromedriver says its port");
    // Whatever else it says goes nowhere, but must go, or it would block.
    std::thread::spawn(move || lines.for_each(drop));
    port
}

/// One request to the driver; the value it answers with, or its problem.
fn request(method: &str, address: &str, body: Option<&Value>) -> Result<Value, String> {
    let mut handle = Easy::new();
    let mut prepare = || {
        handle.url(address)?;
        handle.custom_request(method)?;
        handle.timeout(Duration::from_secs(60))?;
        // A proxy of the machine has nothing to do with it.
        handle.noproxy("*")?;
        if let Some(body) = body {
            let mut headers = List::new();
            headers.append("Content-Type: application/json")?;
            handle.http_headers(headers)?;
            handle.post_fields_copy(body.to_string().as_bytes())?;
            handle.custom_request(method)?;
        }
        Ok::<(), curl::Error>(())
    };
    prepare().map_err(|error| error.to_string())?;
    let mut answer = Vec::new();
    {
        let mut transfer = handle.transfer();
        transfer
            .write_function(|data| {
                answer.extend_from_slice(data);
                Ok(data.len())
            })
            .map_err(|error| error.to_string())?;
        transfer.perform().map_err(|error| error.to_string())?;
    }
    let answer: Value = serde_json::from_slice(&answer).map_err(|error| error.to_string())?;
    let value = answer["value"].clone();
    match value["message"].as_str() {
        Some(message) if value.get("error").is_some() => Err(message.to_owned()),
        _ => Ok(value),
    }
}
