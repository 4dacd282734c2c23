-- Since when a package is in its state, beside the columns that the state follows from: lists are narrowed and ordered by
-- it, and finding it in the history of 24,000 packages takes a second.

ALTER TABLE package ADD COLUMN state_since timestamp without time zone;

-- Unresolved: since the first failure to resolve after the newest success. Otherwise since the first build with the outcome
-- of the last complete one after the newest with another outcome; and ok not before its dependencies could be installed
-- again. Of a package without a build nothing is known.
CREATE FUNCTION package_state_since(package_id integer, resolved boolean, built integer)
RETURNS timestamp without time zone
LANGUAGE sql STABLE AS $$
    SELECT CASE
        WHEN $2 IS FALSE THEN (
            SELECT min(change.timestamp) FROM resolution_change AS change
             WHERE change.package_id = $1 AND NOT change.resolved AND change.timestamp > coalesce((
                SELECT max(good.timestamp) FROM resolution_change AS good
                 WHERE good.package_id = $1 AND good.resolved), '-infinity'))
        WHEN $3 IS NOT NULL THEN greatest((
            SELECT min(same.started) FROM build AS same
             WHERE same.package_id = $1 AND NOT same.untagged AND same.state = $3
               AND same.started > coalesce((
                SELECT max(other.started) FROM build AS other
                 WHERE other.package_id = $1 AND NOT other.untagged AND other.state NOT IN (2, $3)), '-infinity')),
            CASE WHEN $3 = 3 THEN (
                SELECT min(good.timestamp) FROM resolution_change AS good
                 WHERE good.package_id = $1 AND good.resolved AND good.timestamp > (
                    SELECT max(bad.timestamp) FROM resolution_change AS bad
                     WHERE bad.package_id = $1 AND NOT bad.resolved)) END)
    END
$$;

UPDATE package SET state_since = package_state_since(id, resolved, last_complete_build_state)
 WHERE resolved IS FALSE OR last_complete_build_state IS NOT NULL;

CREATE FUNCTION note_state_since() RETURNS trigger
LANGUAGE plpgsql AS $$
DECLARE
    told boolean;
    now_in_utc timestamp := clock_timestamp() AT TIME ZONE 'UTC';
BEGIN
    NEW.state_since := package_state_since(NEW.id, NEW.resolved, NEW.last_complete_build_state);
    IF (OLD.resolved IS FALSE) <> (NEW.resolved IS FALSE) THEN
        -- The entry in the history comes right after this.
        SELECT change.resolved INTO told FROM resolution_change AS change
         WHERE change.package_id = NEW.id ORDER BY change.timestamp DESC, change.id DESC LIMIT 1;
        IF NEW.resolved IS FALSE THEN
            NEW.state_since := coalesce(NEW.state_since, now_in_utc);
        ELSIF NEW.last_complete_build_state = 3 AND NOT told THEN
            NEW.state_since := now_in_utc;
        END IF;
    ELSIF NEW.resolved IS FALSE THEN
        -- It stays unresolved whatever is built, and the history may be shorter than that.
        NEW.state_since := least(OLD.state_since, NEW.state_since);
    END IF;
    RETURN NEW;
END
$$;

CREATE TRIGGER note_state_since
    BEFORE UPDATE OF resolved, last_complete_build_state ON package
    FOR EACH ROW
    WHEN ((OLD.resolved IS FALSE) <> (NEW.resolved IS FALSE)
          OR OLD.last_complete_build_state IS DISTINCT FROM NEW.last_complete_build_state)
    EXECUTE FUNCTION note_state_since();

-- As in migration 7, with the new column: a build of old that is registered late, or one that is taken out of the tag, may
-- move it while the state stays. Otherwise it never comes later while the state stays: what would tell it may have been
-- cleaned up, or not copied to another collection.
CREATE OR REPLACE FUNCTION update_last_build(pkg_id integer) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
    is_resolved boolean;
    newest_id integer;
    newest_state integer;
    newest_started timestamp;
    complete_id integer;
    complete_state integer;
    since timestamp;
    told_state integer;
    told_since timestamp;
BEGIN
    -- What follows reads after this lock, and so sees what others have committed meanwhile.
    SELECT resolved, last_complete_build_state, package.state_since INTO is_resolved, told_state, told_since
        FROM package WHERE id = pkg_id FOR NO KEY UPDATE;
    IF NOT FOUND THEN
        RETURN;
    END IF;
    SELECT id, state, started INTO newest_id, newest_state, newest_started FROM build
        WHERE package_id = pkg_id AND NOT untagged
        ORDER BY started DESC, id DESC LIMIT 1;
    IF newest_state = 2 THEN
        SELECT id, state INTO complete_id, complete_state FROM build
            WHERE package_id = pkg_id AND NOT untagged AND state IN (3, 5)
            ORDER BY started DESC, id DESC LIMIT 1;
    ELSE
        complete_id := newest_id;
        complete_state := newest_state;
    END IF;
    since := package_state_since(pkg_id, is_resolved, complete_state);
    IF told_since < since AND (is_resolved IS FALSE OR told_state = complete_state) AND NOT EXISTS (
        SELECT FROM build
         WHERE package_id = pkg_id AND is_resolved IS NOT FALSE
           AND (untagged AND started = told_since
                OR NOT untagged AND state NOT IN (2, complete_state) AND started > told_since))
    THEN
        since := told_since;
    END IF;
    UPDATE package
        SET last_build_id = newest_id,
            last_build_started = newest_started,
            last_complete_build_id = complete_id,
            last_complete_build_state = complete_state,
            state_since = since
        WHERE id = pkg_id
          AND (last_build_id, last_build_started, last_complete_build_id, last_complete_build_state, state_since)
              IS DISTINCT FROM (newest_id, newest_started, complete_id, complete_state, since);
    UPDATE build SET last_complete = false
        WHERE package_id = pkg_id AND last_complete AND id IS DISTINCT FROM complete_id;
    UPDATE build SET last_complete = true
        WHERE id = complete_id AND NOT last_complete;
END
$$;
