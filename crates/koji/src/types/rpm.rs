//! RPM packages as the hub's database knows them.

use serde::{Deserialize, Serialize};

use super::numbered;
use crate::xmlrpc::{Struct, Value};

/// An RPM (listRPMs).
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Rpm {
    /// Number of the RPM.
    pub id: i64,
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// Its release.
    pub release: String,
    /// Its architecture; `src` for a source package.
    pub arch: String,
    /// Its epoch.
    pub epoch: Option<i64>,
    /// `name-version-release`.
    pub nvr: String,
    /// The build that it belongs to; none for an RPM of an external repository.
    pub build_id: Option<i64>,
    /// The buildroot that it was built in; none if imported.
    pub buildroot_id: Option<i64>,
    /// Bytes.
    pub size: Option<i64>,
    /// Seconds since 1970.
    pub buildtime: Option<i64>,
    /// MD5 of the header and payload, as RPM's `SIGMD5`.
    pub payloadhash: Option<String>,
    /// 0 for the hub's own.
    pub external_repo_id: Option<i64>,
    /// `INTERNAL` for the hub's own.
    pub external_repo_name: Option<String>,
    /// Whether the file itself is missing.
    pub metadata_only: Option<bool>,
    /// Whether it belongs to a draft build.
    #[serde(default)]
    pub draft: bool,
    /// Whatever else builders wrote down.
    pub extra: Option<Value>,
}

impl Rpm {
    /// What names this RPM in other calls.
    pub fn nvra(&self) -> Nvra {
        Nvra {
            name: self.name.clone(),
            version: self.version.clone(),
            release: self.release.clone(),
            arch: self.arch.clone(),
        }
    }
}

/// What names an RPM in calls about it. Koji ignores the epoch there.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub struct Nvra {
    /// Name.
    pub name: String,
    /// Version.
    pub version: String,
    /// Release.
    pub release: String,
    /// Architecture, `src` for a source package. Without it a hub fails with an unexpected exception.
    pub arch: String,
}

impl Nvra {
    /// A source package.
    pub fn source(
        name: impl Into<String>,
        version: impl Into<String>,
        release: impl Into<String>,
    ) -> Nvra {
        Nvra {
            name: name.into(),
            version: version.into(),
            release: release.into(),
            arch: "src".to_owned(),
        }
    }
}

/// How to name an RPM to a hub.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum RpmIdent {
    /// By its number.
    Id(i64),
    /// By what it is.
    Nvra(Nvra),
}

impl From<Nvra> for RpmIdent {
    fn from(nvra: Nvra) -> RpmIdent {
        RpmIdent::Nvra(nvra)
    }
}

impl From<RpmIdent> for Value {
    fn from(rpm: RpmIdent) -> Value {
        match rpm {
            RpmIdent::Id(id) => Value::Int(id),
            RpmIdent::Nvra(nvra) => Value::Struct(Struct::from([
                ("name", nvra.name.into()),
                ("version", nvra.version.into()),
                ("release", nvra.release.into()),
                ("arch", nvra.arch.into()),
            ])),
        }
    }
}

numbered! {
    /// The kind of a dependency.
    DepType, "type of a dependency" {
        /// Requires; of a source package: BuildRequires.
        Require = 0,
        /// Provides.
        Provide = 1,
        /// Obsoletes.
        Obsolete = 2,
        /// Conflicts.
        Conflict = 3,
        /// Suggests.
        Suggest = 4,
        /// Enhances.
        Enhance = 5,
        /// Supplements.
        Supplement = 6,
        /// Recommends.
        Recommend = 7,
    }
}

/// A dependency of an RPM (getRPMDeps).
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct RpmDep {
    /// The name; of a rich dependency the whole of it, such as `(gcc or clang)`.
    pub name: String,
    /// `[epoch:]version[-release]`, or empty.
    pub version: String,
    /// RPM's flags: see the constants here.
    pub flags: i64,
    /// Its kind.
    #[serde(rename = "type")]
    pub kind: DepType,
}

impl RpmDep {
    /// `<`
    pub const LESS: i64 = 2;
    /// `>`
    pub const GREATER: i64 = 4;
    /// `=`
    pub const EQUAL: i64 = 8;
    /// Found while building, not written in the spec file.
    pub const FIND_REQUIRES: i64 = 0x1_0000;
    /// `rpmlib(...)`: a feature of RPM itself.
    pub const RPMLIB: i64 = 0x100_0000;
}

/// The headers of an SRPM that decide for which architectures it builds (getRPMHeaders).
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct ArchHeaders {
    /// BuildArch in the spec file.
    #[serde(rename = "BUILDARCHS", default)]
    pub build_archs: Vec<String>,
    /// ExcludeArch in the spec file.
    #[serde(rename = "EXCLUDEARCH", default)]
    pub exclude_arch: Vec<String>,
    /// ExclusiveArch in the spec file.
    #[serde(rename = "EXCLUSIVEARCH", default)]
    pub exclusive_arch: Vec<String>,
}
