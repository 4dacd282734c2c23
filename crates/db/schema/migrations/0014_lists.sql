-- What long lists look up.

-- Failed builds are one in twelve, and affected-by asks of every build with a change whether it is one of them.
CREATE INDEX ix_build_failed ON build (id) INCLUDE (package_id, started) WHERE state = 5;

-- What the API tells of the last complete build of every package: so it need not be picked out of all builds.
CREATE INDEX ix_build_last_complete_told ON build (id)
    INCLUDE (task_id, started, finished, epoch, version, release) WHERE last_complete;

-- The API finds these builds by their mark, which the triggers keep in step with the package.
UPDATE build SET last_complete = true FROM package
    WHERE package.last_complete_build_id = build.id AND NOT build.last_complete;
