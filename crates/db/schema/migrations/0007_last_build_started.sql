-- When a package's last build was started, next to its other last-build columns. The current priority of a package
-- depends on it, and finding it in the builds was most of the work of computing all priorities (140 of 200 ms for
-- 96,000 packages, every few seconds and on every page).

ALTER TABLE package ADD COLUMN last_build_started timestamp;

UPDATE package SET last_build_started = build.started
    FROM build WHERE build.id = package.last_build_id;

-- As in migration 3, with the new column.
CREATE OR REPLACE FUNCTION update_last_build(pkg_id integer) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
    newest_id integer;
    newest_state integer;
    newest_started timestamp;
    complete_id integer;
    complete_state integer;
BEGIN
    -- What follows reads after this lock, and so sees what others have committed meanwhile.
    PERFORM FROM package WHERE id = pkg_id FOR NO KEY UPDATE;
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
    UPDATE package
        SET last_build_id = newest_id,
            last_build_started = newest_started,
            last_complete_build_id = complete_id,
            last_complete_build_state = complete_state
        WHERE id = pkg_id
          AND (last_build_id, last_build_started, last_complete_build_id, last_complete_build_state)
              IS DISTINCT FROM (newest_id, newest_started, complete_id, complete_state);
    UPDATE build SET last_complete = false
        WHERE package_id = pkg_id AND last_complete AND id IS DISTINCT FROM complete_id;
    UPDATE build SET last_complete = true
        WHERE id = complete_id AND NOT last_complete;
END
$$;

-- A build that gets another time of its start may be, or cease to be, the last one. (With another state or tagging,
-- update_last_build_trigger_up sees to it.)
CREATE TRIGGER update_last_build_trigger_started
    AFTER UPDATE OF started ON build
    FOR EACH ROW
    WHEN (OLD.started <> NEW.started AND OLD.state = NEW.state AND OLD.untagged = NEW.untagged)
    EXECUTE FUNCTION update_last_build_trigger();
