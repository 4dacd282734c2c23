-- When operators keep the scheduler from submitting builds.

-- In a collection, or in all of them (NULL), until somebody resumes or the time comes.
CREATE TABLE suspension (
    id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    collection_id integer UNIQUE REFERENCES collection(id) ON DELETE CASCADE,
    since timestamp without time zone NOT NULL DEFAULT (clock_timestamp() AT TIME ZONE 'UTC'),
    until timestamp without time zone,
    reason text NOT NULL
);
CREATE UNIQUE INDEX ix_suspension_of_all ON suspension ((true)) WHERE collection_id IS NULL;

-- Of the packages of a group, until the time comes.
CREATE TABLE hold (
    group_id integer PRIMARY KEY REFERENCES package_group(id) ON DELETE CASCADE,
    since timestamp without time zone NOT NULL DEFAULT (clock_timestamp() AT TIME ZONE 'UTC'),
    until timestamp without time zone NOT NULL,
    reason text NOT NULL DEFAULT ''
);
