-- The 13 foreign keys whose referencing column had no index. Without one, deleting a referenced row reads the whole
-- referencing table: 31 ms for each build.

CREATE INDEX ix_build_group_base_collection_id ON build_group (base_collection_id);
CREATE INDEX ix_build_group_collection_id ON build_group (collection_id);
CREATE INDEX ix_collection_group_relation_collection_id
    ON collection_group_relation (collection_id);
CREATE INDEX ix_copr_rebuild_package_id ON copr_rebuild (package_id);
CREATE INDEX ix_copr_rebuild_request_collection_id ON copr_rebuild_request (collection_id);
CREATE INDEX ix_copr_rebuild_request_user_id ON copr_rebuild_request (user_id);
CREATE INDEX ix_copr_resolution_change_package_id ON copr_resolution_change (package_id);
CREATE INDEX ix_group_acl_user_id ON group_acl (user_id);
CREATE INDEX ix_log_entry_base_id ON log_entry (base_id);
CREATE INDEX ix_log_entry_user_id ON log_entry (user_id);
CREATE INDEX ix_package_last_build_id ON package (last_build_id);
CREATE INDEX ix_package_last_complete_build_id ON package (last_complete_build_id);
-- The baseline's ix_package_collection_id leaves out the blocked ones.
CREATE INDEX ix_package_any_collection_id ON package (collection_id);
