-- How long the services are patient with Koji, and since when.

-- Builds in a row that ended without a verdict on the package, because Koji had problems of its own; and until when the
-- scheduler waits after the last of them.
ALTER TABLE package ADD COLUMN fault_streak integer NOT NULL DEFAULT 0;
ALTER TABLE package ADD COLUMN not_before timestamp without time zone;

-- Since when Koji does not tell what became of a running build.
ALTER TABLE build ADD COLUMN untold_since timestamp without time zone;

-- Source packages whose BuildRequires Koji refuses to tell: why, and when it is worth asking again.
CREATE TABLE untold_build_requires (
    secondary boolean NOT NULL,
    nvr text NOT NULL,
    reason text NOT NULL,
    -- Whether the reason is about the source package, so that its packages are unresolved.
    final boolean NOT NULL,
    attempts integer NOT NULL,
    since timestamp without time zone NOT NULL DEFAULT clock_timestamp(),
    ask_again timestamp without time zone NOT NULL,
    PRIMARY KEY (secondary, nvr)
);

-- When the repo-resolver last looked at a collection, and what keeps it from being up to date.
CREATE TABLE collection_freshness (
    collection_id integer PRIMARY KEY REFERENCES collection(id) ON DELETE CASCADE,
    -- The last time that Koji told which repo is the newest.
    looked timestamp without time zone,
    -- When Koji made the newest repo that it told of.
    repo_made timestamp without time zone,
    trouble text,
    trouble_since timestamp without time zone,
    CHECK ((trouble IS NULL) = (trouble_since IS NULL))
);
