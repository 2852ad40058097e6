//! Memories as they were at a past time: what a reading function reads, be it now or then.
//!
//! A version holds from the start of the transaction that made it to the start of the one that ended it; the current one is
//! the row in `memories`, those before it are in `memory_history`. The past reaches back as far as these rows are kept: what
//! was erased or removed for its age is gone from it.
//!
//! One rule of visibility holds then as now, with the time in the place of now(). Besides, who may not see a memory as it is
//! now does not see what it was either, as in memory_history(): what was made private or secret takes its past along, and
//! what is over its time now is for admins; what was deleted or deprecated since is shown as it was.

use std::borrow::Cow;

use pgrx::datum::TimestampWithTimeZone;

use super::access::{Call, Privilege};
use super::conditions::{Conditions, Place};
use super::embedder::Embedder;
use super::migrate;
use crate::pg::error::{Error, Result};
use crate::pg::{guc, system, times};

const RESET: &str = "Run RESET memory_ext.as_of to go back to now.";

/// While memory_ext.as_of is set, nothing is written, and nothing answers that knows only how things are now.
pub fn refuse(need: Privilege) -> Result<()> {
    if guc::as_of().is_none() {
        return Ok(());
    }
    let why = match need {
        Privilege::Read => "this function tells of now only",
        Privilege::Write | Privilege::Admin => "the past cannot be changed",
    };
    Err(Error::state(format!("memory_ext.as_of is set: {why}")).hint(RESET))
}

/// The time a call reads memories of: its argument with that one's name, else the setting; `None` is now.
pub fn time(
    argument: Option<(&str, TimestampWithTimeZone)>,
) -> Result<Option<TimestampWithTimeZone>> {
    let (name, time) = match (argument, guc::as_of()) {
        (Some(given), _) => given,
        (None, Some(text)) => ("memory_ext.as_of", set_time(&text)?),
        (None, None) => return Ok(None),
    };
    if time.into_inner() > system::clock().into_inner() {
        return Err(Error::argument(format!("{name} is in the future"))
            .hint("Give a time that has passed."));
    }
    Ok(Some(time))
}

/// Words such as 'yesterday' mean what they mean when the function is called.
fn set_time(text: &str) -> Result<TimestampWithTimeZone> {
    times::timestamp(text).ok_or_else(|| {
        const SHOWN: usize = 40;
        let got: String = text.chars().take(SHOWN).collect();
        Error::argument(format!("memory_ext.as_of is {got:?}, expected a time"))
            .hint("Write it as '2026-01-31 12:00:00+00', or RESET memory_ext.as_of.")
    })
}

/// Which of the memories in the requester's scope are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Which {
    Live,
    LiveOrExpired,
    Any,
}

impl Which {
    pub fn live(include_expired: bool) -> Self {
        if include_expired {
            Which::LiveOrExpired
        } else {
            Which::Live
        }
    }
}

/// What to read memories from, as the alias `m` with the columns of the table; the conditions, which have to be empty yet,
/// get what lets the requester see a row of it. In the past nobody has voted yet, see `memories_with_votes`.
pub fn memories(call: &Call, conditions: &mut Conditions, which: Which) -> Cow<'static, str> {
    match relation(
        call,
        conditions,
        which,
        ", 0 AS bullet_helpful, 0 AS bullet_harmful",
    ) {
        Some(past) => format!("({past}) m").into(),
        None => "@s@.memories m".into(),
    }
}

/// The same, and the counters of votes are those of the time too: to count them takes a look-up a memory.
pub fn memories_with_votes(
    call: &Call,
    conditions: &mut Conditions,
    which: Which,
) -> Cow<'static, str> {
    match (relation(call, conditions, which, ""), call.time) {
        (Some(past), Some(time)) => {
            let votes = votes(conditions.arg(time));
            format!("(SELECT p.*, votes.* FROM ({past}) p, LATERAL ({votes}) votes) m").into()
        }
        _ => "@s@.memories m".into(),
    }
}

/// The votes on the memory `p` at a time: those cast by then, each as it was before its first change after that.
fn votes(time: Place) -> String {
    format!(
        "SELECT count(*) FILTER (WHERE vote = 'helpful')::int AS bullet_helpful, count(*) FILTER (WHERE vote = 'harmful')::int AS bullet_harmful
         FROM (SELECT coalesce((SELECT c.vote FROM @s@.vote_changes c
                                WHERE c.memory_id = h.memory_id AND c.project_id = h.project_id AND c.voter_agent_id = h.voter_agent_id
                                      AND c.task_id IS NOT DISTINCT FROM h.task_id AND c.changed_at > {time}
                                ORDER BY c.changed_at, c.change_id LIMIT 1), h.vote) AS vote
               FROM @s@.vote_history h
               WHERE h.memory_id = p.id AND h.project_id = p.project_id AND h.created_at <= {time}) cast_by_then"
    )
}

/// The versions of the call's time, one a memory, with the columns `besides`; `None` when the call is about now.
fn relation(
    call: &Call,
    conditions: &mut Conditions,
    which: Which,
    besides: &str,
) -> Option<String> {
    let Some(time) = call.time else {
        match which {
            Which::Any => conditions.in_scope(&call.access),
            _ => conditions.visible(&call.access, which == Which::LiveOrExpired),
        }
        return None;
    };
    conditions.in_scope(&call.access);
    let then = Then {
        in_scope: conditions.sql().to_owned(),
        project: conditions.arg(call.project()),
        time: conditions.arg(time),
        which,
        call,
    };
    if which != Which::Any {
        conditions.alive(&call.access, which == Which::LiveOrExpired, then.time);
    }
    let (current, superseded) = (then.current(besides), then.superseded(conditions, besides));
    Some(format!("{current} UNION ALL {superseded}"))
}

/// The two halves of a past: versions that still hold, and those that have ended since.
struct Then<'a> {
    call: &'a Call,
    which: Which,
    /// The rule of scopes, of the alias `m`.
    in_scope: String,
    project: Place,
    time: Place,
}

/// The alias of the last version of a memory whose row was deleted by plain SQL: it stands for the row.
const GONE: &str = "g";

impl Then<'_> {
    fn current(&self, besides: &str) -> String {
        let flags = self.flags("c.content_flags");
        format!(
            "SELECT c.id, c.project_id, c.namespace, c.content, c.content_hash, c.agent_id, c.user_id, c.session_id, c.entity_id, c.scope,
                    c.shared_with_agents, c.metadata, c.memory_type, c.key, c.is_sensitive, c.importance, c.created_at, c.updated_at,
                    c.expires_at, c.deleted_at, c.version, c.is_deprecated, c.superseded_by, c.error_pattern, c.embedding,
                    c.content_tsv{flags}{besides}
             FROM @s@.memories c
             WHERE c.updated_at <= {} AND {} AND {}",
            self.time,
            self.seen_now("c"),
            self.none_before("c.id", "")
        )
    }

    /// Sensitive is what was so then or is so now.
    fn superseded(&self, conditions: &mut Conditions, besides: &str) -> String {
        let secret = "(h.is_sensitive OR coalesce(c.is_sensitive, g.is_sensitive))";
        let same_key = "c.key IS NOT DISTINCT FROM h.key";
        let vector = self.kept_vector(conditions, same_key);
        let config = conditions.arg_oid(self.call.store.config);
        let flags =
            self.flags("CASE WHEN c.content_hash = h.content_hash THEN c.content_flags END");
        format!(
            "SELECT h.memory_id, h.project_id, h.namespace, h.content, h.content_hash, h.agent_id, h.user_id, h.session_id, h.entity_id, h.scope,
                    h.shared_with_agents, h.metadata, h.memory_type, h.key, {secret}, h.importance, h.created_at, h.valid_from,
                    h.expires_at, h.deleted_at, h.version, h.is_deprecated, h.superseded_by, h.error_pattern,
                    CASE WHEN NOT {secret} THEN {vector} END,
                    CASE WHEN {secret} THEN NULL
                         WHEN c.content = h.content AND {same_key} THEN c.content_tsv
                         ELSE to_tsvector({config}::regconfig,
                                  left(coalesce(h.key || ' ' || translate(h.key, '._-/:', '     ') || ': ', '') || h.content, 100000))
                    END{flags}{besides}
             FROM @s@.memory_history h
             LEFT JOIN @s@.memories c ON c.id = h.memory_id AND c.project_id = h.project_id
             LEFT JOIN LATERAL (SELECT l.* FROM @s@.memory_history l
                                WHERE c.id IS NULL AND l.memory_id = h.memory_id AND l.project_id = h.project_id
                                ORDER BY l.history_id DESC LIMIT 1) {GONE} ON true
             WHERE {} AND CASE WHEN c.id IS NULL THEN {} ELSE {} END AND {}",
            self.held("h"),
            self.seen_now(GONE),
            self.seen_now("c"),
            self.none_before("h.memory_id", " AND e.history_id < h.history_id")
        )
    }

    /// The requester sees the memory as it is now.
    fn seen_now(&self, alias: &str) -> String {
        let mut rule = self.in_scope.replace("m.", &format!("{alias}."));
        if self.which != Which::Any && !self.call.access.sees_what_is_over() {
            // Who asks for expired ones sees those that are not removed yet.
            let or_there = match self.which {
                Which::LiveOrExpired if alias != GONE => {
                    format!(" OR ({alias}.deleted_at IS NULL AND NOT {alias}.is_deprecated)")
                }
                _ => String::new(),
            };
            rule.push_str(&format!(
                " AND ({alias}.expires_at IS NULL OR {alias}.expires_at > now(){or_there})"
            ));
        }
        rule
    }

    /// An ended version held at the time.
    fn held(&self, alias: &str) -> String {
        let Then { project, time, .. } = self;
        format!(
            "{alias}.project_id = {project} AND {alias}.valid_from <= {time} AND {alias}.valid_to > {time}"
        )
    }

    /// Where two transactions change a memory at once, the one that began first may come second, and for a moment two
    /// versions hold: the earlier one is what was known.
    fn none_before(&self, memory: &str, and: &str) -> String {
        let held = self.held("e");
        format!(
            "NOT EXISTS (SELECT FROM @s@.memory_history e WHERE e.memory_id = {memory} AND {held}{and})"
        )
    }

    /// The vector of a version, where one is kept: the current row's if it is of the same text, or one of the cache, which a
    /// standby does not have.
    fn kept_vector(&self, conditions: &mut Conditions, same_key: &str) -> String {
        let store = &self.call.store;
        let current = format!(
            "CASE WHEN c.embedded_hash = h.content_hash AND {same_key} THEN c.embedding END"
        );
        if store.embedder != Embedder::External || system::in_recovery() {
            return current;
        }
        let model = conditions.arg(store.model.as_str());
        format!(
            "coalesce({current}, (SELECT e.embedding FROM @s@.embedding_cache e WHERE e.model = {model} AND e.content_hash = h.content_hash))"
        )
    }

    /// What was found in the text, where the store has a place for that.
    fn flags(&self, of: &str) -> String {
        match self.call.store.migration >= migrate::SAFETY {
            true => format!(", {of} AS content_flags"),
            false => String::new(),
        }
    }
}
