//! Whether every build that Koji was asked for is accounted for: none lost, none double.

use std::collections::BTreeMap;

use koji::{
    Client, ClientConfig, Login,
    calls::{self, ListTasks},
    types::TaskState,
};
use koschei_db::Pool;

/// What our user asked the hub for, by task: its source and its state.
pub(crate) async fn submitted(
    hub: &str,
) -> koji_result::Result<BTreeMap<i64, (String, TaskState)>> {
    let mut config = ClientConfig::anonymous(hub);
    config.login =
        Login::Password { user: "koschei".to_owned(), password: koji::Secret::new("koschei") };
    config.session.max_retries = 5;
    config.session.retry_interval = std::time::Duration::from_millis(200);
    let client = Client::new(config);
    let us = client.call(calls::get_logged_in_user()).await?.expect("we are logged in");
    let tasks = client
        .call(calls::list_tasks(ListTasks {
            owner: Some(us.id),
            method: Some("build"),
            ..ListTasks::default()
        }))
        .await?;
    Ok(tasks
        .into_iter()
        .map(|task| {
            let source = task
                .request
                .as_ref()
                .and_then(|request| request.first())
                .and_then(|source| source.as_str())
                .unwrap_or_default()
                .to_owned();
            (task.id, (source, task.state))
        })
        .collect())
}

mod koji_result {
    pub(crate) type Result<T> = std::result::Result<T, koji::Error>;
}

/// What Koschei has recorded: scratch builds by task, with how many rows each has.
pub(crate) async fn recorded(pool: &Pool) -> BTreeMap<i64, i64> {
    let rows: Vec<(i32, i64)> = sqlx::query_as(
        r#"SELECT task_id, count(*) FROM build WHERE NOT "real" GROUP BY task_id ORDER BY 1"#,
    )
    .fetch_all(pool)
    .await
    .unwrap();
    rows.into_iter().map(|(task, count)| (i64::from(task), count)).collect()
}

/// Packages with two scratch builds running at once, which can only be a double submission.
pub(crate) async fn running_twice(pool: &Pool) -> Vec<String> {
    sqlx::query_scalar(
        "SELECT package.name FROM build JOIN package ON package.id = package_id
          WHERE state = 2 GROUP BY package.id, package.name HAVING count(*) > 1 ORDER BY 1",
    )
    .fetch_all(pool)
    .await
    .unwrap()
}
