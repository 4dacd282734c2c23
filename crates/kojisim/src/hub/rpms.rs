//! Methods that ask about RPMs: files, dependencies, headers.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::Call;
use super::answers;
use super::arguments::{Answer, Fault, repr, wrong_type};
use super::builds::{limited, texts};
use crate::content;
use crate::rows::{Build, Rpm};

pub(super) fn list_rpms(call: &mut Call<'_>) -> Answer {
    let build = call.arguments.get("buildID").as_i64();
    let buildroot = call.arguments.get("buildrootID").as_i64();
    let arches = texts(call.arguments.get("arches"));
    let rpms: Vec<&Rpm> = call
        .engine
        .store
        .rpms
        .all()
        .filter(|rpm| {
            build.is_none_or(|build| rpm.build == build)
                && buildroot.is_none_or(|root| rpm.buildroot == Some(root))
                && arches.as_ref().is_none_or(|arches| arches.contains(&rpm.arch))
        })
        .collect();
    Ok(limited(call.arguments.get("queryOpts"), rpms)
        .into_iter()
        .map(|rpm| answers::rpm(call.engine, rpm))
        .collect())
}

pub(super) fn list_build_rpms(call: &mut Call<'_>) -> Answer {
    let info = call.arguments.get("build");
    let Some(build) = call.engine.find_build(info).map(|build| build.id) else {
        return Err(Fault::generic(format!("No such build: {}", repr(info))));
    };
    let rpms = call.engine.store.rpms.all().filter(|rpm| rpm.build == build);
    Ok(rpms.map(|rpm| answers::rpm(call.engine, rpm)).collect())
}

impl Call<'_> {
    /// An RPM by id, by `n-v-r.a`, or by a struct of name, version, release, arch (the epoch is not looked at).
    pub(super) fn find_rpm(&self, info: &Value) -> Result<Option<&Rpm>, Fault> {
        let store = &self.engine.store;
        let by_nvra = |name: &str, version: &str, release: &str, arch: &str| {
            let mut places =
                self.engine.places.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            places.update(store);
            let places = &*places;
            let in_build = |build: &Build| {
                let first = places.first_rpm_of(build.id)?;
                store
                    .rpms
                    .from(first)
                    .find(|rpm| rpm.build == build.id && rpm.name == name && rpm.arch == arch)
            };
            let is_it = |build: &&Build| build.version == version && build.release == release;
            // A source package has the name of its build; many builds have the same version.
            if arch == "src" {
                let builds = places.builds_of(name).filter_map(|id| store.builds.get(id));
                return builds.filter(is_it).find_map(in_build);
            }
            store.builds.all().rev().filter(is_it).find_map(in_build)
        };
        match info {
            Value::Number(id) => Ok(id.as_i64().and_then(|id| store.rpms.get(id))),
            Value::String(nvra) => {
                let text = nvra.trim_end_matches(".rpm");
                let parts = text.rsplit_once('.').and_then(|(nvr, arch)| {
                    let (nv, release) = nvr.rsplit_once('-')?;
                    let (name, version) = nv.rsplit_once('-')?;
                    Some((name, version, release, arch))
                });
                match parts {
                    Some((name, version, release, arch)) => {
                        Ok(by_nvra(name, version, release, arch))
                    }
                    None => {
                        Err(Fault::generic(format!("Invalid type for rpminfo: {}", repr(info))))
                    }
                }
            }
            Value::Object(members) => {
                if let Some(id) = members.get("id").and_then(Value::as_i64) {
                    return Ok(store.rpms.get(id));
                }
                let member = |name: &str| {
                    members
                        .get(name)
                        .and_then(Value::as_str)
                        .ok_or_else(|| Fault::new(1, format!("<class 'KeyError'>: '{name}'")))
                };
                Ok(by_nvra(
                    member("name")?,
                    member("version")?,
                    member("release")?,
                    member("arch")?,
                ))
            }
            other => Err(wrong_type(other, "dict")),
        }
    }
}

pub(super) fn get_rpm(call: &mut Call<'_>) -> Answer {
    let info = call.arguments.get("rpminfo");
    match call.find_rpm(info)? {
        Some(rpm) => Ok(answers::rpm(call.engine, rpm)),
        None if call.arguments.truth("strict") => {
            Err(Fault::generic(format!("No such rpm: {}", repr(info))))
        }
        None => Ok(Value::Null),
    }
}

/// Name, flags, version.
type Dependency = (String, i64, String);

/// Requirements that every RPM has: what it takes to unpack it.
fn rpmlib(contents: &content::Rpm) -> Vec<Dependency> {
    let mut features = vec![("CompressedFileNames", "3.0.4-1"), ("FileDigests", "4.6.0-1")];
    if contents.arch != "src" {
        features.push(("PayloadFilesHavePrefix", "4.0-1"));
    }
    let rich = [
        &contents.requires,
        &contents.recommends,
        &contents.suggests,
        &contents.supplements,
        &contents.enhances,
        &contents.conflicts,
    ];
    if rich.into_iter().flatten().any(|text| text.starts_with('(')) {
        features.push(("RichDependencies", "4.12.0-1"));
    }
    features
        .into_iter()
        .map(|(name, version)| (format!("rpmlib({name})"), 16_777_226, version.to_owned()))
        .collect()
}

/// Dependencies as the header has them: by type, sorted by name within it.
fn dependencies(contents: &content::Rpm) -> Vec<(i64, Vec<Dependency>)> {
    let split = |texts: &[String]| -> Vec<Dependency> {
        texts.iter().map(|text| content::split_dependency(text)).collect()
    };
    let mut requires = split(&contents.requires);
    requires.extend(split(&contents.requires_pre));
    requires.extend(rpmlib(contents));
    requires.sort();
    let mut provides = split(&contents.provides);
    if contents.arch == "src" {
        provides.push((contents.name.clone(), 8, contents.evr()));
    }
    provides.sort();
    vec![
        (0, requires),
        (1, provides),
        (3, split(&contents.conflicts)),
        (2, split(&contents.obsoletes)),
        (4, split(&contents.suggests)),
        (5, split(&contents.enhances)),
        (6, split(&contents.supplements)),
        (7, split(&contents.recommends)),
    ]
}

pub(super) fn rpm_deps(call: &mut Call<'_>) -> Answer {
    let info = call.arguments.get("rpmID");
    let wanted = call.arguments.get("depType").as_i64();
    let Some(rpm) = call.find_rpm(info)? else {
        return if call.arguments.truth("strict") {
            Err(Fault::generic(format!("No such rpm: {}", repr(info))))
        } else {
            Ok(json!([]))
        };
    };
    let Some(contents) = answers::contents_of(call.engine, rpm) else { return Ok(json!([])) };
    Ok(dependencies(&contents)
        .into_iter()
        .filter(|(kind, _)| wanted.is_none_or(|wanted| wanted == *kind))
        .flat_map(|(kind, list)| {
            list.into_iter().map(move |(name, flags, version)| {
                json!({"name": name, "version": version, "flags": flags, "type": kind})
            })
        })
        .collect())
}

pub(super) fn rpm_headers(call: &mut Call<'_>) -> Answer {
    let info = call.arguments.get("rpmID");
    let wanted = texts(call.arguments.get("headers")).unwrap_or_default();
    if info.is_null() {
        return Ok(json!({}));
    }
    let Some(rpm) = call.find_rpm(info)? else {
        return if call.arguments.truth("strict") {
            Err(Fault::generic(format!("No such rpm: {}", repr(info))))
        } else {
            Ok(json!({}))
        };
    };
    let Some(contents) = answers::contents_of(call.engine, rpm) else { return Ok(json!({})) };
    let arches = content::arch_headers(&call.engine.world, &contents.name);
    let is_source = contents.arch == "src";
    let requires: Vec<Dependency> = dependencies(&contents)
        .into_iter()
        .find(|(kind, _)| *kind == 0)
        .map(|(_, list)| list)
        .unwrap_or_default();
    let mut known: BTreeMap<&str, Value> = BTreeMap::new();
    known.insert("NAME", json!(contents.name));
    known.insert("VERSION", json!(contents.version));
    known.insert("RELEASE", json!(contents.release));
    known.insert("EPOCH", json!(contents.epoch));
    known.insert("ARCH", json!(if is_source { "x86_64" } else { &contents.arch }));
    known.insert("SUMMARY", json!(contents.summary));
    known.insert("DESCRIPTION", json!(contents.summary));
    known.insert("SIZE", json!(crate::buildroot::file_size(&contents)));
    known.insert("SOURCERPM", json!(contents.source_rpm));
    known.insert("BUILDARCHS", json!(if is_source { arches.build_archs } else { Vec::new() }));
    known
        .insert("EXCLUSIVEARCH", json!(if is_source { arches.exclusive_arch } else { Vec::new() }));
    known.insert("EXCLUDEARCH", json!(if is_source { arches.exclude_arch } else { Vec::new() }));
    known.insert("REQUIRENAME", requires.iter().map(|(name, _, _)| json!(name)).collect());
    known.insert("REQUIREFLAGS", requires.iter().map(|(_, flags, _)| json!(flags)).collect());
    known.insert("REQUIREVERSION", requires.iter().map(|(_, _, version)| json!(version)).collect());
    let mut answer = Map::new();
    for name in wanted {
        match known.get(name.to_uppercase().as_str()) {
            Some(value) => answer.insert(name, value.clone()),
            None => return Err(Fault::generic(format!("No such rpm header field: {name}"))),
        };
    }
    Ok(Value::Object(answer))
}
