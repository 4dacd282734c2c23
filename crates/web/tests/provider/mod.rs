//! A provider of OpenID Connect, as strict as a real one (OpenID Connect Core 1.0; RFC 6749; RFC 7636), which can be told to
//! say something wrong.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use axum::extract::{Form, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

/// What the provider does wrong, or differently.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Trick {
    None,
    NameOnlyAtUserinfo,
    SecretInForm,
    OtherNonce,
    OtherAudience,
    OtherIssuer,
    Expired,
    OtherSubjectAtUserinfo,
    NoName,
    CodeRefused,
    NoToken,
    Broken,
}

struct Inside {
    address: String,
    trick: Trick,
    /// What each code that was not used yet was given for.
    codes: HashMap<String, HashMap<String, String>>,
}

#[derive(Clone)]
pub(crate) struct Provider(Arc<Mutex<Inside>>);

type Parameters = HashMap<String, String>;

impl Provider {
    pub(crate) async fn start() -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}/id", listener.local_addr().unwrap());
        let provider = Self(Arc::new(Mutex::new(Inside {
            address,
            trick: Trick::None,
            codes: HashMap::new(),
        })));
        let router = Router::new()
            .route("/id/.well-known/openid-configuration", get(describe))
            .route("/id/token", post(token))
            .route("/id/userinfo", get(userinfo))
            .with_state(provider.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        provider
    }

    pub(crate) fn issuer(&self) -> String {
        // Configured with a slash at the end, as Fedora's is.
        format!("{}/", self.0.lock().unwrap().address)
    }

    pub(crate) fn play(&self, trick: Trick) {
        self.0.lock().unwrap().trick = trick;
    }

    /// What happens when somebody is sent here and types the right password: where they are sent back to.
    pub(crate) async fn log_in(&self, address: &str) -> String {
        let mut inside = self.0.lock().unwrap();
        let (endpoint, query) = address.split_once('?').unwrap();
        assert_eq!(endpoint, format!("{}/authorize", inside.address));
        let asked: Parameters = form_urlencoded::parse(query.as_bytes()).into_owned().collect();
        for (name, value) in [
            ("response_type", "code"),
            ("client_id", "koschei"),
            ("redirect_uri", "http://koschei.example.org/koschei/login/oidc"),
            ("scope", "openid profile"),
            ("code_challenge_method", "S256"),
        ] {
            assert_eq!(asked[name], value, "{address}");
        }
        assert!(asked["state"].len() >= 16 && asked["nonce"].len() >= 16);
        assert_eq!(asked["code_challenge"].len(), 43);
        let code = format!("code{}", inside.codes.len());
        let back = format!("{}?code={code}&state={}", asked["redirect_uri"], asked["state"]);
        inside.codes.insert(code, asked);
        back
    }
}

async fn describe(State(provider): State<Provider>) -> Json<Value> {
    let inside = provider.0.lock().unwrap();
    let address = &inside.address;
    let method = if inside.trick == Trick::SecretInForm {
        "client_secret_post"
    } else {
        "client_secret_basic"
    };
    Json(json!({
        "token_endpoint_auth_methods_supported": [method],
        "issuer": format!("{address}/"),
        "authorization_endpoint": format!("{address}/authorize"),
        "token_endpoint": format!("{address}/token"),
        "userinfo_endpoint": format!("{address}/userinfo"),
        "jwks_uri": format!("{address}/jwks"),
        "response_types_supported": ["code"],
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": ["RS256"],
    }))
}

fn refusal(error: &str) -> Response {
    (StatusCode::BAD_REQUEST, Json(json!({ "error": error }))).into_response()
}

async fn token(
    State(provider): State<Provider>,
    headers: HeaderMap,
    Form(form): Form<Parameters>,
) -> Response {
    let mut inside = provider.0.lock().unwrap();
    let trick = inside.trick;
    if trick == Trick::Broken {
        return StatusCode::BAD_GATEWAY.into_response();
    }
    // The client's name and secret are encoded as in forms before they are put together (RFC 6749, section 2.3.1).
    let in_form = form.get("client_secret").is_some_and(|secret| secret == "s%cret/+");
    let right = format!("Basic {}", STANDARD.encode("koschei:s%25cret%2F%2B"));
    let basic = headers.get(header::AUTHORIZATION).is_some_and(|value| *value == right);
    if (trick == Trick::SecretInForm) != in_form || basic == in_form {
        return (StatusCode::UNAUTHORIZED, Json(json!({ "error": "invalid_client" })))
            .into_response();
    }
    if form["grant_type"] != "authorization_code" {
        return refusal("unsupported_grant_type");
    }
    let Some(asked) = inside.codes.remove(&form["code"]) else {
        return refusal("invalid_grant");
    };
    let challenge = URL_SAFE_NO_PAD.encode(Sha256::digest(&form["code_verifier"]));
    let verifier = form["code_verifier"].len();
    if trick == Trick::CodeRefused
        || form["redirect_uri"] != asked["redirect_uri"]
        || challenge != asked["code_challenge"]
        || !(43..=128).contains(&verifier)
    {
        return refusal("invalid_grant");
    }
    let now = chrono::Utc::now().timestamp();
    let mut claims = json!({
        "iss": format!("{}/", inside.address), "sub": "0815", "aud": "koschei", "nonce": asked["nonce"],
        "iat": now, "exp": now + 600, "nickname": "packager",
    });
    match trick {
        Trick::NameOnlyAtUserinfo | Trick::OtherSubjectAtUserinfo | Trick::NoName => {
            claims.as_object_mut().unwrap().remove("nickname");
        }
        Trick::OtherNonce => claims["nonce"] = json!("another"),
        Trick::OtherAudience => claims["aud"] = json!("another"),
        Trick::OtherIssuer => claims["iss"] = json!("https://evil.example"),
        Trick::Expired => claims["exp"] = json!(now - 120),
        _ => {}
    }
    let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let id_token = format!("{}.{}.c2lnbmF0dXJl", part(&json!({ "alg": "RS256" })), part(&claims));
    if trick == Trick::NoToken {
        return Json(json!({ "access_token": "access", "token_type": "Bearer" })).into_response();
    }
    Json(json!({ "access_token": "access", "token_type": "Bearer", "expires_in": 600, "id_token": id_token }))
        .into_response()
}

async fn userinfo(State(provider): State<Provider>, headers: HeaderMap) -> Response {
    if headers.get(header::AUTHORIZATION).is_none_or(|value| value != "Bearer access") {
        return StatusCode::UNAUTHORIZED.into_response();
    }
    match provider.0.lock().unwrap().trick {
        Trick::OtherSubjectAtUserinfo => Json(json!({ "sub": "4711", "nickname": "packager" })),
        Trick::NoName => Json(json!({ "sub": "0815" })),
        _ => Json(json!({ "sub": "0815", "nickname": "packager" })),
    }
    .into_response()
}
