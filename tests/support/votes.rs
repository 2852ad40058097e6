//! What the tests of votes, playbook and curation share.

use postgres::Client;

use super::database::{Database, Sql};
use super::shared::cluster;

/// A memory whose time is over, as time itself would make it.
pub fn expire(sql: &mut Client, id: &str) {
    let rows = sql
        .execute(
            "UPDATE memories SET expires_at = now() - interval '1 second' WHERE id = $1",
            &[&id],
        )
        .expect("expired");
    assert_eq!(rows, 1, "{id}");
}

/// A memory that was written so many days ago and not changed since.
pub fn age(sql: &mut Client, id: &str, days: i32) {
    let rows = sql
        .execute(
            "UPDATE memories SET created_at = now() - make_interval(days => $2), updated_at = now() - make_interval(days => $2) WHERE id = $1",
            &[&id, &days],
        )
        .expect("aged");
    assert_eq!(rows, 1, "{id}");
}

/// One vote, without a task.
pub fn vote(sql: &mut Client, id: &str, vote: &str, voter: &str) {
    sql.query_one("SELECT memory_vote($1, $2, $3)", &[&id, &vote, &voter])
        .unwrap_or_else(|error| panic!("{voter} votes {vote} on {id}: {error:?}"));
}

/// So many helpful and harmful votes, each by a voter of its own.
pub fn votes(sql: &mut Client, id: &str, helpful: usize, harmful: usize) {
    for number in 0..helpful + harmful {
        let what = if number < helpful {
            "helpful"
        } else {
            "harmful"
        };
        vote(sql, id, what, &format!("voter {number}"));
    }
}

/// helpful, harmful
pub fn counters(sql: &mut Client, id: &str) -> (i32, i32) {
    let row = sql
        .query_one(
            "SELECT bullet_helpful, bullet_harmful FROM memories WHERE id = $1 AND project_id = 'default'",
            &[&id],
        )
        .unwrap_or_else(|error| panic!("{id}: {error:?}"));
    (row.get(0), row.get(1))
}

/// The counters of every memory are what vote_history counts, and no vote is counted twice.
pub fn assert_counters(sql: &mut Client) {
    let wrong: Vec<String> = sql.column(
        "SELECT format('%s of %s counts %s/%s, vote_history has %s/%s', m.id, m.project_id, m.bullet_helpful, m.bullet_harmful, v.helpful, v.harmful)
         FROM memories m, LATERAL (SELECT count(*) FILTER (WHERE vote = 'helpful') AS helpful, count(*) FILTER (WHERE vote = 'harmful') AS harmful
              FROM vote_history v WHERE v.memory_id = m.id AND v.project_id = m.project_id) v
         WHERE m.bullet_helpful <> v.helpful OR m.bullet_harmful <> v.harmful",
        &[],
    );
    assert_eq!(wrong, [""; 0]);
    let doubles: i64 = sql.one(
        "SELECT count(*) FROM (SELECT FROM vote_history GROUP BY memory_id, project_id, voter_agent_id, task_id HAVING count(*) > 1) d",
        &[],
    );
    assert_eq!(doubles, 0, "one vote per voter and task");
}

pub fn effectiveness(helpful: i32, harmful: i32) -> f64 {
    f64::from(helpful - harmful) / f64::from(helpful + harmful + 1)
}

/// The mean of Beta(helpful + 1, harmful + 1) less its standard deviation.
pub fn confidence(helpful: i32, harmful: i32) -> f64 {
    let votes = f64::from(helpful + harmful);
    let mean = f64::from(helpful + 1) / (votes + 2.0);
    mean - (mean * (1.0 - mean) / (votes + 3.0)).sqrt()
}

/// A point in time between two statements, for `as_of`.
pub fn clock(sql: &mut Client) -> String {
    sql.one("SELECT clock_timestamp()::text", &[])
}

/// A new database with a store of vectors in space, so that a test chooses how alike memories are.
pub fn space() -> Database<'static> {
    let database = cluster().database();
    database
        .connect()
        .run("SELECT memory_init(dimensions => 3, embedder => 'external')");
    database
}

/// Adds a memory whose vector stands at so many degrees; `arguments` are further ones of memory_add.
pub fn add_at(sql: &mut Client, id: &str, degrees: f64, arguments: &str) {
    sql.run(&format!(
        "SELECT memory_add('words of {id}', id => '{id}', embedding => {}{}{arguments})",
        at(degrees),
        if arguments.is_empty() { "" } else { ", " }
    ));
}

/// The vector at so many degrees, as SQL.
pub fn at(degrees: f64) -> String {
    let radians = degrees.to_radians();
    format!("'[{}, {}, 0]'", radians.cos(), radians.sin())
}
