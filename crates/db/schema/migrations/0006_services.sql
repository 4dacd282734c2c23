-- What the services remember beyond the baseline.

-- The repo in which a package was resolved last: whatever was interrupted or dropped is done at the next turn.
ALTER TABLE package ADD COLUMN resolved_repo_id integer;

-- What the scheduler's decision that no architecture is allowed was based on; it ends when that changes.
ALTER TABLE package ADD COLUMN scheduler_skip_basis text;

-- BuildRequires of source packages by n-v-r, as relations. They never change.
CREATE TABLE build_requires (
    secondary boolean NOT NULL,
    nvr text NOT NULL,
    requires text[] NOT NULL,
    PRIMARY KEY (secondary, nvr)
);

-- Tasks of tagged builds that cannot be registered (imported builds), so that they are not asked for at every turn.
CREATE TABLE skipped_real_build (
    collection_id integer NOT NULL REFERENCES collection(id) ON DELETE CASCADE,
    task_id integer NOT NULL,
    noticed timestamp without time zone NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (collection_id, task_id)
);

-- Scratch builds in Koji that have no row in build, and why.
CREATE TABLE task_without_build (
    task_id integer PRIMARY KEY,
    reason text NOT NULL,
    noticed timestamp without time zone NOT NULL DEFAULT clock_timestamp()
);

CREATE INDEX ix_build_task_id ON build (task_id);
CREATE INDEX ix_build_running ON build (id) WHERE state = 2;
CREATE INDEX ix_build_untagged ON build (package_id) WHERE untagged;
CREATE INDEX ix_build_scratch_started ON build (started) WHERE NOT "real";
