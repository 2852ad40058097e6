//! Votes that were cast since a backup was made count on, and the counters beside the memories say so.

use super::merge::{Merge, Outcome, equal};

const ONE_VOTE: [&str; 4] = ["memory_id", "project_id", "voter_agent_id", "task_id"];

/// Votes `v` that came with a merge of two memories, which both come back as they were before it.
const OF_LATER_MERGE: &str = "v.merged_from IS NOT NULL AND EXISTS (
    SELECT FROM @staged@memories u WHERE u.id = v.merged_from AND u.project_id = v.project_id AND u.superseded_by IS DISTINCT FROM v.memory_id)";
const UNSTAGED: &str = "NOT EXISTS (SELECT FROM @staged@vote_history o WHERE o.id = v.id)";

/// Adds the later votes to the counters of the staged memories.
pub fn prepare(merge: &Merge<'_>) {
    // A clean restore takes them away.
    if merge.plan.clean {
        return;
    }
    let other = format!(
        "NOT EXISTS (SELECT FROM @staged@vote_history o WHERE {})",
        equal(&ONE_VOTE, "o", "v")
    );
    merge.run(&format!(
        "UPDATE @staged@memories s SET bullet_helpful = s.bullet_helpful + l.helpful, bullet_harmful = s.bullet_harmful + l.harmful
         FROM (SELECT v.memory_id, v.project_id, count(*) FILTER (WHERE v.vote = 'helpful') AS helpful, count(*) FILTER (WHERE v.vote = 'harmful') AS harmful
               FROM @s@.vote_history v WHERE {} AND {UNSTAGED} AND {other} AND NOT ({OF_LATER_MERGE})
               GROUP BY v.memory_id, v.project_id) l
         WHERE l.memory_id = s.id AND l.project_id = s.project_id",
        merge.in_scope("v")
    ));
}

/// Takes away the copies of votes that a merge made which the backup does not know.
pub fn undo_later_merges(merge: &Merge<'_>, outcome: &mut Outcome) {
    // They are counted already.
    if merge.plan.clean && merge.plan.dry_run {
        return;
    }
    let which = format!(
        "@s@.vote_history v WHERE {} AND {UNSTAGED} AND {OF_LATER_MERGE}",
        merge.in_scope("v")
    );
    outcome.tally("vote_history").removed += merge.change(
        &format!("DELETE FROM {which}"),
        &format!("SELECT count(*) FROM {which}"),
    );
}
