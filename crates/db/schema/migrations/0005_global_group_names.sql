-- Names of groups are unique per namespace. The baseline's index does not see that for global groups, whose namespace is
-- NULL, so there may be several of one name; only the first was ever shown. They become one: the first, with the
-- packages and owners of all of them.

CREATE TEMPORARY TABLE merged_group ON COMMIT DROP AS
    SELECT id, first_value(id) OVER (PARTITION BY name ORDER BY id) AS kept_id, name
    FROM package_group WHERE namespace IS NULL;
DELETE FROM merged_group WHERE id = kept_id;

INSERT INTO package_group_relation (group_id, base_id)
    SELECT m.kept_id, r.base_id FROM merged_group m JOIN package_group_relation r ON r.group_id = m.id
    ON CONFLICT DO NOTHING;
INSERT INTO group_acl (group_id, user_id)
    SELECT m.kept_id, a.user_id FROM merged_group m JOIN group_acl a ON a.group_id = m.id
    ON CONFLICT DO NOTHING;
INSERT INTO log_entry (environment, message)
    SELECT 'backend', format(
        'Group %s existed %s times; its packages and owners are together now', name, count(*) + 1)
    FROM merged_group GROUP BY name ORDER BY name;
DELETE FROM package_group WHERE id IN (SELECT id FROM merged_group);

CREATE UNIQUE INDEX ix_package_group_global_name ON package_group (name) WHERE namespace IS NULL;
