//! Curation: what votes say should be used more, what less, and what is there twice.

use pgrx::datum::Interval;

use crate::pg::error::{Error, Result};
use crate::pg::spi::Planning;
use crate::store::access::Call;
use crate::store::conditions::{Conditions, EFFECTIVENESS, Filters};
use crate::store::learning::{deprecate, duplicates};
use crate::store::maintenance::progress::{Phase, Progress};
use crate::store::read;
use crate::store::update::{self, Change};

pub struct Rules {
    /// Fewer votes say nothing.
    pub min_votes: i32,
    pub promote_at: f64,
    pub flag_at: f64,
    /// What is younger is never flagged.
    pub min_age: Interval,
    pub similarity: f64,
    pub page_size: i32,
    pub dry_run: bool,
}

impl Rules {
    fn check(&self) -> Result<()> {
        if self.min_votes < 1 {
            return Err(Error::argument(format!(
                "min_votes is {}, expected 1 or more",
                self.min_votes
            ))
            .hint("Without a vote nothing is known of a memory."));
        }
        for (name, value) in [("promote_at", self.promote_at), ("flag_at", self.flag_at)] {
            if !(-1.0..=1.0).contains(&value) {
                return Err(Error::argument(format!(
                    "{name} is {value}, expected a number from -1 to 1"
                )));
            }
        }
        if self.flag_at >= self.promote_at {
            return Err(Error::argument(format!(
                "flag_at is {}, expected less than promote_at, which is {}",
                self.flag_at, self.promote_at
            )));
        }
        if self.min_age.as_micros() < 0 {
            return Err(Error::argument("min_age is negative"));
        }
        read::check_page_size(self.page_size)
    }
}

/// Something to do, or done.
pub struct Step {
    pub action: &'static str,
    pub id: String,
    pub other_id: Option<String>,
    pub effectiveness: Option<f64>,
    pub similarity: Option<f64>,
    pub content: String,
    pub done: bool,
}

/// Importance of a memory that was promoted.
const PROMOTED: f32 = 0.9;

/// What the rules say of the memories that pass the filters; unless it is a dry run, what is promoted gains importance, and
/// what is flagged is deprecated. Duplicates are only reported.
pub fn curate<'a>(
    call: &Call,
    rules: &Rules,
    filters: impl Fn() -> Filters<'a>,
) -> Result<Vec<Step>> {
    rules.check()?;
    let mut steps = voted(call, rules, filters(), "promote")?;
    steps.extend(voted(call, rules, filters(), "flag")?);
    if !rules.dry_run {
        let progress = Progress::of(Phase::Writing, steps.len() as i64);
        for (done, step) in steps.iter_mut().enumerate() {
            progress.note(done as u64);
            step.done = carry_out(call, step)?;
        }
    }
    // After the flagged ones are gone: they are nobody's duplicates any more.
    let pairs = duplicates::pairs(call, rules.similarity, filters(), rules.page_size)?;
    steps.extend(pairs.into_iter().map(|pair| Step {
        action: "duplicate",
        id: pair.id,
        other_id: Some(pair.duplicate_id),
        effectiveness: None,
        similarity: Some(pair.similarity),
        content: pair.content,
        done: false,
    }));
    Ok(steps)
}

/// The memories that votes promote or flag, the clearest first, as far as the requester may change them.
fn voted(
    call: &Call,
    rules: &Rules,
    filters: Filters<'_>,
    action: &'static str,
) -> Result<Vec<Step>> {
    let mut conditions = Conditions::default();
    conditions.visible(&call.access, false);
    filters.apply(&mut conditions)?;
    let votes = conditions.arg(rules.min_votes);
    conditions.push(format_args!(
        "m.bullet_helpful + m.bullet_harmful >= {votes}"
    ));
    let order = if action == "promote" {
        let (least, important) = (conditions.arg(rules.promote_at), conditions.arg(PROMOTED));
        conditions.push(format_args!("{EFFECTIVENESS} >= {least}"));
        conditions.push(format_args!("m.importance < {important}"));
        "DESC"
    } else {
        let (most, age) = (conditions.arg(rules.flag_at), conditions.arg(rules.min_age));
        conditions.push(format_args!("{EFFECTIVENESS} <= {most}"));
        conditions.push(format_args!("m.created_at <= now() - {age}"));
        "ASC"
    };
    let sql = call.store.sql(&format!(
        "SELECT m.id, {EFFECTIVENESS}, CASE WHEN m.is_sensitive THEN '***' ELSE m.content END, m.agent_id, m.scope
         FROM @s@.memories m WHERE {} ORDER BY 2 {order}, m.id LIMIT {}",
        conditions.sql(),
        rules.page_size
    ));
    Ok(call.sql(|session| {
        let rows = session.read(&sql, Planning::Custom, &conditions.args);
        (0..rows.len())
            .filter(|&row| {
                let author: Option<String> = rows.get(row, 4);
                call.access
                    .may_write(author.as_deref(), &rows.required::<String>(row, 5))
            })
            .map(|row| Step {
                action,
                id: rows.required(row, 1),
                other_id: None,
                effectiveness: rows.get(row, 2),
                similarity: None,
                content: rows.required(row, 3),
                done: false,
            })
            .collect()
    }))
}

fn carry_out(call: &Call, step: &Step) -> Result<bool> {
    if step.action == "flag" {
        return deprecate::deprecate(call, &step.id, Some("curated"), None);
    }
    call.sql(|session| {
        let Some(row) = update::lock(call, session, &step.id)? else {
            return Ok(false);
        };
        let change = Change {
            importance: Some(PROMOTED),
            ..Change::nothing()
        };
        update::apply(call, session, &row, change)?;
        Ok(true)
    })
}
