-- base_package.all_blocked, kept for the base packages that a statement touches, and no longer for all of them by
-- reading the whole table each time (90 ms for a change of one package). A base package without packages is "all
-- blocked", as a new one is.

CREATE FUNCTION update_all_blocked_of(base_ids integer[]) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
    -- Others that change packages of the same base packages take turns here, and what follows sees their work.
    PERFORM FROM base_package WHERE id = ANY (base_ids) ORDER BY id FOR NO KEY UPDATE;
    UPDATE base_package b
        SET all_blocked = NOT b.all_blocked
        WHERE b.id = ANY (base_ids)
          AND b.all_blocked = EXISTS (
              SELECT FROM package p WHERE p.base_id = b.id AND NOT p.blocked
          );
END
$$;

CREATE OR REPLACE FUNCTION update_all_blocked() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
    IF TG_LEVEL = 'ROW' THEN
        PERFORM update_all_blocked_of(ARRAY[NEW.base_id]);
    ELSE
        PERFORM update_all_blocked_of(ARRAY(SELECT DISTINCT base_id FROM changed));
    END IF;
    RETURN NULL;
END
$$;

DROP TRIGGER update_all_blocked_trigger ON package;
-- Most updates of packages change something else, and these are not troubled.
CREATE TRIGGER update_all_blocked_trigger
    AFTER UPDATE OF blocked ON package
    FOR EACH ROW WHEN (OLD.blocked <> NEW.blocked)
    EXECUTE FUNCTION update_all_blocked();
CREATE TRIGGER update_all_blocked_trigger_ins
    AFTER INSERT ON package REFERENCING NEW TABLE AS changed
    FOR EACH STATEMENT EXECUTE FUNCTION update_all_blocked();
CREATE TRIGGER update_all_blocked_trigger_del
    AFTER DELETE ON package REFERENCING OLD TABLE AS changed
    FOR EACH STATEMENT EXECUTE FUNCTION update_all_blocked();

-- Once for what there is.
SELECT update_all_blocked_of(ARRAY(SELECT id FROM base_package));
