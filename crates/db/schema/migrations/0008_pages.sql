-- What pages look up.

-- When Koschei first saw the newest repo of a collection: pages say how fresh they are. A trigger keeps it, so that it is
-- right whoever moves latest_repo_id, the original software included. NULL: not known.
ALTER TABLE collection ADD COLUMN latest_repo_seen timestamp without time zone;

CREATE FUNCTION collection_latest_repo_seen() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
    NEW.latest_repo_seen := CASE WHEN NEW.latest_repo_id IS NOT NULL THEN clock_timestamp() AT TIME ZONE 'UTC' END;
    RETURN NEW;
END
$$;

CREATE TRIGGER collection_latest_repo_seen_trigger BEFORE UPDATE OF latest_repo_id ON collection
    FOR EACH ROW WHEN (OLD.latest_repo_id IS DISTINCT FROM NEW.latest_repo_id)
    EXECUTE FUNCTION collection_latest_repo_seen();

-- What changed in the last day.
CREATE INDEX ix_build_last_complete_started ON build (started) WHERE last_complete;
CREATE INDEX ix_resolution_change_timestamp ON resolution_change ("timestamp");

-- The newest entry of a package, and what it said before.
CREATE INDEX ix_resolution_change_package_timestamp ON resolution_change (package_id, "timestamp" DESC);

-- Unresolved packages, for their root causes.
CREATE INDEX ix_package_unresolved ON package (collection_id) WHERE resolved = false;
