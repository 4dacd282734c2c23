//! The order of versions as SQL functions, against RPM's own test vectors and against crates/rpm.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test ends that way")]

use std::cmp::Ordering;

use koschei_db::schema;
use koschei_db::testing::{self, Database};
use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::TestRunner;

/// The vectors of rpm's test suite (`tests/rpmvercmp.at`).
const VECTORS: &str = "
    1.0 = 1.0, 1.0 < 2.0, 2.0 > 1.0, 2.0.1 = 2.0.1, 2.0 < 2.0.1, 2.0.1 > 2.0, 2.0.1a = 2.0.1a
    2.0.1a > 2.0.1, 2.0.1 < 2.0.1a, 5.5p1 = 5.5p1, 5.5p1 < 5.5p2, 5.5p2 > 5.5p1, 5.5p10 = 5.5p10
    5.5p1 < 5.5p10, 5.5p10 > 5.5p1, 10xyz < 10.1xyz, 10.1xyz > 10xyz, xyz10 = xyz10, xyz10 < xyz10.1
    xyz10.1 > xyz10, xyz.4 = xyz.4, xyz.4 < 8, 8 > xyz.4, xyz.4 < 2, 2 > xyz.4, 5.5p2 < 5.6p1
    5.6p1 > 5.5p2, 5.6p1 < 6.5p1, 6.5p1 > 5.6p1, 6.0.rc1 > 6.0, 6.0 < 6.0.rc1, 10b2 > 10a1, 10a2 < 10b2
    1.0aa = 1.0aa, 1.0a < 1.0aa, 1.0aa > 1.0a, 10.0001 = 10.0001, 10.0001 = 10.1, 10.1 = 10.0001
    10.0001 < 10.0039, 10.0039 > 10.0001, 4.999.9 < 5.0, 5.0 > 4.999.9, 20101121 = 20101121
    20101121 < 20101122, 20101122 > 20101121, 2_0 = 2_0, 2.0 = 2_0, 2_0 = 2.0, a = a, a+ = a+, a+ = a_
    a_ = a+, +a = +a, +a = _a, _a = +a, +_ = +_, _+ = +_, _+ = _+, + = _, _ = +, 1.0~rc1 = 1.0~rc1
    1.0~rc1 < 1.0, 1.0 > 1.0~rc1, 1.0~rc1 < 1.0~rc2, 1.0~rc2 > 1.0~rc1, 1.0~rc1~git123 = 1.0~rc1~git123
    1.0~rc1~git123 < 1.0~rc1, 1.0~rc1 > 1.0~rc1~git123, 1.0^ = 1.0^, 1.0^ > 1.0, 1.0 < 1.0^
    1.0^git1 = 1.0^git1, 1.0^git1 > 1.0, 1.0 < 1.0^git1, 1.0^git1 < 1.0^git2, 1.0^git2 > 1.0^git1
    1.0^git1 < 1.01, 1.01 > 1.0^git1, 1.0^20160101 = 1.0^20160101, 1.0^20160101 < 1.0.1
    1.0.1 > 1.0^20160101, 1.0^20160101^git1 = 1.0^20160101^git1, 1.0^20160102 > 1.0^20160101^git1
    1.0^20160101^git1 < 1.0^20160102, 1.0~rc1^git1 = 1.0~rc1^git1, 1.0~rc1^git1 > 1.0~rc1
    1.0~rc1 < 1.0~rc1^git1, 1.0^git1~pre = 1.0^git1~pre, 1.0^git1 > 1.0^git1~pre
    1.0^git1~pre < 1.0^git1, 1b.fc17 = 1b.fc17, 1b.fc17 < 1.fc17, 1.fc17 > 1b.fc17, 1g.fc17 = 1g.fc17
    1g.fc17 > 1.fc17, 1.fc17 < 1g.fc17, 1.1.α = 1.1.α, 1.1.α = 1.1.β, 1.1.β = 1.1.α, 1.1.αα = 1.1.α
    1.1.α = 1.1.ββ, 1.1.ββ = 1.1.αα
";

fn vectors() -> Vec<(String, String, i32)> {
    VECTORS
        .split([',', '\n'])
        .map(str::trim)
        .filter(|vector| !vector.is_empty())
        .map(|vector| {
            let words: Vec<&str> = vector.split(' ').collect();
            let [a, order, b] = words[..] else { panic!("{vector}") };
            (
                a.into(),
                b.into(),
                ["<", "=", ">"].iter().position(|o| *o == order).unwrap() as i32 - 1,
            )
        })
        .collect()
}

/// Versions as nobody would write them, from every kind of character that matters.
fn random_pairs() -> Vec<(String, String)> {
    let segment = prop_oneof![
        "[0-9]{1,3}",
        "0{1,2}[0-9]",
        "[a-zA-Z]{1,3}",
        "[~^]",
        "[._+-]",
        Just("é".to_owned()),
        "[0-9]{20}",
    ];
    let version = prop::collection::vec(segment, 0..6).prop_map(|segments| segments.concat());
    // Half of the pairs share their beginning, or they would all differ at once.
    let pair = (version.clone(), version.clone(), version, any::<bool>()).prop_map(
        |(beginning, a, b, shared)| {
            if shared { (format!("{beginning}{a}"), format!("{beginning}{b}")) } else { (a, b) }
        },
    );
    let mut runner = TestRunner::deterministic();
    (0..2000).map(|_| pair.new_tree(&mut runner).unwrap().current()).collect()
}

async fn in_sql(database: &Database, pairs: &[(String, String)]) -> Vec<i32> {
    let (a, b): (Vec<&str>, Vec<&str>) =
        pairs.iter().map(|(a, b)| (a.as_str(), b.as_str())).unzip();
    sqlx::query_scalar(
        "SELECT rpmvercmp(a, b) FROM unnest($1::text[], $2::text[]) WITH ORDINALITY AS p(a, b, n) ORDER BY n",
    )
    .bind(a)
    .bind(b)
    .fetch_all(database.pool())
    .await
    .unwrap()
}

fn number(order: Ordering) -> i32 {
    order as i32
}

async fn baseline() -> Database {
    let database = testing::empty_database().await;
    schema::create_baseline(&mut database.connection().await).await.unwrap();
    database
}

#[tokio::test]
async fn rpms_own_vectors_hold_before_and_after_our_migrations() {
    let vectors = vectors();
    assert_eq!(vectors.len(), 103);
    let pairs: Vec<(String, String)> =
        vectors.iter().map(|(a, b, _)| (a.clone(), b.clone())).collect();
    for database in [baseline().await, testing::database().await] {
        for ((a, b, expected), found) in vectors.iter().zip(in_sql(&database, &pairs).await) {
            assert_eq!(found, *expected, "{a} and {b}");
        }
    }
}

#[tokio::test]
async fn random_versions_compare_as_in_rpm() {
    let pairs = random_pairs();
    let database = testing::database().await;
    let mut seen = [0; 3];
    for ((a, b), found) in pairs.iter().zip(in_sql(&database, &pairs).await) {
        assert_eq!(found, number(rpm::rpmvercmp(a, b)), "{a:?} and {b:?}");
        seen[usize::try_from(found + 1).unwrap()] += 1;
    }
    assert!(seen.iter().all(|count| *count > 50), "{seen:?}");
}

#[tokio::test]
async fn random_versions_without_capitals_compare_as_in_rpm_in_the_baseline() {
    let pairs: Vec<(String, String)> =
        random_pairs().into_iter().map(|(a, b)| (a.to_lowercase(), b.to_lowercase())).collect();
    let database = baseline().await;
    for ((a, b), found) in pairs.iter().zip(in_sql(&database, &pairs).await) {
        assert_eq!(found, number(rpm::rpmvercmp(a, b)), "{a:?} and {b:?}");
    }
}

#[tokio::test]
async fn letters_compare_as_bytes_whatever_the_database_sorts_by() {
    let pair = [("1.Z".to_owned(), "1.a".to_owned())];
    assert_eq!(in_sql(&testing::database().await, &pair).await, [-1]);
    // This is what the migration is for.
    assert_eq!(in_sql(&baseline().await, &pair).await, [1]);
}

#[tokio::test]
async fn an_epoch_counts_first_and_none_is_zero() {
    let database = testing::database().await;
    let orders: Vec<i32> = sqlx::query_scalar(
        "SELECT rpmvercmp_evr(e1, v1, r1, e2, v2, r2) FROM (VALUES
            (1, NULL::int, '1', '1', '2', '1', 1), (2, NULL, '1', '1', '1', '1', 0), (3, 2147483647, '1', '1', '1', '1', -2147483647),
            (4, 0, '1.0', '1', '1.0', '2', NULL), (5, 0, '1.1', '1', '1.0', '2', NULL), (6, 0, '1.0', '2', '1.00', '02', 0)
         ) AS t(n, e1, v1, r1, v2, r2, e2) ORDER BY n",
    )
    .fetch_all(database.pool())
    .await
    .unwrap();
    assert_eq!(orders, [-1, 0, 1, -1, 1, 0]);
}
