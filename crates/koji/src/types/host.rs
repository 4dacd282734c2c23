//! Builders, their channels, and users.

use serde::{Deserialize, Serialize};

use super::Timestamp;

/// A builder (listHosts).
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Host {
    /// Number of the host.
    pub id: i64,
    /// Its name.
    pub name: String,
    /// Number of the user that it is.
    pub user_id: i64,
    /// The architectures that it builds for, separated by spaces.
    pub arches: Option<String>,
    /// How much load it takes.
    pub capacity: f64,
    /// How much it has.
    pub task_load: f64,
    /// Whether it takes new tasks.
    pub ready: bool,
    /// Whether the administrators let it.
    pub enabled: bool,
    /// When it was last heard of (hub 1.35).
    #[serde(default)]
    pub update_ts: Option<Timestamp>,
    /// A description.
    pub description: Option<String>,
    /// A comment.
    pub comment: Option<String>,
}

/// A channel: a set of builders (getChannel).
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Channel {
    /// Number of the channel.
    pub id: i64,
    /// Its name.
    pub name: String,
    /// A description (newer hubs).
    pub description: Option<String>,
    /// A comment (newer hubs).
    pub comment: Option<String>,
    /// Whether it takes tasks; none from older hubs, where every channel does.
    pub enabled: Option<bool>,
}

/// A user (getLoggedInUser).
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct User {
    /// Number of the user.
    pub id: i64,
    /// Its name.
    pub name: String,
    /// 0 normal, 1 blocked.
    pub status: i64,
    /// 0 normal, 1 host, 2 group.
    pub usertype: i64,
    /// How the session was made: 0 password, 1 old Kerberos, 2 certificate, 3 GSSAPI.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub authtype: Option<i64>,
    /// All Kerberos principals.
    #[serde(default)]
    pub krb_principals: Vec<String>,
    /// The first of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub krb_principal: Option<String>,
}
