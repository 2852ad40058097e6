//! Features: what is to be built in a project, and whether it is proven to work.

use memory_core::progress::{FeatureStatus, State};
use pgrx::datum::TimestampWithTimeZone;

use crate::pg::error::{Error, Result};
use crate::pg::json::Jsonb;
use crate::pg::spi::{Planning, Rows, Session};
use crate::pg::system;
use crate::store::access::Call;
use crate::store::conditions::Conditions;
use crate::store::memory;
use crate::store::read;
use crate::store::work::progress;

const WHAT: &str = "feature";

/// A row of feature_tracker, as functions return it.
#[derive(Clone, PartialEq)]
pub struct Feature {
    pub feature_id: String,
    pub description: String,
    pub category: Option<String>,
    pub status: String,
    pub passes: bool,
    pub test_steps: Jsonb,
    pub verified_by: Option<String>,
    pub verified_at: Option<TimestampWithTimeZone>,
    pub blocked_reason: Option<String>,
    pub implementation_notes: Option<String>,
    pub agent_id: Option<String>,
    pub session_id: Option<String>,
    pub metadata: Jsonb,
    pub created_at: TimestampWithTimeZone,
    pub updated_at: TimestampWithTimeZone,
    pub completed_at: Option<TimestampWithTimeZone>,
    pub project_id: String,
}

const COLUMNS: &str = "m.feature_id, m.description, m.category, m.status, m.passes, m.test_steps, m.verified_by, m.verified_at, m.blocked_reason,
    m.implementation_notes, m.agent_id, m.session_id, m.metadata, m.created_at, m.updated_at, m.completed_at, m.project_id";

fn feature(rows: &Rows<'_>, row: usize) -> Feature {
    Feature {
        feature_id: rows.required(row, 1),
        description: rows.required(row, 2),
        category: rows.get(row, 3),
        status: rows.required(row, 4),
        passes: rows.required(row, 5),
        test_steps: rows.required(row, 6),
        verified_by: rows.get(row, 7),
        verified_at: rows.get(row, 8),
        blocked_reason: rows.get(row, 9),
        implementation_notes: rows.get(row, 10),
        agent_id: rows.get(row, 11),
        session_id: rows.get(row, 12),
        metadata: rows.required(row, 13),
        created_at: rows.required(row, 14),
        updated_at: rows.required(row, 15),
        completed_at: rows.get(row, 16),
        project_id: rows.required(row, 17),
    }
}

fn all(rows: &Rows<'_>) -> Vec<Feature> {
    (0..rows.len()).map(|row| feature(rows, row)).collect()
}

/// A feature that is to be tracked.
pub struct Draft<'a> {
    pub feature_id: &'a str,
    pub description: &'a str,
    pub category: Option<&'a str>,
    pub test_steps: Option<Jsonb>,
    pub session_id: Option<&'a str>,
    pub metadata: Option<Jsonb>,
}

pub fn create(call: &Call, draft: Draft<'_>) -> Result<Feature> {
    progress::check_names(&[
        ("feature_id", Some(draft.feature_id)),
        ("category", draft.category),
        ("session_id", draft.session_id),
    ])?;
    check_description(draft.description)?;
    progress::check_items("test_steps", draft.test_steps.as_ref())?;
    progress::check_metadata(draft.metadata.as_ref())?;
    let agent = call.access.author()?;
    let sql = call.store.sql(&format!(
        "INSERT INTO @s@.feature_tracker AS m (id, project_id, feature_id, description, category, test_steps, agent_id, session_id, metadata)
         VALUES ($1, $2, $3, $4, $5, coalesce($6, '[]'), $7, $8, coalesce($9, '{{}}'))
         ON CONFLICT (project_id, feature_id) DO NOTHING RETURNING {COLUMNS}"
    ));
    call.sql(|session| {
        let rows = session.write(
            &sql,
            &[
                memory::new_id().into(),
                call.project().into(),
                draft.feature_id.into(),
                draft.description.into(),
                draft.category.into(),
                draft.test_steps.into(),
                agent.into(),
                draft.session_id.into(),
                draft.metadata.into(),
            ],
        );
        all(&rows).pop()
    })
    .ok_or_else(|| {
        Error::duplicate(format!(
            "feature {:?} exists already in project {:?}",
            draft.feature_id,
            call.project()
        ))
        .hint("Use memory_feature_update() to change it, or another feature_id.")
    })
}

fn check_description(description: &str) -> Result<()> {
    memory::check_length("description", description)?;
    if memory_core::text::is_blank(description) {
        return Err(Error::argument("description is blank").hint("Say what the feature does."));
    }
    Ok(())
}

/// The feature of this name, if there is one in the project.
pub fn get(call: &Call, feature_id: &str) -> Result<Option<Feature>> {
    memory::check_name("feature_id", feature_id)?;
    let mut conditions = of_project(call);
    conditions.equal("feature_id", Some(feature_id));
    Ok(select(call, &conditions, Planning::Generic, "").pop())
}

/// Which features are listed; `None` lets all through.
pub struct Filters<'a> {
    pub status: Option<&'a str>,
    pub category: Option<&'a str>,
    pub session_id: Option<&'a str>,
}

/// A page of the project's features, oldest first.
pub fn list(call: &Call, filters: &Filters<'_>, page_size: i32) -> Result<Vec<Feature>> {
    read::check_page_size(page_size)?;
    let mut conditions = of_project(call);
    if let Some(status) = filters.status {
        let status: FeatureStatus = progress::status(WHAT, status)?;
        conditions.equal("status", Some(status.name()));
    }
    for (column, value) in [
        ("category", filters.category),
        ("session_id", filters.session_id),
    ] {
        if let Some(value) = value {
            memory::check_name(column, value)?;
        }
        conditions.equal(column, value);
    }
    let oldest = format!("ORDER BY m.created_at, m.id LIMIT {page_size}");
    Ok(select(call, &conditions, Planning::Custom, &oldest))
}

/// The open features of these sessions, oldest first.
pub fn open_of(call: &Call, sessions: Vec<String>, most: usize) -> Vec<Feature> {
    let mut conditions = of_project(call);
    let place = conditions.arg(sessions);
    conditions.push(format_args!("m.session_id = ANY ({place})"));
    let open: Vec<String> = FeatureStatus::ALL
        .iter()
        .filter(|status| status.is_open())
        .map(|status| status.name().to_owned())
        .collect();
    let place = conditions.arg(open);
    conditions.push(format_args!("m.status = ANY ({place})"));
    let oldest = format!("ORDER BY m.created_at, m.id LIMIT {most}");
    select(call, &conditions, Planning::Custom, &oldest)
}

/// Features are the project's: whoever may read it sees them.
fn of_project(call: &Call) -> Conditions {
    let mut conditions = Conditions::default();
    conditions.equal("project_id", Some(call.project()));
    conditions
}

fn select(call: &Call, conditions: &Conditions, planning: Planning, order: &str) -> Vec<Feature> {
    let sql = call.store.sql(&format!(
        "SELECT {COLUMNS} FROM @s@.feature_tracker m WHERE {} {order}",
        conditions.sql()
    ));
    call.sql(|session| all(&session.read(&sql, planning, &conditions.args)))
}

/// What is to change; `None` stays as it is.
#[derive(Default)]
pub struct Change<'a> {
    pub status: Option<&'a str>,
    pub passes: Option<bool>,
    pub verified_by: Option<&'a str>,
    pub description: Option<&'a str>,
    pub category: Option<&'a str>,
    pub test_steps: Option<Jsonb>,
    pub blocked_reason: Option<&'a str>,
    pub implementation_notes: Option<&'a str>,
    /// RFC 7396 merge patch.
    pub metadata: Option<Jsonb>,
}

impl Change<'_> {
    fn check(&self) -> Result<Option<FeatureStatus>> {
        progress::check_names(&[
            ("verified_by", self.verified_by),
            ("category", self.category),
        ])?;
        self.description.map_or(Ok(()), check_description)?;
        progress::check_items("test_steps", self.test_steps.as_ref())?;
        progress::check_metadata(self.metadata.as_ref())?;
        self.status
            .map(|status| progress::status(WHAT, status))
            .transpose()
    }

    /// The row after the change.
    fn apply(self, to: Option<FeatureStatus>, old: &Feature) -> Result<Feature> {
        let mut new = old.clone();
        if let Some(to) = to {
            progress::check_change(WHAT, &old.feature_id, &old.status, to)?;
            new.status = to.name().to_owned();
            leave(&mut new, &old.status);
        }
        if let Some(passes) = self.passes {
            new.passes = passes;
        }
        if let Some(verifier) = self.verified_by {
            new.verified_by = Some(verifier.to_owned());
            new.verified_at = Some(system::now());
        }
        if let Some(description) = self.description {
            new.description = description.to_owned();
        }
        if let Some(category) = self.category {
            new.category = Some(category.to_owned());
        }
        if let Some(test_steps) = self.test_steps {
            new.test_steps = test_steps;
        }
        progress::set_text(
            "blocked_reason",
            &mut new.blocked_reason,
            self.blocked_reason,
        )?;
        progress::set_text(
            "implementation_notes",
            &mut new.implementation_notes,
            self.implementation_notes,
        )?;
        progress::patch(&mut new.metadata, self.metadata.as_ref())?;
        if new.status == FeatureStatus::Complete.name() {
            new.completed_at.get_or_insert_with(system::now);
            check_proven(&new)?;
        }
        Ok(new)
    }
}

/// Takes away what held of the state that the row has left.
fn leave(new: &mut Feature, left: &str) {
    if new.status == left {
        return;
    }
    if left == FeatureStatus::Complete.name() {
        new.passes = false;
        new.verified_by = None;
        new.verified_at = None;
        new.completed_at = None;
    }
    if left == FeatureStatus::Blocked.name() {
        new.blocked_reason = None;
    }
}

/// A complete feature has passed, and somebody says so.
fn check_proven(feature: &Feature) -> Result<()> {
    let lacks = match (feature.passes, &feature.verified_by) {
        (true, Some(_)) => return Ok(()),
        (false, Some(_)) => "passes is false",
        (true, None) => "verified_by is not given",
        (false, None) => "passes is false and verified_by is not given",
    };
    Err(Error::state(format!(
        "feature {:?} cannot be complete: {lacks}",
        feature.feature_id
    ))
    .hint("Give passes => true and verified_by in this call, or before. A complete feature that no longer passes goes back to in_progress."))
}

/// Changes a feature; the agent that changes it is recorded.
pub fn update(call: &Call, feature_id: &str, change: Change<'_>) -> Result<Feature> {
    memory::check_name("feature_id", feature_id)?;
    let to = change.check()?;
    call.sql(|session| {
        let old = lock(call, session, feature_id)?;
        let mut new = change.apply(to, &old)?;
        if let Some(agent) = call.access.requester.agent() {
            new.agent_id = Some(agent.to_owned());
        }
        if new == old {
            return Ok(old);
        }
        let sql = call.store.sql(&format!(
            "UPDATE @s@.feature_tracker m SET status = $3, passes = $4, verified_by = $5, verified_at = $6, description = $7, category = $8,
                    test_steps = $9, blocked_reason = $10, implementation_notes = $11, metadata = $12, agent_id = $13, completed_at = $14,
                    updated_at = greatest(m.updated_at, now())
             WHERE m.project_id = $1 AND m.feature_id = $2 RETURNING {COLUMNS}"
        ));
        let rows = session.write(
            &sql,
            &[
                call.project().into(),
                feature_id.into(),
                new.status.into(),
                new.passes.into(),
                new.verified_by.into(),
                new.verified_at.into(),
                new.description.into(),
                new.category.into(),
                new.test_steps.into(),
                new.blocked_reason.into(),
                new.implementation_notes.into(),
                new.metadata.into(),
                new.agent_id.into(),
                new.completed_at.into(),
            ],
        );
        all(&rows).pop().ok_or_else(|| not_found(feature_id))
    })
}

fn lock(call: &Call, session: &Session, feature_id: &str) -> Result<Feature> {
    let mut conditions = of_project(call);
    conditions.equal("feature_id", Some(feature_id));
    let sql = call.store.sql(&format!(
        "SELECT {COLUMNS} FROM @s@.feature_tracker m WHERE {} FOR NO KEY UPDATE OF m",
        conditions.sql()
    ));
    all(&session.write(&sql, &conditions.args))
        .pop()
        .ok_or_else(|| not_found(feature_id))
}

fn not_found(feature_id: &str) -> Error {
    Error::not_found(format!(
        "there is no feature {feature_id:?} in this project"
    ))
    .hint("memory_feature_create() makes one; memory_feature_list() shows those there are.")
}
