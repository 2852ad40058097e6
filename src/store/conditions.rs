//! The rule of who sees what, and the filters of reading functions, as SQL conditions with numbered arguments.

use pgrx::datum::TimestampWithTimeZone;

use super::access::{Access, Requester};
use crate::pg::error::{Error, Result};
use crate::pg::json::Jsonb;
use crate::pg::spi::Arg;

/// memory_core::rank::votes::effectiveness, in SQL.
pub const EFFECTIVENESS: &str =
    "(m.bullet_helpful - m.bullet_harmful)::float8 / (m.bullet_helpful + m.bullet_harmful + 1)";

/// Conditions on the table alias `m`, joined by AND, and their arguments.
#[derive(Default)]
pub struct Conditions {
    sql: String,
    pub args: Vec<Arg>,
}

/// Where an argument stands in the statement: `$n`.
#[derive(Clone, Copy, Debug)]
pub struct Place(usize);

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "${}", self.0)
    }
}

/// Adds an argument to others.
pub fn append(args: &mut Vec<Arg>, value: impl Into<Arg>) -> Place {
    args.push(value.into());
    Place(args.len())
}

impl Conditions {
    pub fn arg(&mut self, value: impl Into<Arg>) -> Place {
        append(&mut self.args, value)
    }

    pub fn arg_oid(&mut self, value: pgrx::pg_sys::Oid) -> Place {
        append(&mut self.args, Arg::oid(value))
    }

    pub fn push(&mut self, condition: impl std::fmt::Display) {
        use std::fmt::Write;
        if self.sql.is_empty() {
            // One allocation for what most searches have.
            self.sql.reserve(256);
        } else {
            self.sql.push_str(" AND ");
        }
        // Writing to a string does not fail.
        let _ = write!(self.sql, "{condition}");
    }

    /// `column = $n`, when there is a value.
    pub fn equal(&mut self, column: &str, value: Option<&str>) {
        if let Some(value) = value {
            let place = self.arg(value);
            self.push(format_args!("m.{column} = {place}"));
        }
    }

    pub fn sql(&self) -> &str {
        if self.sql.is_empty() {
            "true"
        } else {
            &self.sql
        }
    }

    /// The one rule of visibility: alive, in the project, and of a scope that lets the requester in.
    pub fn visible(&mut self, access: &Access, include_expired: bool) {
        self.in_scope(access);
        self.alive(access, include_expired, "now()");
    }

    /// The part of the rule that time decides.
    pub fn alive(&mut self, access: &Access, include_expired: bool, time: impl std::fmt::Display) {
        self.push("m.deleted_at IS NULL");
        if access.knows_deprecation() {
            self.push("NOT m.is_deprecated");
        }
        if !include_expired {
            self.push(format_args!(
                "(m.expires_at IS NULL OR m.expires_at > {time})"
            ));
        }
    }

    /// What is over its time is shown to admins only, though it may not be removed yet.
    pub fn not_over(&mut self, access: &Access) {
        if !access.sees_what_is_over() {
            self.push("(m.expires_at IS NULL OR m.expires_at > now())");
        }
    }

    /// The part of the rule that holds for dead rows and old versions too.
    pub fn in_scope(&mut self, access: &Access) {
        self.equal("project_id", Some(&access.project));
        match &access.requester {
            Requester::Everything => {}
            Requester::Nobody => self.push("m.scope = 'global'"),
            Requester::Agent(agent) => {
                let agent = self.arg(agent.as_str());
                self.push(format_args!(
                    "(m.scope = 'global' OR m.agent_id = {agent} OR (m.scope = 'agent-shared' AND {agent} = ANY (m.shared_with_agents)))"
                ));
            }
        }
    }
}

/// The filters that list, count and search share.
#[derive(Default)]
pub struct Filters<'a> {
    pub namespace: Option<&'a str>,
    pub user_id: Option<&'a str>,
    pub session_id: Option<&'a str>,
    pub entity_id: Option<&'a str>,
    pub author: Option<&'a str>,
    pub memory_types: Option<Vec<Option<String>>>,
    pub metadata: Option<Jsonb>,
    pub filter: Option<Jsonb>,
    pub since: Option<TimestampWithTimeZone>,
    pub until: Option<TimestampWithTimeZone>,
    /// Least (helpful - harmful) / (helpful + harmful + 1).
    pub min_effectiveness: Option<f64>,
    /// Memories that are for this type of task, or for any.
    pub task_type: Option<&'a str>,
}

impl Filters<'_> {
    /// Whether anything but project, namespace and agent narrows the set: then its size is not known in advance.
    pub fn is_selective(&self) -> bool {
        self.user_id.is_some()
            || self.session_id.is_some()
            || self.entity_id.is_some()
            || self.author.is_some()
            || self.memory_types.is_some()
            || self.metadata.is_some()
            || self.filter.is_some()
            || self.since.is_some()
            || self.until.is_some()
            || self.min_effectiveness.is_some()
            || self.task_type.is_some()
    }

    /// Whether nothing narrows the set; an empty object as metadata or filter lets everything through.
    pub fn narrow_nothing(&self) -> bool {
        let trivial = |json: &Option<Jsonb>| json.as_ref().is_none_or(Jsonb::is_empty_object);
        self.namespace.is_none()
            && self.user_id.is_none()
            && self.session_id.is_none()
            && self.entity_id.is_none()
            && self.author.is_none()
            && self.memory_types.is_none()
            && self.since.is_none()
            && self.until.is_none()
            && self.min_effectiveness.is_none()
            && self.task_type.is_none()
            && trivial(&self.metadata)
            && trivial(&self.filter)
    }

    pub fn apply(self, conditions: &mut Conditions) -> Result<()> {
        for (name, value) in [
            ("namespace", self.namespace),
            ("user_id", self.user_id),
            ("session_id", self.session_id),
            ("entity_id", self.entity_id),
        ] {
            if let Some(value) = value {
                super::memory::check_name(name, value)?;
            }
        }
        conditions.equal("namespace", self.namespace);
        conditions.equal("user_id", self.user_id);
        conditions.equal("session_id", self.session_id);
        conditions.equal("entity_id", self.entity_id);
        conditions.equal("agent_id", self.author);
        if let Some(types) = self.memory_types {
            if types.is_empty() {
                return Err(Error::argument("memory_types is an empty list")
                    .hint("Leave it out to search every type."));
            }
            if types.iter().any(Option::is_none) {
                return Err(Error::argument("memory_types has a NULL in it"));
            }
            for memory_type in types.iter().flatten() {
                super::memory::check_type(memory_type)?;
            }
            let place = conditions.arg(types.into_iter().flatten().collect::<Vec<String>>());
            conditions.push(format_args!("m.memory_type = ANY ({place})"));
        }
        if let Some(metadata) = self.metadata {
            super::memory::check_metadata(&metadata)?;
            let place = conditions.arg(metadata);
            conditions.push(format_args!("m.metadata @> {place}"));
        }
        if let Some(filter) = self.filter {
            let path = memory_core::filter::compile(&filter.text()).map_err(|error| {
                Error::argument(format!("filter: {error}")).hint(
                    "Operators are: $eq $ne $gt $gte $lt $lte $in $nin $exists $and $or $nor $not.",
                )
            })?;
            let place = conditions.arg(path);
            conditions.push(format_args!(
                "m.metadata @@ CAST({place} AS pg_catalog.jsonpath)"
            ));
        }
        if let (Some(since), Some(until)) = (self.since, self.until)
            && since.into_inner() >= until.into_inner()
        {
            return Err(Error::argument("since is not before until"));
        }
        if let Some(since) = self.since {
            let place = conditions.arg(since);
            conditions.push(format_args!("m.created_at >= {place}"));
        }
        if let Some(least) = self.min_effectiveness {
            if !(-1.0..=1.0).contains(&least) {
                return Err(Error::argument(format!(
                    "min_effectiveness is {least}, expected a number from -1 to 1"
                )));
            }
            let place = conditions.arg(least);
            conditions.push(format_args!("{EFFECTIVENESS} >= {place}"));
        }
        if let Some(task_type) = self.task_type {
            super::memory::check_name("task_type", task_type)?;
            let place = conditions.arg(task_type);
            conditions.push(format_args!(
                "coalesce(m.metadata ->> 'task_type', {place}) = {place}"
            ));
        }
        if let Some(until) = self.until {
            let place = conditions.arg(until);
            conditions.push(format_args!("m.created_at < {place}"));
        }
        Ok(())
    }
}
