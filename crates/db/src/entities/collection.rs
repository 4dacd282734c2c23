//! Collections and the groups in which pages show them.

use sqlx::FromRow;
use sqlx::postgres::{PgConnection, PgExecutor};

use crate::error::Result;

/// A set of packages with one Koji configuration, normally a release of the distribution.
#[derive(Debug, Clone, PartialEq, FromRow)]
pub struct Collection {
    /// Its id.
    pub id: i32,
    /// Pages show collections with a higher one first.
    pub order: i32,
    /// The name in addresses, such as `f40`.
    pub name: String,
    /// The name for people, such as "Fedora 40".
    pub display_name: String,
    /// Whether its repositories and real builds come from the secondary Koji.
    pub secondary_mode: bool,
    /// Koji's build target.
    pub target: String,
    /// The tag that finished builds go to.
    pub dest_tag: String,
    /// The tag that buildroots are made from.
    pub build_tag: String,
    /// For bug reports.
    pub bugzilla_product: Option<String>,
    /// For bug reports.
    pub bugzilla_version: Option<String>,
    /// Factor of the dynamic part of priorities.
    pub priority_coefficient: f64,
    /// The Koji group whose packages are in every buildroot.
    pub build_group: String,
    /// The newest repository that repo-resolver looked at.
    pub latest_repo_id: Option<i32>,
    /// Whether the build group can be installed from it.
    pub latest_repo_resolved: Option<bool>,
    /// Whether real builds of untracked packages are registered, too.
    pub poll_untracked: bool,
}

/// A collection that is to be.
#[derive(Debug, Clone, PartialEq)]
pub struct NewCollection {
    /// See [`Collection::name`].
    pub name: String,
    /// See [`Collection::display_name`].
    pub display_name: String,
    /// See [`Collection::order`].
    pub order: i32,
    /// See [`Collection::secondary_mode`].
    pub secondary_mode: bool,
    /// See [`Collection::target`].
    pub target: String,
    /// See [`Collection::dest_tag`].
    pub dest_tag: String,
    /// See [`Collection::build_tag`].
    pub build_tag: String,
    /// See [`Collection::bugzilla_product`].
    pub bugzilla_product: Option<String>,
    /// See [`Collection::bugzilla_version`].
    pub bugzilla_version: Option<String>,
    /// See [`Collection::priority_coefficient`].
    pub priority_coefficient: f64,
    /// See [`Collection::build_group`].
    pub build_group: String,
    /// See [`Collection::poll_untracked`].
    pub poll_untracked: bool,
}

impl NewCollection {
    /// A collection of this name with the defaults of `create-collection`; the destination tag is the build tag.
    #[must_use]
    pub fn new(name: &str, display_name: &str, target: &str, build_tag: &str) -> Self {
        Self {
            name: name.to_owned(),
            display_name: display_name.to_owned(),
            order: 100,
            secondary_mode: false,
            target: target.to_owned(),
            dest_tag: build_tag.to_owned(),
            build_tag: build_tag.to_owned(),
            bugzilla_product: None,
            bugzilla_version: None,
            priority_coefficient: 1.0,
            build_group: "build".to_owned(),
            poll_untracked: true,
        }
    }
}

/// A named bundle of collections.
#[derive(Debug, Clone, PartialEq, Eq, FromRow)]
pub struct CollectionGroup {
    /// Its id.
    pub id: i32,
    /// Its name in commands.
    pub name: String,
    /// Its name for people.
    pub display_name: String,
}

/// All collections in the order in which pages show them: `order` descending, then name descending.
///
/// # Errors
/// When the database cannot be asked; so for every function here.
pub async fn collections(executor: impl PgExecutor<'_>) -> Result<Vec<Collection>> {
    let statement = "SELECT * FROM collection ORDER BY \"order\" DESC, name COLLATE \"C\" DESC";
    Ok(sqlx::query_as(statement).fetch_all(executor).await?)
}

/// The collection with this id.
///
/// # Errors
/// When the database cannot be asked.
pub async fn collection(executor: impl PgExecutor<'_>, id: i32) -> Result<Option<Collection>> {
    let statement = "SELECT * FROM collection WHERE id = $1";
    Ok(sqlx::query_as(statement).bind(id).fetch_optional(executor).await?)
}

/// The collection of this name.
///
/// # Errors
/// When the database cannot be asked.
pub async fn collection_by_name(
    executor: impl PgExecutor<'_>,
    name: &str,
) -> Result<Option<Collection>> {
    let statement = "SELECT * FROM collection WHERE name = $1";
    Ok(sqlx::query_as(statement).bind(name).fetch_optional(executor).await?)
}

/// Makes a collection. Gives its id, or `None` when there is one of that name already.
///
/// # Errors
/// When the database cannot be changed.
pub async fn create_collection(
    executor: impl PgExecutor<'_>,
    new: &NewCollection,
) -> Result<Option<i32>> {
    Ok(sqlx::query_scalar(
        "INSERT INTO collection (name, display_name, \"order\", secondary_mode, target, dest_tag, build_tag,
            bugzilla_product, bugzilla_version, priority_coefficient, build_group, poll_untracked)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)
         ON CONFLICT (name) DO NOTHING RETURNING id",
    )
    .bind(&new.name)
    .bind(&new.display_name)
    .bind(new.order)
    .bind(new.secondary_mode)
    .bind(&new.target)
    .bind(&new.dest_tag)
    .bind(&new.build_tag)
    .bind(&new.bugzilla_product)
    .bind(&new.bugzilla_version)
    .bind(new.priority_coefficient)
    .bind(&new.build_group)
    .bind(new.poll_untracked)
    .fetch_optional(executor)
    .await?)
}

/// All groups of collections with the ids of their collections, by name.
///
/// # Errors
/// When the database cannot be asked.
pub async fn collection_groups(
    executor: impl PgExecutor<'_>,
) -> Result<Vec<(CollectionGroup, Vec<i32>)>> {
    let rows: Vec<(i32, String, String, Vec<i32>)> = sqlx::query_as(
        "SELECT g.id, g.name, g.display_name,
                ARRAY(SELECT collection_id FROM collection_group_relation WHERE group_id = g.id ORDER BY 1)
         FROM collection_group g ORDER BY g.name COLLATE \"C\"",
    )
    .fetch_all(executor)
    .await?;
    Ok(rows
        .into_iter()
        .map(|(id, name, display_name, members)| {
            (CollectionGroup { id, name, display_name }, members)
        })
        .collect())
}

/// Makes a group of exactly these collections, or changes the one of that name.
///
/// # Errors
/// When the database cannot be changed.
pub async fn set_collection_group(
    connection: &mut PgConnection,
    name: &str,
    display_name: &str,
    collections: &[i32],
) -> Result<i32> {
    let id: i32 = sqlx::query_scalar(
        "INSERT INTO collection_group (name, display_name) VALUES ($1, $2)
         ON CONFLICT (name) DO UPDATE SET display_name = excluded.display_name RETURNING id",
    )
    .bind(name)
    .bind(display_name)
    .fetch_one(&mut *connection)
    .await?;
    sqlx::query(
        "WITH gone AS (DELETE FROM collection_group_relation
                       WHERE group_id = $1 AND NOT collection_id = ANY ($2))
         INSERT INTO collection_group_relation (group_id, collection_id)
         SELECT DISTINCT $1, unnest($2::integer[]) ON CONFLICT DO NOTHING",
    )
    .bind(id)
    .bind(collections)
    .execute(connection)
    .await?;
    Ok(id)
}
