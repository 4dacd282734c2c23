-- The columns of a package that say which builds are its last ones, and the builds' mark, under every change.
--
-- * A last complete build can be deleted: its package then gets the one before. (The foreign key had no ON DELETE.)
-- * Two transactions that insert or finish builds of one package at once take turns on the package's row. Before, the
--   one that waited wrote what it had read before it waited.
-- * A package that was put aside because Koji has no SRPM for it (scheduler_skip_reason 1) has no last builds, on
--   purpose; deleting some old build of it no longer brings it back.
-- * Builds started in the same instant are told apart by their id, and last_complete_build_state is never stale.

ALTER TABLE package
    DROP CONSTRAINT fkey_package_last_complete_build_id,
    ADD CONSTRAINT fkey_package_last_complete_build_id
        FOREIGN KEY (last_complete_build_id) REFERENCES build ON DELETE SET NULL;

CREATE OR REPLACE FUNCTION update_last_build(pkg_id integer) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
    newest_id integer;
    newest_state integer;
    complete_id integer;
    complete_state integer;
BEGIN
    -- What follows reads after this lock, and so sees what others have committed meanwhile.
    PERFORM FROM package WHERE id = pkg_id FOR NO KEY UPDATE;
    IF NOT FOUND THEN
        RETURN;
    END IF;
    SELECT id, state INTO newest_id, newest_state FROM build
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
            last_complete_build_id = complete_id,
            last_complete_build_state = complete_state
        WHERE id = pkg_id
          AND (last_build_id, last_complete_build_id, last_complete_build_state)
              IS DISTINCT FROM (newest_id, complete_id, complete_state);
    UPDATE build SET last_complete = false
        WHERE package_id = pkg_id AND last_complete AND id IS DISTINCT FROM complete_id;
    UPDATE build SET last_complete = true
        WHERE id = complete_id AND NOT last_complete;
END
$$;

CREATE OR REPLACE FUNCTION update_last_build_del() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
    -- The foreign keys have cleared the columns if it was one of the last builds.
    IF OLD.last_complete OR EXISTS (
        SELECT FROM package
        WHERE id = OLD.package_id AND last_build_id IS NULL
          AND scheduler_skip_reason IS DISTINCT FROM 1
    ) THEN
        PERFORM update_last_build(OLD.package_id);
    END IF;
    RETURN OLD;
END
$$;
