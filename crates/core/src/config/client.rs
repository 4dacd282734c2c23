//! From the keys of a `koji_config` section to what Koji's client needs.

use std::time::Duration;

use koji::{ClientConfig, Login, SessionOptions};

use super::{FreeForm, KojiConfig, LoginMethod};

/// A free-form table of a Koji section that lacks something or holds something wrong.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("koji_config.{key} {problem}")]
pub struct ClientProblem {
    /// The table.
    pub key: &'static str,
    /// The end of the sentence.
    pub problem: String,
}

impl KojiConfig {
    /// What Koji's client needs to know.
    ///
    /// # Errors
    /// When the login or a session option is incomplete or wrong; a configuration that was loaded has neither.
    pub fn client_config(&self) -> Result<ClientConfig, ClientProblem> {
        Ok(ClientConfig {
            server: self.server.clone(),
            topurl: self.topurl.clone(),
            weburl: self.weburl.clone(),
            login: self.login()?,
            server_ca: self.login_args.text("serverca").map(Into::into),
            session: session_options(&self.session_opts)?,
            multicall_chunk_size: self.multicall_chunk_size,
            ..ClientConfig::anonymous(&self.server)
        })
    }

    /// The same hub without login, as a secondary Koji is always asked.
    ///
    /// # Errors
    /// As [`KojiConfig::client_config`].
    pub fn anonymous_client_config(&self) -> Result<ClientConfig, ClientProblem> {
        let anonymous = Self { login_method: LoginMethod::Logout, ..self.clone() };
        anonymous.client_config()
    }

    fn login(&self) -> Result<Login, ClientProblem> {
        let text = |key: &str| self.login_args.text(key);
        let needed = |key: &str| {
            text(key).ok_or_else(|| {
                let method = match self.login_method {
                    LoginMethod::SslLogin => "ssl_login",
                    _ => "login",
                };
                let problem = format!("must have {key}, because login_method is {method}");
                ClientProblem { key: "login_args", problem }
            })
        };
        Ok(match self.login_method {
            LoginMethod::Logout => Login::Anonymous,
            LoginMethod::Login => Login::Password {
                user: needed("user")?.to_owned(),
                password: koji::Secret::new(needed("password")?),
            },
            LoginMethod::SslLogin => Login::Certificate { cert: needed("cert")?.into() },
            LoginMethod::GssapiLogin => Login::Gssapi {
                principal: text("principal").map(str::to_owned),
                keytab: text("keytab").map(Into::into),
                ccache: text("ccache").map(str::to_owned),
            },
        })
    }
}

fn session_options(options: &FreeForm) -> Result<SessionOptions, ClientProblem> {
    let wrong = |key: &str, wanted: &str| ClientProblem {
        key: "session_opts",
        problem: format!("must have {wanted} as {key}"),
    };
    let usual = SessionOptions::default();
    let seconds = |key: &str, usual: Duration| match options.get(key) {
        None => Ok(usual),
        Some(value) => value
            .as_f64()
            .and_then(|seconds| Duration::try_from_secs_f64(seconds).ok())
            .ok_or_else(|| wrong(key, "a number of seconds")),
    };
    let truth = |key: &str, usual: bool| match options.get(key) {
        None => Ok(usual),
        Some(value) => value.as_bool().ok_or_else(|| wrong(key, "true or false")),
    };
    let max_retries = match options.get("max_retries") {
        None => usual.max_retries,
        Some(value) => value
            .as_u64()
            .and_then(|number| u32::try_from(number).ok())
            .ok_or_else(|| wrong("max_retries", "a whole number"))?,
    };
    Ok(SessionOptions {
        timeout: seconds("timeout", usual.timeout)?,
        max_retries,
        retry_interval: seconds("retry_interval", usual.retry_interval)?,
        anon_retry: truth("anon_retry", usual.anon_retry)?,
        offline_retry: truth("offline_retry", usual.offline_retry)?,
        offline_retry_interval: seconds("offline_retry_interval", usual.offline_retry_interval)?,
        give_up_after: usual.give_up_after,
        sign_of_life_after: usual.sign_of_life_after,
    })
}
