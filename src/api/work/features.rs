//! Features: what is to be built, and whether it is proven to work.

use pgrx::datum::TimestampWithTimeZone;
use pgrx::prelude::*;

use crate::api::arguments::required;
use crate::pg::error::SqlResult as Result;
use crate::pg::json::Jsonb;
use crate::pg::measure::{Operation, measured};
use crate::store::work::features::{self, Change, Draft, Feature, Filters};
use crate::store::{Call, Privilege, migrate};

/// Adds a feature to the project, not_started, and returns its row.
///
/// description says what it does and is required. test_steps is a JSON array of strings or objects, at most 10,000. A feature is the
/// project's; agent_id, which cannot be '*', is recorded. session_id is the session it is worked on in; it need not exist yet.
/// Errors: 22023, 23505 when the project has the feature, 42501, 54000, 55000.
#[pg_extern(volatile, parallel_unsafe)]
#[allow(clippy::too_many_arguments)]
fn memory_feature_create(
    feature_id: Option<&str>,
    description: Option<&str>,
    category: default!(Option<&str>, "NULL"),
    test_steps: default!(Option<Jsonb>, "NULL"),
    agent_id: default!(Option<&str>, "NULL"),
    session_id: default!(Option<&str>, "NULL"),
    metadata: default!(Option<Jsonb>, "NULL"),
    project_id: default!(Option<&str>, "NULL"),
) -> Result<
    TableIterator<
        'static,
        (
            name!(feature_id, String),
            name!(description, String),
            name!(category, Option<String>),
            name!(status, String),
            name!(passes, bool),
            name!(test_steps, Jsonb),
            name!(verified_by, Option<String>),
            name!(verified_at, Option<TimestampWithTimeZone>),
            name!(blocked_reason, Option<String>),
            name!(implementation_notes, Option<String>),
            name!(agent_id, Option<String>),
            name!(session_id, Option<String>),
            name!(metadata, Jsonb),
            name!(created_at, TimestampWithTimeZone),
            name!(updated_at, TimestampWithTimeZone),
            name!(completed_at, Option<TimestampWithTimeZone>),
            name!(project_id, String),
        ),
    >,
> {
    measured(Operation::FeatureCreate, || {
        let draft = Draft {
            feature_id: required("feature_id", feature_id)?,
            description: required("description", description)?,
            category,
            test_steps,
            session_id,
            metadata,
        };
        let call = Call::begin_ace(project_id, agent_id, Privilege::Write, "feature_create")?;
        let row = features::create(&call, draft)?;
        Ok(TableIterator::once(feature_row(row)))
    })
}

/// The feature with this id, whoever added it; no row when the project has none. Errors: 22023, 42501, 55000.
#[pg_extern(stable, parallel_restricted)]
fn memory_feature_get(
    feature_id: Option<&str>,
    agent_id: default!(Option<&str>, "NULL"),
    project_id: default!(Option<&str>, "NULL"),
) -> Result<
    TableIterator<
        'static,
        (
            name!(feature_id, String),
            name!(description, String),
            name!(category, Option<String>),
            name!(status, String),
            name!(passes, bool),
            name!(test_steps, Jsonb),
            name!(verified_by, Option<String>),
            name!(verified_at, Option<TimestampWithTimeZone>),
            name!(blocked_reason, Option<String>),
            name!(implementation_notes, Option<String>),
            name!(agent_id, Option<String>),
            name!(session_id, Option<String>),
            name!(metadata, Jsonb),
            name!(created_at, TimestampWithTimeZone),
            name!(updated_at, TimestampWithTimeZone),
            name!(completed_at, Option<TimestampWithTimeZone>),
            name!(project_id, String),
        ),
    >,
> {
    measured(Operation::FeatureGet, || {
        let feature_id = required("feature_id", feature_id)?;
        let call = Call::begin_timeless(migrate::ACE, project_id, agent_id)?;
        let row = features::get(&call, feature_id)?;
        Ok(TableIterator::new(row.into_iter().map(feature_row)))
    })
}

/// The project's features that pass the filters, oldest first.
///
/// status is not_started, in_progress, blocked, testing, complete or failed. agent_id is the agent that asks and filters nothing.
/// page_size is 1..10000. Errors: 22023, 42501, 55000.
#[pg_extern(stable, parallel_restricted)]
fn memory_feature_list(
    status: default!(Option<&str>, "NULL"),
    category: default!(Option<&str>, "NULL"),
    session_id: default!(Option<&str>, "NULL"),
    agent_id: default!(Option<&str>, "NULL"),
    page_size: default!(Option<i32>, "50"),
    project_id: default!(Option<&str>, "NULL"),
) -> Result<
    TableIterator<
        'static,
        (
            name!(feature_id, String),
            name!(description, String),
            name!(category, Option<String>),
            name!(status, String),
            name!(passes, bool),
            name!(test_steps, Jsonb),
            name!(verified_by, Option<String>),
            name!(verified_at, Option<TimestampWithTimeZone>),
            name!(blocked_reason, Option<String>),
            name!(implementation_notes, Option<String>),
            name!(agent_id, Option<String>),
            name!(session_id, Option<String>),
            name!(metadata, Jsonb),
            name!(created_at, TimestampWithTimeZone),
            name!(updated_at, TimestampWithTimeZone),
            name!(completed_at, Option<TimestampWithTimeZone>),
            name!(project_id, String),
        ),
    >,
> {
    measured(Operation::FeatureList, || {
        let call = Call::begin_timeless(migrate::ACE, project_id, agent_id)?;
        let filters = Filters {
            status,
            category,
            session_id,
        };
        let rows = features::list(&call, &filters, page_size.unwrap_or(50))?;
        Ok(TableIterator::new(rows.into_iter().map(feature_row)))
    })
}

/// Changes a feature and returns its row; what is left out stays as it is.
///
/// status: not_started can become in_progress, blocked or failed; in_progress testing, blocked, failed or not_started; blocked
/// not_started, in_progress or failed; testing complete, in_progress, blocked or failed; failed not_started or in_progress; complete
/// in_progress, which clears passes and the verification. complete needs passes and verified_by, given now or before. verified_by
/// also sets verified_at. Leaving blocked clears blocked_reason; a blank blocked_reason or implementation_notes takes it away.
/// metadata is a merge patch (RFC 7396). The agent that changes it, if one is named or the role is bound to one, becomes its
/// agent_id. Errors: 22023, P0002, 42501, 54000, 55000 also for a change of status that is not possible.
#[pg_extern(volatile, parallel_unsafe)]
#[allow(clippy::too_many_arguments)]
fn memory_feature_update(
    feature_id: Option<&str>,
    status: default!(Option<&str>, "NULL"),
    passes: default!(Option<bool>, "NULL"),
    verified_by: default!(Option<&str>, "NULL"),
    description: default!(Option<&str>, "NULL"),
    category: default!(Option<&str>, "NULL"),
    test_steps: default!(Option<Jsonb>, "NULL"),
    blocked_reason: default!(Option<&str>, "NULL"),
    implementation_notes: default!(Option<&str>, "NULL"),
    metadata: default!(Option<Jsonb>, "NULL"),
    agent_id: default!(Option<&str>, "NULL"),
    project_id: default!(Option<&str>, "NULL"),
) -> Result<
    TableIterator<
        'static,
        (
            name!(feature_id, String),
            name!(description, String),
            name!(category, Option<String>),
            name!(status, String),
            name!(passes, bool),
            name!(test_steps, Jsonb),
            name!(verified_by, Option<String>),
            name!(verified_at, Option<TimestampWithTimeZone>),
            name!(blocked_reason, Option<String>),
            name!(implementation_notes, Option<String>),
            name!(agent_id, Option<String>),
            name!(session_id, Option<String>),
            name!(metadata, Jsonb),
            name!(created_at, TimestampWithTimeZone),
            name!(updated_at, TimestampWithTimeZone),
            name!(completed_at, Option<TimestampWithTimeZone>),
            name!(project_id, String),
        ),
    >,
> {
    measured(Operation::FeatureUpdate, || {
        let feature_id = required("feature_id", feature_id)?;
        let change = Change {
            status,
            passes,
            verified_by,
            description,
            category,
            test_steps,
            blocked_reason,
            implementation_notes,
            metadata,
        };
        let call = Call::begin_ace(project_id, agent_id, Privilege::Write, "feature_update")?;
        let row = features::update(&call, feature_id, change)?;
        Ok(TableIterator::once(feature_row(row)))
    })
}

type FeatureRow = (
    String,
    String,
    Option<String>,
    String,
    bool,
    Jsonb,
    Option<String>,
    Option<TimestampWithTimeZone>,
    Option<String>,
    Option<String>,
    Option<String>,
    Option<String>,
    Jsonb,
    TimestampWithTimeZone,
    TimestampWithTimeZone,
    Option<TimestampWithTimeZone>,
    String,
);

fn feature_row(feature: Feature) -> FeatureRow {
    (
        feature.feature_id,
        feature.description,
        feature.category,
        feature.status,
        feature.passes,
        feature.test_steps,
        feature.verified_by,
        feature.verified_at,
        feature.blocked_reason,
        feature.implementation_notes,
        feature.agent_id,
        feature.session_id,
        feature.metadata,
        feature.created_at,
        feature.updated_at,
        feature.completed_at,
        feature.project_id,
    )
}
