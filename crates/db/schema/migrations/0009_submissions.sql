-- Packages of which a build is being submitted to Koji: written before Koji is asked, deleted with the transaction that
-- records the build. What stays behind tells every other process that Koji may have a build that nobody knows.
CREATE TABLE submission (
    package_id integer PRIMARY KEY REFERENCES package(id) ON DELETE CASCADE,
    begun timestamp without time zone NOT NULL DEFAULT clock_timestamp()
);
