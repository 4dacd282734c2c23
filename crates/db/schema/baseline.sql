-- The schema of the original implementation at its newest revision, c3e9459e893f: the ground on which our migrations
-- stand, and what an adopted database already has. Names and types are facts that other software relies on; never
-- change this file, write a migration instead (see src/schema/migrations.rs).

CREATE TYPE log_environment AS ENUM ('admin', 'backend', 'frontend');
CREATE TYPE rebuild_request_state
    AS ENUM ('new', 'in progress', 'scheduled', 'finished', 'failed');

CREATE TABLE alembic_version (
    version_num varchar(32) NOT NULL,
    CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num)
);
INSERT INTO alembic_version VALUES ('c3e9459e893f');

-- People and what they are told

CREATE TABLE "user" (
    id serial PRIMARY KEY,
    name varchar NOT NULL UNIQUE,
    admin boolean NOT NULL DEFAULT false
);

CREATE TABLE admin_notice (
    key varchar PRIMARY KEY,
    content varchar NOT NULL
);

-- Collections and packages

CREATE TABLE collection (
    id serial PRIMARY KEY,
    "order" integer NOT NULL DEFAULT 100,
    name varchar NOT NULL UNIQUE,
    display_name varchar NOT NULL,
    secondary_mode boolean NOT NULL DEFAULT false,
    target varchar NOT NULL,
    dest_tag varchar NOT NULL,
    build_tag varchar NOT NULL,
    bugzilla_product varchar,
    bugzilla_version varchar,
    priority_coefficient double precision NOT NULL DEFAULT '1',
    build_group varchar NOT NULL DEFAULT 'build',
    latest_repo_id integer,
    latest_repo_resolved boolean,
    poll_untracked boolean NOT NULL DEFAULT true,
    CONSTRAINT collection_latest_repo_id_check
        CHECK ((latest_repo_resolved IS NULL) = (latest_repo_id IS NULL))
);

CREATE TABLE collection_group (
    id serial PRIMARY KEY,
    name varchar NOT NULL UNIQUE,
    display_name varchar NOT NULL
);

CREATE TABLE collection_group_relation (
    group_id integer NOT NULL REFERENCES collection_group ON DELETE CASCADE,
    collection_id integer NOT NULL REFERENCES collection ON DELETE CASCADE,
    PRIMARY KEY (group_id, collection_id)
);

CREATE TABLE base_package (
    id serial PRIMARY KEY,
    name varchar NOT NULL UNIQUE,
    all_blocked boolean NOT NULL DEFAULT true
);

CREATE TABLE package (
    id serial PRIMARY KEY,
    base_id integer NOT NULL REFERENCES base_package ON DELETE CASCADE,
    name varchar NOT NULL,
    collection_id integer NOT NULL REFERENCES collection ON DELETE CASCADE,
    arch_override varchar,
    skip_resolution boolean NOT NULL DEFAULT false,
    last_complete_build_id integer,
    last_complete_build_state integer,
    last_build_id integer,
    resolved boolean,
    static_priority integer NOT NULL DEFAULT 0,
    manual_priority integer NOT NULL DEFAULT 0,
    build_priority integer NOT NULL DEFAULT 0,
    dependency_priority integer NOT NULL DEFAULT 0,
    tracked boolean NOT NULL DEFAULT false,
    blocked boolean NOT NULL DEFAULT false,
    scheduler_skip_reason integer,
    CONSTRAINT package_unique_in_collection UNIQUE (base_id, collection_id),
    CONSTRAINT package_skip_resolution_check CHECK (NOT skip_resolution OR resolved IS NULL)
);
CREATE INDEX ix_package_collection_id ON package (collection_id, tracked) WHERE NOT blocked;
CREATE INDEX ix_package_name ON package (name);

-- Groups of packages, and what was done to packages by whom

CREATE TABLE package_group (
    id serial PRIMARY KEY,
    namespace varchar,
    name varchar NOT NULL
);
CREATE UNIQUE INDEX ix_package_group_name ON package_group (namespace, name);

CREATE TABLE package_group_relation (
    group_id integer NOT NULL REFERENCES package_group ON DELETE CASCADE,
    base_id integer NOT NULL REFERENCES base_package ON DELETE CASCADE,
    PRIMARY KEY (group_id, base_id)
);
CREATE INDEX ix_package_group_relation_base_id ON package_group_relation (base_id);

CREATE TABLE group_acl (
    group_id integer NOT NULL REFERENCES package_group ON DELETE CASCADE,
    user_id integer NOT NULL REFERENCES "user" ON DELETE CASCADE,
    PRIMARY KEY (group_id, user_id)
);

CREATE TABLE log_entry (
    id serial PRIMARY KEY,
    user_id integer REFERENCES "user" ON DELETE CASCADE,
    environment log_environment NOT NULL,
    "timestamp" timestamp NOT NULL DEFAULT clock_timestamp(),
    message varchar NOT NULL,
    base_id integer REFERENCES base_package ON DELETE CASCADE,
    CONSTRAINT log_entry_user_id_check CHECK (user_id IS NOT NULL OR environment = 'backend')
);

-- Builds; state is 2 running, 3 complete, 5 failed

CREATE TABLE build (
    id serial PRIMARY KEY,
    package_id integer REFERENCES package ON DELETE CASCADE,
    state integer NOT NULL,
    task_id integer NOT NULL,
    started timestamp NOT NULL,
    finished timestamp,
    epoch integer,
    version varchar,
    release varchar,
    repo_id integer,
    last_complete boolean NOT NULL,
    cancel_requested boolean NOT NULL DEFAULT false,
    deps_resolved boolean,
    "real" boolean NOT NULL DEFAULT false,
    untagged boolean NOT NULL DEFAULT false,
    dependency_keys bytea,
    CONSTRAINT build_state_check CHECK (state IN (2, 3, 5)),
    CONSTRAINT build_real_complete_check CHECK (NOT "real" OR state <> 2),
    CONSTRAINT build_repo_id_check CHECK (state = 2 OR repo_id IS NOT NULL),
    CONSTRAINT build_version_check CHECK (state = 2 OR version IS NOT NULL),
    CONSTRAINT build_release_check CHECK (state = 2 OR release IS NOT NULL)
);
CREATE INDEX ix_build_composite ON build (package_id, started DESC);
CREATE INDEX ix_builds_last_complete ON build (package_id, task_id) WHERE last_complete;
CREATE INDEX ix_builds_unprocessed ON build (task_id)
    WHERE deps_resolved IS NULL AND repo_id IS NOT NULL;

ALTER TABLE package
    ADD CONSTRAINT fkey_package_last_build_id
        FOREIGN KEY (last_build_id) REFERENCES build ON DELETE SET NULL,
    ADD CONSTRAINT fkey_package_last_complete_build_id
        FOREIGN KEY (last_complete_build_id) REFERENCES build;

CREATE TABLE koji_task (
    id serial PRIMARY KEY,
    build_id integer NOT NULL REFERENCES build ON DELETE CASCADE,
    task_id integer NOT NULL,
    arch varchar NOT NULL,
    state integer NOT NULL,
    started timestamp NOT NULL,
    finished timestamp,
    CONSTRAINT koji_task_state_check CHECK (state >= 0 AND state <= 5)
);
CREATE INDEX ix_koji_task_build_id ON koji_task (build_id);

-- Dependencies and their changes

CREATE TABLE dependency (
    id serial PRIMARY KEY,
    name varchar NOT NULL,
    epoch integer,
    version varchar NOT NULL,
    release varchar NOT NULL,
    arch varchar NOT NULL
);
CREATE UNIQUE INDEX ix_dependency_composite ON dependency (name, epoch, version, release, arch);

CREATE TABLE applied_change (
    id serial PRIMARY KEY,
    build_id integer NOT NULL REFERENCES build ON DELETE CASCADE,
    prev_dep_id integer REFERENCES dependency,
    curr_dep_id integer REFERENCES dependency,
    distance integer,
    CONSTRAINT applied_change_dep_id_check
        CHECK (COALESCE(prev_dep_id, 0) <> COALESCE(curr_dep_id, 0))
);
CREATE INDEX ix_applied_change_build_id ON applied_change (build_id);
CREATE INDEX ix_applied_change_curr_dep_id ON applied_change (curr_dep_id);
CREATE INDEX ix_applied_change_prev_dep_id ON applied_change (prev_dep_id);

CREATE TABLE unapplied_change (
    id bigserial PRIMARY KEY,
    package_id integer NOT NULL REFERENCES package ON DELETE CASCADE,
    prev_dep_id integer REFERENCES dependency,
    curr_dep_id integer REFERENCES dependency,
    distance integer,
    CONSTRAINT unapplied_change_dep_id_check
        CHECK (COALESCE(prev_dep_id, 0) <> COALESCE(curr_dep_id, 0))
);
CREATE INDEX ix_unapplied_change_curr_dep_id ON unapplied_change (curr_dep_id);
CREATE INDEX ix_unapplied_change_package_id ON unapplied_change (package_id);
CREATE INDEX ix_unapplied_change_prev_dep_id ON unapplied_change (prev_dep_id);

-- Resolution

CREATE TABLE buildroot_problem (
    id serial PRIMARY KEY,
    collection_id integer REFERENCES collection ON DELETE CASCADE,
    problem varchar NOT NULL
);
CREATE INDEX ix_buildroot_problem_collection_id ON buildroot_problem (collection_id);

CREATE TABLE resolution_change (
    id serial PRIMARY KEY,
    resolved boolean NOT NULL,
    "timestamp" timestamp NOT NULL DEFAULT clock_timestamp(),
    package_id integer NOT NULL REFERENCES package ON DELETE CASCADE
);
CREATE INDEX ix_resolution_change_package_id ON resolution_change (package_id);

CREATE TABLE resolution_problem (
    id serial PRIMARY KEY,
    resolution_id integer NOT NULL REFERENCES resolution_change ON DELETE CASCADE,
    problem varchar NOT NULL
);
CREATE INDEX ix_resolution_problem_resolution_id ON resolution_problem (resolution_id);

CREATE TABLE repo_mapping (
    secondary_id serial PRIMARY KEY,
    primary_id integer,
    task_id integer NOT NULL
);

-- Statistics, rewritten by polling

CREATE TABLE resource_consumption_stats (
    name varchar NOT NULL,
    arch varchar NOT NULL,
    "time" interval,
    time_percentage double precision,
    PRIMARY KEY (name, arch)
);
CREATE INDEX ix_resource_consumption_stats_time ON resource_consumption_stats ("time");

CREATE TABLE scalar_stats (
    refresh_time timestamp PRIMARY KEY,
    packages integer NOT NULL,
    tracked_packages integer NOT NULL,
    blocked_packages integer NOT NULL,
    builds integer NOT NULL,
    real_builds integer NOT NULL,
    scratch_builds integer NOT NULL
);

-- Plugins: Copr and OSCI

CREATE TABLE copr_rebuild_request (
    id serial PRIMARY KEY,
    user_id integer NOT NULL REFERENCES "user" ON DELETE CASCADE,
    collection_id integer NOT NULL REFERENCES collection ON DELETE CASCADE,
    repo_source varchar NOT NULL,
    yum_repo varchar,
    "timestamp" timestamp NOT NULL DEFAULT clock_timestamp(),
    description varchar,
    repo_id integer,
    schedule_count integer,
    scheduler_queue_index integer,
    state rebuild_request_state NOT NULL DEFAULT 'new',
    error varchar
);

CREATE TABLE copr_rebuild (
    request_id integer NOT NULL REFERENCES copr_rebuild_request ON DELETE CASCADE,
    package_id integer NOT NULL REFERENCES package ON DELETE CASCADE,
    copr_build_id integer,
    prev_state integer NOT NULL,
    state integer,
    approved boolean,
    "order" integer NOT NULL,
    PRIMARY KEY (request_id, package_id),
    CONSTRAINT copr_rebuild_order UNIQUE (request_id, package_id, "order"),
    CONSTRAINT copr_rebuild_scheduled_build_has_copr_id_check
        CHECK (state IS NULL OR copr_build_id IS NOT NULL),
    CONSTRAINT copr_rebuild_state_check CHECK (state >= 2 AND state <= 5)
);

CREATE TABLE copr_resolution_change (
    request_id integer NOT NULL REFERENCES copr_rebuild_request ON DELETE CASCADE,
    package_id integer NOT NULL REFERENCES package ON DELETE CASCADE,
    prev_resolved boolean NOT NULL,
    curr_resolved boolean NOT NULL,
    problems varchar[],
    PRIMARY KEY (request_id, package_id)
);

CREATE TABLE build_group (
    id serial PRIMARY KEY,
    repo_id integer,
    collection_id integer REFERENCES collection ON DELETE SET NULL,
    base_collection_id integer REFERENCES collection ON DELETE SET NULL,
    state varchar
);

-- The order of versions, as RPM has it. A version is a row of segments: digits, letters, '~' or '^'; anything else only
-- separates. (Letters are compared in the database's collation here; a migration of ours makes that bytes, as in RPM.)

CREATE FUNCTION rpmvercmp(a varchar, b varchar) RETURNS integer
LANGUAGE plpgsql IMMUTABLE COST 1000 AS $$
DECLARE
    segment CONSTANT text := '[0-9]+|[a-zA-Z]+|[~^]';
    left_segments text[];
    right_segments text[];
    l text;
    r text;
BEGIN
    IF a = b THEN
        RETURN 0;
    END IF;
    left_segments := ARRAY(SELECT m[1] FROM regexp_matches(a, segment, 'g') AS m);
    right_segments := ARRAY(SELECT m[1] FROM regexp_matches(b, segment, 'g') AS m);
    FOR i IN 1 .. greatest(cardinality(left_segments), cardinality(right_segments)) LOOP
        l := left_segments[i];
        r := right_segments[i];
        -- A tilde sorts before everything, even before the end.
        IF l = '~' OR r = '~' THEN
            IF l IS DISTINCT FROM '~' THEN
                RETURN 1;
            ELSIF r IS DISTINCT FROM '~' THEN
                RETURN -1;
            END IF;
        -- Whoever ends here is lower.
        ELSIF l IS NULL THEN
            RETURN -1;
        ELSIF r IS NULL THEN
            RETURN 1;
        -- A caret sorts after the end, but before any other segment.
        ELSIF l = '^' OR r = '^' THEN
            IF l <> '^' THEN
                RETURN 1;
            ELSIF r <> '^' THEN
                RETURN -1;
            END IF;
        -- Digits beat letters.
        ELSIF (l ~ '^[0-9]') <> (r ~ '^[0-9]') THEN
            RETURN CASE WHEN l ~ '^[0-9]' THEN 1 ELSE -1 END;
        ELSE
            IF l ~ '^[0-9]' THEN
                l := ltrim(l, '0');
                r := ltrim(r, '0');
                IF length(l) <> length(r) THEN
                    RETURN sign(length(l) - length(r));
                END IF;
            END IF;
            IF l < r THEN
                RETURN -1;
            ELSIF l > r THEN
                RETURN 1;
            END IF;
        END IF;
    END LOOP;
    RETURN 0;
END
$$;

-- Epoch, version and release; no epoch is epoch 0.

CREATE FUNCTION rpmvercmp_evr(
    epoch1 integer, version1 varchar, release1 varchar,
    epoch2 integer, version2 varchar, release2 varchar
) RETURNS integer
LANGUAGE plpgsql IMMUTABLE COST 1500 AS $$
DECLARE
    order_of_epochs CONSTANT integer := sign(coalesce(epoch1, 0)::bigint - coalesce(epoch2, 0));
    order_of_versions integer;
BEGIN
    IF order_of_epochs <> 0 THEN
        RETURN order_of_epochs;
    END IF;
    order_of_versions := rpmvercmp(version1, version2);
    IF order_of_versions <> 0 THEN
        RETURN order_of_versions;
    END IF;
    RETURN rpmvercmp(release1, release2);
END
$$;

-- What a package's row says about its builds

CREATE FUNCTION update_last_build(pkg_id integer) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
    newest build;
    newest_complete build;
    old_complete_id integer;
BEGIN
    SELECT * INTO newest FROM build
        WHERE package_id = pkg_id AND NOT untagged
        ORDER BY started DESC LIMIT 1;
    IF newest.state = 2 THEN
        SELECT * INTO newest_complete FROM build
            WHERE package_id = pkg_id AND NOT untagged AND state IN (3, 5)
            ORDER BY started DESC LIMIT 1;
    ELSE
        newest_complete := newest;
    END IF;
    SELECT last_complete_build_id INTO old_complete_id FROM package WHERE id = pkg_id;
    UPDATE package SET last_build_id = newest.id WHERE id = pkg_id;
    IF old_complete_id IS DISTINCT FROM newest_complete.id THEN
        UPDATE package
            SET last_complete_build_id = newest_complete.id,
                last_complete_build_state = newest_complete.state
            WHERE id = pkg_id;
        UPDATE build SET last_complete = false WHERE package_id = pkg_id AND last_complete;
        UPDATE build SET last_complete = true WHERE id = newest_complete.id;
    END IF;
END
$$;

CREATE FUNCTION update_last_build_trigger() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
    PERFORM update_last_build(NEW.package_id);
    RETURN NEW;
END
$$;

CREATE FUNCTION update_last_build_del() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
    -- The foreign key has cleared the column if it was this build.
    IF EXISTS (SELECT FROM package WHERE id = OLD.package_id AND last_build_id IS NULL) THEN
        PERFORM update_last_build(OLD.package_id);
    END IF;
    RETURN OLD;
END
$$;

CREATE TRIGGER update_last_build_trigger
    AFTER INSERT ON build
    FOR EACH ROW EXECUTE FUNCTION update_last_build_trigger();
CREATE TRIGGER update_last_build_trigger_del
    AFTER DELETE ON build
    FOR EACH ROW EXECUTE FUNCTION update_last_build_del();
CREATE TRIGGER update_last_build_trigger_up
    AFTER UPDATE ON build
    FOR EACH ROW WHEN (OLD.state <> NEW.state OR OLD.untagged <> NEW.untagged)
    EXECUTE FUNCTION update_last_build_trigger();

-- Whether a base package is blocked in every collection

CREATE FUNCTION update_all_blocked() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
    UPDATE base_package b
        SET all_blocked = now_blocked.everywhere
        FROM (
            SELECT base_id, bool_and(blocked) AS everywhere FROM package GROUP BY base_id
        ) AS now_blocked
        WHERE now_blocked.base_id = b.id AND b.all_blocked <> now_blocked.everywhere;
    RETURN NULL;
END
$$;

CREATE TRIGGER update_all_blocked_trigger
    AFTER INSERT OR DELETE OR UPDATE OF blocked ON package
    FOR EACH STATEMENT EXECUTE FUNCTION update_all_blocked();
