-- RPM compares the letters of versions as bytes: "Z" before "a". The baseline compares them as a person would where the
-- database's collation does. The rest of the function is as before.

CREATE OR REPLACE FUNCTION rpmvercmp(a varchar, b varchar) RETURNS integer
LANGUAGE plpgsql IMMUTABLE COST 1000 AS $$
DECLARE
    segment CONSTANT text := '[0-9]+|[a-zA-Z]+|[~^]';
    left_segments text[];
    right_segments text[];
    l text;
    r text;
BEGIN
    IF a = b THEN
        RETURN 0;
    END IF;
    left_segments := ARRAY(SELECT m[1] FROM regexp_matches(a, segment, 'g') AS m);
    right_segments := ARRAY(SELECT m[1] FROM regexp_matches(b, segment, 'g') AS m);
    FOR i IN 1 .. greatest(cardinality(left_segments), cardinality(right_segments)) LOOP
        l := left_segments[i];
        r := right_segments[i];
        -- A tilde sorts before everything, even before the end.
        IF l = '~' OR r = '~' THEN
            IF l IS DISTINCT FROM '~' THEN
                RETURN 1;
            ELSIF r IS DISTINCT FROM '~' THEN
                RETURN -1;
            END IF;
        -- Whoever ends here is lower.
        ELSIF l IS NULL THEN
            RETURN -1;
        ELSIF r IS NULL THEN
            RETURN 1;
        -- A caret sorts after the end, but before any other segment.
        ELSIF l = '^' OR r = '^' THEN
            IF l <> '^' THEN
                RETURN 1;
            ELSIF r <> '^' THEN
                RETURN -1;
            END IF;
        -- Digits beat letters.
        ELSIF (l ~ '^[0-9]') <> (r ~ '^[0-9]') THEN
            RETURN CASE WHEN l ~ '^[0-9]' THEN 1 ELSE -1 END;
        ELSE
            IF l ~ '^[0-9]' THEN
                l := ltrim(l, '0');
                r := ltrim(r, '0');
                IF length(l) <> length(r) THEN
                    RETURN sign(length(l) - length(r));
                END IF;
            END IF;
            IF l < r COLLATE "C" THEN
                RETURN -1;
            ELSIF l > r COLLATE "C" THEN
                RETURN 1;
            END IF;
        END IF;
    END LOOP;
    RETURN 0;
END
$$;
