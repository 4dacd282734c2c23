//! The schema against its specification: `spec/database.md` lists every table, column, constraint, index, trigger and
//! function of the original implementation, read from its catalogs. Ours must have the same, by the same names.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test ends that way")]

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use koschei_db::schema;
use koschei_db::testing::{self, Database};

/// One kind of thing, such as columns: by table and name, what it is.
type Things = BTreeMap<(String, String), String>;

#[derive(Debug, Default, PartialEq)]
struct Catalog {
    tables: BTreeSet<String>,
    columns: Things,
    constraints: Things,
    indexes: Things,
    triggers: Things,
    enums: BTreeMap<String, String>,
    functions: BTreeSet<String>,
}

fn specification() -> String {
    let data = std::env::var_os("KOSCHEI_DATA").map_or_else(
        || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data"),
        PathBuf::from,
    );
    let path = data.join("../spec/database.md");
    std::fs::read_to_string(&path).unwrap_or_else(|error| {
        panic!(
            "this test compares the schema with the specification, which is not at {} ({error}): set KOSCHEI_DATA to \
             the directory shared/data",
            path.display()
        )
    })
}

impl Catalog {
    /// What the specification lists.
    fn specified() -> Self {
        let mut catalog = Self::default();
        let mut section = String::new();
        let mut kind = String::new();
        for line in specification().lines() {
            if let Some(title) = line.strip_prefix("## ") {
                section = title.to_owned();
                kind.clear();
                continue;
            }
            if let Some(item) = line.strip_prefix("* `") {
                match section.as_str() {
                    "Enum types" => {
                        let (name, labels) = item.split_once("`: ").unwrap();
                        catalog.enums.insert(name.into(), labels.into());
                    }
                    "Functions" => {
                        catalog.functions.insert(item.replacen('`', "", 1));
                    }
                    _ => {}
                }
                continue;
            }
            let Some(row) = line.strip_prefix("| ").and_then(|line| line.strip_suffix('|')) else {
                continue;
            };
            let cells: Vec<&str> = row.split(" |").map(str::trim).collect();
            let [name, rest @ ..] = &cells[..] else { panic!("{line}") };
            if matches!(*name, "column" | "constraint" | "trigger") || name.starts_with("index") {
                kind = name.split(' ').next().unwrap().to_owned();
                catalog.tables.insert(section.clone());
                continue;
            }
            let definition = rest.join(" | ").replace('`', "");
            let key = (section.clone(), name.trim_end_matches(" (unique)").to_owned());
            match kind.as_str() {
                "column" => catalog.columns.insert(key, definition.trim().to_owned()),
                "constraint" => catalog.constraints.insert(key, definition),
                "index" if name.ends_with(" (unique)") => {
                    catalog.indexes.insert(key, format!("unique {definition}"))
                }
                "index" => catalog.indexes.insert(key, definition),
                "trigger" => catalog.triggers.insert(key, definition),
                _ => panic!("a row outside of any table: {line}"),
            };
        }
        catalog
    }

    /// What a database has.
    async fn of(database: &Database) -> Self {
        let things = async |statement: &'static str| -> Things {
            let rows: Vec<(String, String, String)> =
                sqlx::query_as(statement).fetch_all(database.pool()).await.unwrap();
            rows.into_iter().map(|(table, name, what)| ((table, name), what)).collect()
        };
        let texts = async |statement: &'static str| -> Vec<String> {
            sqlx::query_scalar(statement).fetch_all(database.pool()).await.unwrap()
        };
        Self {
            tables: texts(
                "SELECT relname::text FROM pg_class
                 WHERE relnamespace = 'public'::regnamespace AND relkind = 'r'",
            )
            .await
            .into_iter()
            .collect(),
            columns: things(
                "SELECT c.relname::text, a.attname::text,
                        trim(format('%s | %s | %s', format_type(a.atttypid, a.atttypmod),
                            CASE WHEN a.attnotnull THEN 'NOT NULL' ELSE 'null' END,
                            pg_get_expr(d.adbin, d.adrelid)))
                 FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid
                 LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
                 WHERE c.relnamespace = 'public'::regnamespace AND c.relkind = 'r'
                   AND a.attnum > 0 AND NOT a.attisdropped",
            )
            .await,
            constraints: things(
                "SELECT r.relname::text, c.conname::text,
                        format('%s | %s', CASE c.contype WHEN 'p' THEN 'primary key' WHEN 'f' THEN 'foreign key'
                            WHEN 'u' THEN 'unique' WHEN 'c' THEN 'check' ELSE c.contype::text END,
                            pg_get_constraintdef(c.oid))
                 FROM pg_constraint c JOIN pg_class r ON r.oid = c.conrelid
                 WHERE r.relnamespace = 'public'::regnamespace AND c.contype <> 'n'",
            )
            .await,
            indexes: things(
                "SELECT r.relname::text, c.relname::text,
                        CASE WHEN i.indisunique THEN 'unique ' ELSE '' END
                            || regexp_replace(pg_get_indexdef(i.indexrelid), '^.* USING ', '')
                 FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid JOIN pg_class r ON r.oid = i.indrelid
                 WHERE r.relnamespace = 'public'::regnamespace AND NOT i.indisprimary",
            )
            .await,
            triggers: things(
                "SELECT r.relname::text, t.tgname::text, pg_get_triggerdef(t.oid)
                 FROM pg_trigger t JOIN pg_class r ON r.oid = t.tgrelid
                 WHERE r.relnamespace = 'public'::regnamespace AND NOT t.tgisinternal",
            )
            .await,
            enums: {
                let rows: Vec<(String, String)> = sqlx::query_as(
                    "SELECT t.typname::text, string_agg(e.enumlabel, ' < ' ORDER BY e.enumsortorder)
                     FROM pg_enum e JOIN pg_type t ON t.oid = e.enumtypid
                     WHERE t.typnamespace = 'public'::regnamespace GROUP BY 1",
                )
                .fetch_all(database.pool())
                .await
                .unwrap();
                rows.into_iter().collect()
            },
            functions: texts(
                "SELECT format('%s(%s) -> %s (%s, %s, cost %s)', p.proname,
                        pg_get_function_identity_arguments(p.oid), pg_get_function_result(p.oid), l.lanname,
                        CASE p.provolatile WHEN 'i' THEN 'immutable' WHEN 's' THEN 'stable' ELSE 'volatile' END,
                        p.procost)
                 FROM pg_proc p JOIN pg_language l ON l.oid = p.prolang
                 WHERE p.pronamespace = 'public'::regnamespace",
            )
            .await
            .into_iter()
            .collect(),
        }
    }
}

async fn baseline() -> Database {
    let database = testing::empty_database().await;
    schema::create_baseline(&mut database.connection().await).await.unwrap();
    database
}

#[test]
fn the_specification_is_read_to_the_end() {
    let specified = Catalog::specified();
    assert_eq!(specified.tables.len(), 27);
    assert_eq!(specified.functions.len(), 6);
    assert_eq!(specified.enums.len(), 2);
    assert_eq!(specified.triggers.len(), 4);
    assert_eq!(specified.columns.len(), 151, "columns");
    assert_eq!(
        specified.columns[&("build".into(), "untagged".into())],
        "boolean | NOT NULL | false"
    );
}

#[tokio::test]
async fn the_baseline_is_the_schema_of_the_specification() {
    let specified = Catalog::specified();
    let ours = Catalog::of(&baseline().await).await;
    // Part by part, so that a difference is readable.
    assert_eq!(ours.tables, specified.tables);
    assert_eq!(ours.columns, specified.columns);
    assert_eq!(ours.constraints, specified.constraints);
    assert_eq!(ours.indexes, specified.indexes);
    assert_eq!(ours.triggers, specified.triggers);
    assert_eq!(ours.enums, specified.enums);
    assert_eq!(ours.functions, specified.functions);
}

#[tokio::test]
async fn the_baseline_is_stamped_as_the_original_softwares_newest_revision() {
    let database = baseline().await;
    let stamps: Vec<String> = sqlx::query_scalar("SELECT version_num FROM alembic_version")
        .fetch_all(database.pool())
        .await
        .unwrap();
    assert_eq!(stamps, [schema::BASELINE_REVISION]);
    assert!(specification().contains(&format!("(alembic `{}`)", stamps[0])));
}

#[tokio::test]
async fn our_migrations_take_nothing_away_and_the_original_software_can_still_insert() {
    let specified = Catalog::specified();
    let ours = Catalog::of(&testing::database().await).await;
    assert!(ours.tables.is_superset(&specified.tables));
    assert!(ours.functions.is_superset(&specified.functions));
    assert_eq!(ours.enums, specified.enums);
    for (ours, specified, may_differ) in [
        (&ours.columns, &specified.columns, &[][..]),
        // It can be deleted now.
        (&ours.constraints, &specified.constraints, &["fkey_package_last_complete_build_id"]),
        (&ours.indexes, &specified.indexes, &[]),
        // The same names; when they fire is ours.
        (&ours.triggers, &specified.triggers, &["update_all_blocked_trigger"]),
    ] {
        for (key, definition) in specified {
            let found = ours.get(key).unwrap_or_else(|| panic!("{key:?} is gone"));
            if !may_differ.contains(&key.1.as_str()) {
                assert_eq!(found, definition, "{key:?}");
            }
        }
    }
    for (key, definition) in &ours.columns {
        if specified.tables.contains(&key.0) && !specified.columns.contains_key(key) {
            let may_be_left_out = definition.contains("| null |") || !definition.ends_with('|');
            assert!(
                may_be_left_out,
                "{key:?} has neither a default nor may it be NULL: {definition}"
            );
        }
    }
}

#[tokio::test]
async fn every_foreign_key_has_an_index_on_its_referencing_column() {
    let database = testing::database().await;
    let without: Vec<String> = sqlx::query_scalar(
        "SELECT conrelid::regclass || '.' || conname FROM pg_constraint c
         WHERE contype = 'f' AND NOT EXISTS (
            SELECT FROM pg_index i
            WHERE i.indrelid = c.conrelid AND i.indkey[0] = c.conkey[1] AND i.indpred IS NULL)",
    )
    .fetch_all(database.pool())
    .await
    .unwrap();
    assert_eq!(without, [""; 0]);
}
