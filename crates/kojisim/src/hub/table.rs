//! All methods of the hub, with their signatures (in the real hub's order of parameters).

use super::arguments::{Answer, Signature};
use super::{Call, builds, changes, queries, rpms, tags, tasks};

pub(super) struct Entry {
    pub(super) name: &'static str,
    pub(super) signature: Signature,
    pub(super) run: fn(&mut Call<'_>) -> Answer,
}

pub(super) fn find(name: &str) -> Option<&'static Entry> {
    METHODS.iter().find(|entry| entry.name == name)
}

const fn entry(
    name: &'static str,
    python: &'static str,
    parameters: &'static str,
    run: fn(&mut Call<'_>) -> Answer,
) -> Entry {
    Entry { name, signature: Signature { python, parameters }, run }
}

const LIST_BUILDS: &str = "packageID? userID? taskID? prefix? state? volumeID? source? createdBefore? createdAfter? \
                           completeBefore? completeAfter? type? typeInfo? queryOpts? pattern? cgID? draft?";

#[rustfmt::skip]
pub(super) const METHODS: &[Entry] = &[
    entry("_listapi", "DispatchTable._listapi", "", queries::list_api),
    entry("system.listMethods", "DispatchTable.system_listMethods", "", queries::list_methods),
    entry("getAPIVersion", "RootExports.getAPIVersion", "", queries::api_version),
    entry("getKojiVersion", "RootExports.getKojiVersion", "", queries::koji_version),
    entry("getEvent", "RootExports.getEvent", "id", queries::get_event),
    entry("getLastEvent", "RootExports.getLastEvent", "before?", queries::get_last_event),
    entry("getLoggedInUser", "RootExports.getLoggedInUser", "", queries::logged_in_user),
    entry("getUser", "get_user", "userInfo? strict? krb_princs? groups?", queries::get_user),
    entry("getUserPerms", "RootExports.getUserPerms", "userID? with_groups?", queries::user_perms),
    entry("getPerms", "RootExports.getPerms", "", queries::own_perms),
    // tags, targets, packages
    entry("getTag", "get_tag", "tagInfo strict? event? blocked?", tags::get_tag),
    entry("getTagID", "get_tag_id", "info strict? create?", tags::get_tag_id),
    entry("listTags", "RootExports.listTags", "build? package? perms? queryOpts? pattern?", tags::list_tags),
    entry("getFullInheritance", "readFullInheritance", "tag event? reverse?", tags::full_inheritance),
    entry("getInheritanceData", "readInheritanceData", "tag event?", tags::inheritance_data),
    entry("getBuildConfig", "RootExports.getBuildConfig", "tag event?", tags::build_config),
    entry("getBuildTarget", "get_build_target", "info event? strict?", tags::build_target),
    entry("getBuildTargets", "get_build_targets", "info? event? buildTagID? destTagID? queryOpts?", tags::build_targets),
    entry("getPackage", "lookup_package", "info strict? create?", tags::get_package),
    entry("getPackageID", "get_package_id", "info strict?", tags::get_package_id),
    entry("getPackageConfig", "RootExports.getPackageConfig", "tag pkg event?", tags::package_config),
    entry("listPackages", "RootExports.listPackages", "tagID? userID? pkgID? prefix? inherited? with_dups? event? queryOpts? with_owners? with_blocked?", tags::list_packages),
    entry("listPackagesSimple", "RootExports.listPackagesSimple", "prefix? queryOpts?", tags::list_packages_simple),
    entry("getTagGroups", "readTagGroups", "tag event? inherit? incl_pkgs? incl_reqs? incl_blocked?", tags::tag_groups),
    entry("getTagExternalRepos", "get_tag_external_repos", "tag_info? repo_info? event?", tags::tag_external_repos),
    entry("getExternalRepo", "get_external_repo", "info strict? event?", tags::external_repo),
    // builds and rpms
    entry("getBuild", "get_build", "buildInfo strict?", builds::get_build),
    entry("listBuilds", "RootExports.listBuilds", LIST_BUILDS, builds::list_builds),
    entry("listTagged", "RootExports.listTagged", "tag event? inherit? prefix? latest? package? owner? type? strict? extra? draft?", builds::list_tagged),
    entry("listTaggedRPMS", "RootExports.listTaggedRPMS", "tag event? inherit? latest? package? arch? rpmsigs? owner? type? strict? extra? draft?", builds::list_tagged_rpms),
    entry("getLatestBuilds", "RootExports.getLatestBuilds", "tag event? package? type? draft?", builds::latest_builds),
    entry("listRPMs", "list_rpms", "buildID? buildrootID? imageID? componentBuildrootID? hostID? arches? queryOpts? draft?", rpms::list_rpms),
    entry("listBuildRPMs", "RootExports.listBuildRPMs", "build", rpms::list_build_rpms),
    entry("getRPM", "get_rpm", "rpminfo strict? multi?", rpms::get_rpm),
    entry("getRPMDeps", "RootExports.getRPMDeps", "rpmID depType? queryOpts? strict?", rpms::rpm_deps),
    entry("getRPMHeaders", "RootExports.getRPMHeaders", "rpmID? taskID? filepath? headers? strict?", rpms::rpm_headers),
    entry("queryRPMSigs", "query_rpm_sigs", "rpm_id? sigkey? queryOpts?", queries::nothing),
    entry("getChangelogEntries", "RootExports.getChangelogEntries", "buildID? taskID? filepath? author? before? after? queryOpts? strict?", queries::nothing),
    entry("listArchives", "list_archives", "buildID? buildrootID? componentBuildrootID? hostID? type? filename? size? checksum? checksum_type? typeInfo? queryOpts? imageID? archiveID? strict?", queries::nothing),
    entry("listBuildroots", "RootExports.listBuildroots", "hostID? tagID? state? rpmID? archiveID? taskID? buildrootID? queryOpts?", queries::nothing),
    entry("getMavenBuild", "get_maven_build", "buildInfo strict?", queries::nil),
    entry("getWinBuild", "get_win_build", "buildInfo strict?", queries::nil),
    entry("getImageBuild", "get_image_build", "buildInfo strict?", queries::nil),
    entry("queryHistory", "query_history", "tables? *", queries::query_history),
    // repos
    entry("getRepo", "RootExports.getRepo", "tag state? event? dist? min_event?", queries::get_repo),
    entry("repoInfo", "repo_info", "repo_id strict?", queries::get_repo_info),
    entry("repo.get", "RepoExports.get", "tag min_event? at_event? opts?", queries::repo_get),
    entry("repoExpire", "RootExports.repoExpire", "repo_id", changes::repo_expire),
    entry("repoDelete", "RootExports.repoDelete", "repo_id", changes::repo_delete),
    entry("repo.setState", "RepoExports.setState", "repo_id state", changes::repo_set_state),
    entry("newRepo", "RootExports.newRepo", "tag event? src? debuginfo? separate_src?", changes::new_repo),
    // tasks
    entry("getTaskInfo", "TaskExports.getTaskInfo", "task_id request? strict?", tasks::task_info),
    entry("getTaskChildren", "RootExports.getTaskChildren", "task_id request? strict?", tasks::task_children),
    entry("getTaskDescendents", "RootExports.getTaskDescendents", "task_id request?", tasks::task_descendents),
    entry("getTaskResult", "RootExports.getTaskResult", "taskId raise_fault?", tasks::task_result),
    entry("getTaskRequest", "RootExports.getTaskRequest", "taskId", tasks::task_request),
    entry("taskFinished", "RootExports.taskFinished", "taskId", tasks::task_finished),
    entry("listTasks", "RootExports.listTasks", "opts? queryOpts?", tasks::list_tasks),
    entry("listTaskOutput", "list_task_output", "taskID stat? all_volumes? strict?", tasks::list_output),
    entry("downloadTaskOutput", "RootExports.downloadTaskOutput", "taskID fileName offset? size? volume?", tasks::download_output),
    entry("build", "RootExports.build", "src target opts? priority? channel?", tasks::build),
    entry("cancelTask", "RootExports.cancelTask", "task_id recurse?", tasks::cancel_task),
    entry("cancelTaskFull", "RootExports.cancelTaskFull", "task_id strict?", tasks::cancel_task_full),
    entry("cancelBuild", "RootExports.cancelBuild", "buildID strict?", tasks::cancel_build),
    // hosts
    entry("listHosts", "RootExports.listHosts", "arches? channelID? ready? enabled? userID? queryOpts?", queries::list_hosts),
    entry("getHost", "get_host", "hostInfo strict? event?", queries::get_host),
    entry("getChannel", "get_channel", "channelInfo strict?", queries::get_channel),
    entry("listChannels", "list_channels", "hostID? event? enabled?", queries::list_channels),
    // sessions
    entry("logout", "RootExports.logout", "session_id?", changes::logout),
    entry("exclusiveSession", "RootExports.exclusiveSession", "force?", changes::exclusive_session),
    // changes
    entry("createTag", "create_tag", "name parent? arches? perm? locked? maven_support? maven_include_all? extra?", changes::create_tag),
    entry("createBuildTarget", "create_build_target", "name build_tag dest_tag", changes::create_build_target),
    entry("groupListAdd", "grplist_add", "taginfo grpinfo block? force? *", changes::group_list_add),
    entry("groupPackageListAdd", "grp_pkg_add", "taginfo grpinfo pkg_name block? force? *", changes::group_package_list_add),
    entry("createExternalRepo", "create_external_repo", "name url", changes::create_external_repo),
    entry("addExternalRepoToTag", "add_external_repo_to_tag", "tag_info repo_info priority merge_mode? arches?", changes::add_external_repo),
    entry("removeExternalRepoFromTag", "remove_external_repo_from_tag", "tag_info repo_info", changes::remove_external_repo),
    entry("tagBuild", "RootExports.tagBuild", "tag build force? fromtag?", changes::tag_build),
    entry("tagBuildBypass", "RootExports.tagBuildBypass", "tag build force? notify?", changes::tag_build_bypass),
    entry("untagBuild", "RootExports.untagBuild", "tag build strict? force?", changes::untag_build),
    entry("untagBuildBypass", "RootExports.untagBuildBypass", "tag build strict? force? notify?", changes::untag_build),
    entry("packageListAdd", "pkglist_add", "taginfo pkginfo owner? block? extra_arches? force? update?", changes::package_list_add),
    entry("packageListBlock", "pkglist_block", "taginfo pkginfo force?", changes::package_list_block),
    entry("packageListUnblock", "pkglist_unblock", "taginfo pkginfo force?", changes::package_list_unblock),
];
