//! Tags, targets, groups and external repositories.

use serde::{Deserialize, Serialize};

use crate::xmlrpc::{Struct, Value};

/// A tag (getTag). Nothing in it is inherited.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Tag {
    /// Number of the tag.
    pub id: i64,
    /// Its name.
    pub name: String,
    /// Architectures, separated by spaces; none or empty if unset.
    pub arches: Option<String>,
    /// Whatever administrators wrote down.
    pub extra: Option<Struct>,
    /// Whether nothing may be tagged.
    pub locked: bool,
    /// The permission that tagging needs.
    pub perm: Option<String>,
    /// Its number.
    pub perm_id: Option<i64>,
}

/// What a tag means for builds (getBuildConfig): architectures and extra are inherited.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct BuildConfig {
    /// Number of the tag.
    pub id: i64,
    /// Its name.
    pub name: String,
    /// Architectures, separated by spaces; none or empty if unset.
    pub arches: Option<String>,
    /// Whatever administrators wrote down.
    pub extra: Option<Struct>,
    /// From which tags the values come.
    pub config_inheritance: Option<Value>,
}

impl Tag {
    /// The architectures one by one.
    pub fn arch_list(&self) -> Vec<&str> {
        words(self.arches.as_deref())
    }
}

impl BuildConfig {
    /// The architectures one by one.
    pub fn arch_list(&self) -> Vec<&str> {
        words(self.arches.as_deref())
    }
}

fn words(text: Option<&str>) -> Vec<&str> {
    text.unwrap_or_default().split_whitespace().collect()
}

/// A build target: from which tag builds are made and into which they go (getBuildTarget).
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct BuildTarget {
    /// Number of the target.
    pub id: i64,
    /// Its name.
    pub name: String,
    /// The tag that makes up the buildroot.
    pub build_tag: i64,
    /// Its name.
    pub build_tag_name: String,
    /// The tag that builds go into.
    pub dest_tag: i64,
    /// Its name.
    pub dest_tag_name: String,
}

/// A group of a tag (getTagGroups): inheritance followed, what is blocked left out.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct TagGroup {
    /// Number of the group.
    pub group_id: i64,
    /// Its name, such as `build`.
    pub name: String,
    /// The name that people see.
    pub display_name: Option<String>,
    /// A description.
    pub description: Option<String>,
    /// The tag that defines it.
    pub tag_id: i64,
    /// Whether it is written to repositories.
    pub exported: Option<bool>,
    /// Whether installers show it.
    pub uservisible: Option<bool>,
    /// Whether installers choose it.
    pub is_default: Option<bool>,
    /// As in comps.
    pub biarchonly: Option<bool>,
    /// As in comps.
    pub langonly: Option<String>,
    /// Whether it is blocked; the hub leaves such groups out.
    pub blocked: bool,
    /// Its packages.
    pub packagelist: Vec<GroupPackage>,
    /// Groups in it; build groups of the field have none.
    #[serde(default)]
    pub grouplist: Vec<Value>,
}

/// What a package is to its group.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum GroupPackageType {
    /// Always installed.
    Mandatory,
    /// Installed.
    Default,
    /// Not installed.
    Optional,
    /// Installed with another package; not in buildroots.
    Conditional,
}

impl GroupPackageType {
    /// Koji's word for it.
    pub fn name(self) -> &'static str {
        match self {
            GroupPackageType::Mandatory => "mandatory",
            GroupPackageType::Default => "default",
            GroupPackageType::Optional => "optional",
            GroupPackageType::Conditional => "conditional",
        }
    }
}

/// A package in a group.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct GroupPackage {
    /// Its name.
    pub package: String,
    /// What it is to the group.
    #[serde(rename = "type")]
    pub kind: GroupPackageType,
    /// Whether it is blocked; the hub leaves such packages out.
    pub blocked: bool,
    /// The tag that put it there.
    pub tag_id: i64,
    /// The group.
    pub group_id: i64,
    /// As in comps.
    pub basearchonly: Option<bool>,
    /// For a conditional package: with which.
    pub requires: Option<String>,
}

/// A repository outside of the hub (createExternalRepo, getExternalRepo).
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct ExternalRepo {
    /// Its number.
    pub id: i64,
    /// Its name.
    pub name: String,
    /// Its address; the hub makes it end with a slash.
    pub url: String,
}

/// An external repository of a tag (getTagExternalRepos).
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct TagExternalRepo {
    /// The repository's number.
    pub external_repo_id: i64,
    /// Its name.
    pub external_repo_name: String,
    /// Its address.
    pub url: String,
    /// Its place among the tag's external repositories; the lowest first.
    pub priority: i64,
    /// How it is merged: `koji` or `bare`, for instance.
    pub merge_mode: Option<String>,
    /// The architectures that it is used for; none means all (newer hubs).
    pub arches: Option<String>,
    /// The tag.
    pub tag_id: i64,
    /// Its name.
    pub tag_name: String,
}
