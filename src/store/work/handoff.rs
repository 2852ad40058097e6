//! Handoff: what an agent that takes over from another is to know, of what it may know.

use pgrx::datum::ToIsoString;
use serde::Serialize;
use serde_json::value::RawValue;

use crate::pg::error::{Error, Result};
use crate::pg::json::Jsonb;
use crate::pg::system;
use crate::store::access::{Call, Privilege, Requester};
use crate::store::conditions::Filters;
use crate::store::memory;
use crate::store::read::{self, Memory, Order, Page};
use crate::store::search::{Hit, Request, Search};
use crate::store::work::features::{self, Feature};
use crate::store::work::sessions::{self, WorkSession};

const LARGEST_K: i32 = 10_000;
const MOST_SESSIONS: usize = 100;
const MOST_FEATURES: usize = 1000;

/// What an agent has decided, rather than met.
const DECISIONS: [&str; 4] = ["strategy", "reflection", "control", "procedural"];

pub struct Handoff<'a> {
    pub source: &'a str,
    pub target: &'a str,
    pub session_id: Option<&'a str>,
    pub query: Option<&'a str>,
    pub k: i32,
}

/// The report; its members are those of the JSON object.
#[derive(Serialize)]
struct Report<'a> {
    source_agent_id: &'a str,
    target_agent_id: &'a str,
    generated_at: String,
    sessions: Vec<OpenSession>,
    features: Vec<OpenFeature>,
    memories: Vec<Known>,
    recent_decisions: Vec<Known>,
}

#[derive(Serialize)]
struct OpenSession {
    session_id: String,
    status: String,
    progress: f64,
    in_progress_item: Option<String>,
    next_items: Box<RawValue>,
    blocked_items: Box<RawValue>,
    summary: Option<String>,
    last_action: Option<String>,
}

#[derive(Serialize)]
struct OpenFeature {
    feature_id: String,
    status: String,
    description: String,
    blocked_reason: Option<String>,
}

/// A memory; the score is how well it fits the query, if there is one.
#[derive(Serialize)]
struct Known {
    id: String,
    content: String,
    memory_type: String,
    scope: String,
    key: Option<String>,
    namespace: String,
    metadata: Box<RawValue>,
    created_at: String,
    expires_at: Option<String>,
    score: Option<f64>,
}

/// JSON text goes from row to report unread: no number loses a digit, and no depth is too much.
fn raw(json: &Jsonb) -> Box<RawValue> {
    RawValue::from_string(json.text()).unwrap_or_default()
}

impl From<WorkSession> for OpenSession {
    fn from(session: WorkSession) -> Self {
        OpenSession {
            next_items: raw(&session.next_items),
            blocked_items: raw(&session.blocked_items),
            session_id: session.session_id,
            status: session.status,
            progress: session.progress,
            in_progress_item: session.in_progress_item,
            summary: session.summary,
            last_action: session.last_action,
        }
    }
}

impl From<Feature> for OpenFeature {
    fn from(feature: Feature) -> Self {
        OpenFeature {
            feature_id: feature.feature_id,
            status: feature.status,
            description: feature.description,
            blocked_reason: feature.blocked_reason,
        }
    }
}

impl From<Memory> for Known {
    fn from(memory: Memory) -> Self {
        Known {
            metadata: raw(&memory.metadata),
            id: memory.id,
            content: memory.content,
            memory_type: memory.memory_type,
            scope: memory.scope,
            key: memory.key,
            namespace: memory.namespace,
            created_at: memory.created_at.to_iso_string(),
            expires_at: memory.expires_at.map(|time| time.to_iso_string()),
            score: None,
        }
    }
}

impl From<Hit> for Known {
    fn from(hit: Hit) -> Self {
        Known {
            metadata: raw(&hit.metadata),
            id: hit.id,
            content: hit.content,
            memory_type: hit.memory_type,
            scope: hit.scope,
            key: hit.key,
            namespace: hit.namespace,
            created_at: hit.created_at.to_iso_string(),
            expires_at: hit.expires_at.map(|time| time.to_iso_string()),
            score: Some(hit.score),
        }
    }
}

impl Handoff<'_> {
    /// The report as JSON. The caller has to be one who may act as the source or as the target; what it is shown of memories
    /// is what the target sees, either way.
    pub fn report(&self, project_id: Option<&str>) -> Result<Jsonb> {
        self.check()?;
        let mut call = self.begin(project_id)?;
        call.access.requester = Requester::Agent(self.target.to_owned());
        let call = call;
        let sessions = sessions::open_of(&call, self.source, self.session_id, MOST_SESSIONS);
        let names: Vec<String> = sessions
            .iter()
            .map(|session| session.session_id.clone())
            .collect();
        let features = if names.is_empty() {
            Vec::new()
        } else {
            features::open_of(&call, names, MOST_FEATURES)
        };
        let report = Report {
            source_agent_id: self.source,
            target_agent_id: self.target,
            generated_at: system::now().to_iso_string(),
            sessions: sessions.into_iter().map(Into::into).collect(),
            features: features.into_iter().map(Into::into).collect(),
            memories: self.memories(&call)?,
            recent_decisions: self.newest(&call, Some(&DECISIONS))?,
        };
        let json = serde_json::to_string(&report)
            .map_err(|error| Error::state(format!("the handoff cannot be written: {error}")))?;
        Ok(Jsonb::parse(&json))
    }

    fn check(&self) -> Result<()> {
        for (argument, agent) in [
            ("source_agent_id", self.source),
            ("target_agent_id", self.target),
        ] {
            memory::check_name(argument, agent)?;
            if agent == "*" {
                return Err(Error::argument(format!(
                    "{argument} '*' means every agent and cannot be an agent's own name"
                ))
                .hint("A handoff is from one agent to another."));
            }
        }
        if self.source == self.target {
            return Err(Error::argument(format!(
                "source_agent_id and target_agent_id are both {:?}",
                self.source
            ))
            .hint("A handoff is from one agent to another; memory_list() shows an agent its own memories."));
        }
        if let Some(session_id) = self.session_id {
            memory::check_name("session_id", session_id)?;
        }
        if !(1..=LARGEST_K).contains(&self.k) {
            return Err(Error::argument(format!(
                "k is {}, expected a number from 1 to {LARGEST_K}",
                self.k
            )));
        }
        Ok(())
    }

    fn begin(&self, project_id: Option<&str>) -> Result<Call> {
        let begin = |agent| Call::begin_ace(project_id, Some(agent), Privilege::Read, "read");
        match begin(self.target) {
            Ok(call) => Ok(call),
            Err(refusal) => begin(self.source).map_err(|_| refusal),
        }
    }

    /// What the source wrote and the target sees: what fits the query best, or the newest.
    fn memories(&self, call: &Call) -> Result<Vec<Known>> {
        if self.query.is_none() {
            return self.newest(call, None);
        }
        let request = Request {
            query: self.query,
            k: Some(self.k),
            filters: Filters {
                author: Some(self.source),
                ..Filters::default()
            },
            ..Request::default()
        };
        let hits = Search::new(call, request)?.run(call);
        Ok(hits.into_iter().map(Into::into).collect())
    }

    fn newest(&self, call: &Call, types: Option<&[&str]>) -> Result<Vec<Known>> {
        let filters = Filters {
            author: Some(self.source),
            memory_types: types
                .map(|types| types.iter().map(|&name| Some(name.to_owned())).collect()),
            ..Filters::default()
        };
        let memories = read::list(
            call,
            filters,
            false,
            &Page {
                order: Order::Newest,
                size: self.k,
                after: None,
            },
        )?;
        Ok(memories.into_iter().map(Into::into).collect())
    }
}
