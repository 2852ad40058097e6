//! Counting the use of memories, beside them.

use super::access::Call;
use super::conditions::Conditions;
use super::events;

/// Counts one use of each of these memories that the requester sees; how many those are.
pub fn touch(call: &Call, ids: Vec<String>) -> i64 {
    let mut conditions = Conditions::default();
    conditions.visible(&call.access, false);
    let place = conditions.arg(ids);
    // Locked in one order, so that two callers cannot wait for each other; a row that goes meanwhile is passed over.
    let sql = call.store.sql(&format!(
        "WITH seen AS MATERIALIZED (
             SELECT m.id, m.project_id FROM (SELECT DISTINCT unnest({place}) AS id) AS wanted
             JOIN @s@.memories m ON m.id = wanted.id WHERE {} ORDER BY m.id FOR KEY SHARE OF m)
         INSERT INTO @s@.memory_usage AS u (memory_id, project_id, access_count, last_accessed_at)
         SELECT id, project_id, 1, now() FROM seen
         ON CONFLICT (memory_id, project_id) DO UPDATE SET access_count = u.access_count + 1, last_accessed_at = excluded.last_accessed_at
         RETURNING u.memory_id",
        conditions.sql()
    ));
    call.sql(|session| {
        let rows = session.write(&sql, &conditions.args);
        let touched: Vec<String> = (0..rows.len()).map(|row| rows.required(row, 1)).collect();
        let count = touched.len() as i64;
        events::record_each(call, session, "touch", touched);
        count
    })
}
