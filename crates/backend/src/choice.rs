//! For which architectures a package is built: what the scheduler and `koschei-admin submit-build` ask Koji before they
//! submit (spec/services.md, "scheduler" and section 4).

use std::collections::{HashMap, HashSet};

use koji::calls;
use koji::types::Nvra;
use koschei_core::architectures::architectures;
use koschei_db::entities::Collection;

use crate::context::Context;
use crate::error::{Error, Result};

/// A package and the build that is to be repeated: its last complete one.
#[derive(Debug, Clone, Copy)]
pub struct Buildable<'a> {
    /// Name of the package.
    pub name: &'a str,
    /// Version of the build.
    pub version: &'a str,
    /// Release of the build.
    pub release: &'a str,
    /// Architectures set by hand.
    pub arch_override: Option<&'a str>,
}

/// Where a package may be built.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Choice {
    /// Koji has no source package of the build.
    NoSrpm,
    /// There is a source package.
    Of {
        /// The architectures that are left; none when it can be built nowhere.
        arches: Vec<String>,
        /// Those of the build tag, which they were chosen from.
        tag_arches: Vec<String>,
    },
}

/// What Koji tells about build tags and targets, asked once each: for one round, because it may change.
#[derive(Debug, Default)]
pub struct BuildTags {
    arches: HashMap<String, Vec<String>>,
    /// Build targets that are known to be there.
    targets: HashSet<String>,
}

impl BuildTags {
    /// For which architectures a package of this collection is to be built.
    ///
    /// # Errors
    /// When Koji is away, or the collection's target or build tag is not there.
    pub async fn choose(
        &mut self,
        ctx: &Context,
        collection: &Collection,
        build: &Buildable<'_>,
    ) -> Result<Choice> {
        self.check_target(ctx, collection).await?;
        let koji = ctx.koji_of(collection.secondary_mode).await?;
        let source = Nvra::source(build.name, build.version, build.release);
        let Some(headers) = koji.call(calls::get_arch_headers(source)).await? else {
            return Ok(Choice::NoSrpm);
        };
        let tag_arches = self.arches(ctx, &collection.build_tag).await?;
        let tag: Vec<&str> = tag_arches.iter().map(String::as_str).collect();
        let configured = &ctx.config.koji_config.build_arches;
        let arches = architectures(&tag, &headers, build.arch_override, configured);
        Ok(Choice::Of { arches, tag_arches })
    }

    /// Sees that the collection's build target is there. Koji takes builds for any target and then fails them at once, and
    /// would go on doing so with whatever package is the most urgent one.
    async fn check_target(&mut self, ctx: &Context, collection: &Collection) -> Result<()> {
        let target = &collection.target;
        if ctx.config.koji_config.build_from_repo_id || self.targets.contains(target) {
            return Ok(());
        }
        let koji = ctx.koji_that_builds().await?;
        if koji.call(calls::get_build_target(target)).await?.is_none() {
            return Err(Error::Collection(format!(
                "Koji has no build target {target}, so nothing is built in collection {}; \
                 see koschei-admin edit-collection",
                collection.name
            )));
        }
        self.targets.insert(target.clone());
        Ok(())
    }

    /// Architectures of a build tag, from the Koji that builds.
    ///
    /// # Errors
    /// When Koji is away, or the tag is not there.
    pub async fn arches(&mut self, ctx: &Context, tag: &str) -> Result<Vec<String>> {
        if let Some(arches) = self.arches.get(tag) {
            return Ok(arches.clone());
        }
        let koji = ctx.koji_that_builds().await?;
        let config = match koji.call(calls::get_build_config(tag, None)).await {
            Err(error) if !error.is_transient() => {
                return Err(Error::Collection(format!(
                    "the build tag {tag} cannot be used: {error}"
                )));
            }
            config => config?,
        };
        let arches: Vec<String> = config.arch_list().into_iter().map(str::to_owned).collect();
        self.arches.insert(tag.to_owned(), arches.clone());
        Ok(arches)
    }
}
