//! Who may call, for which project, on behalf of which agent; and the frame every function runs its SQL in.

use std::rc::Rc;

use pgrx::datum::TimestampWithTimeZone;
use pgrx::pg_sys;

use super::migrate;
use super::open::{self, Store};
use super::past;
use crate::pg::actor::{self, Acting, Actor};
use crate::pg::error::{Error, Result};
use crate::pg::guc;
use crate::pg::owner::AsOwner;
use crate::pg::spi::{self, Planning, Session};
use crate::pg::system;

pub const DEFAULT_PROJECT: &str = "default";

/// Each includes the ones before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Privilege {
    Read,
    Write,
    Admin,
}

impl Privilege {
    pub fn named(name: &str) -> Result<Self> {
        match name {
            "read" => Ok(Privilege::Read),
            "write" => Ok(Privilege::Write),
            "admin" => Ok(Privilege::Admin),
            _ => Err(Error::argument(format!("unknown privilege {name:?}"))
                .hint("Privileges are: read, write, admin.")),
        }
    }

    pub fn name(self) -> &'static str {
        match self {
            Privilege::Read => "read",
            Privilege::Write => "write",
            Privilege::Admin => "admin",
        }
    }
}

/// On whose behalf rows are looked at.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Requester {
    /// No agent: what is global.
    Nobody,
    Agent(String),
    /// Every row of the project, whoever's it is.
    Everything,
}

impl Requester {
    pub fn agent(&self) -> Option<&str> {
        match self {
            Requester::Agent(agent) => Some(agent),
            Requester::Nobody | Requester::Everything => None,
        }
    }
}

/// What a role may do in a project.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Right {
    None,
    /// As any agent, or as nobody; `admin` may look at everything.
    Free {
        admin: bool,
    },
    /// As these agents only.
    Bound(Vec<String>),
}

/// The outcome of the check.
#[derive(Clone, Debug)]
pub struct Access {
    pub project: String,
    pub requester: Requester,
    pub role: String,
    /// The role is bound to agents: it may change rows of its own agent only.
    pub bound: bool,
    /// The store knows deprecated memories, which nobody sees.
    deprecation: bool,
    right: Right,
    caller: pg_sys::Oid,
}

/// The frame of a function call: rights are checked, SQL runs as the owner, triggers know who acts. Undone when dropped.
pub struct Call {
    pub store: Rc<Store>,
    pub access: Access,
    /// The past time that memories are read of; `None`: they are read as they are.
    pub time: Option<TimestampWithTimeZone>,
    _owner: AsOwner,
    _acting: Acting,
}

impl Call {
    /// Checks that the caller has `need` in the project and may act as `agent_id`, then becomes the owner.
    ///
    /// This and the frames like it are about now, and refused while memory_ext.as_of is set.
    pub fn begin(
        project_id: Option<&str>,
        agent_id: Option<&str>,
        need: Privilege,
        operation: &'static str,
    ) -> Result<Call> {
        let store = open::enter(need > Privilege::Read)?;
        Call::begin_on(store, project_id, agent_id, need, operation)
    }

    /// The same for what came with 1.1.0.
    pub fn begin_ace(
        project_id: Option<&str>,
        agent_id: Option<&str>,
        need: Privilege,
        operation: &'static str,
    ) -> Result<Call> {
        let store = open::enter(need > Privilege::Read)?;
        store.require(migrate::ACE)?;
        Call::begin_on(store, project_id, agent_id, need, operation)
    }

    /// The same for what came with 2.0.0.
    pub fn begin_safety(
        project_id: Option<&str>,
        agent_id: Option<&str>,
        need: Privilege,
        operation: &'static str,
    ) -> Result<Call> {
        let store = open::enter(need > Privilege::Read)?;
        store.require(migrate::SAFETY)?;
        Call::begin_on(store, project_id, agent_id, need, operation)
    }

    /// The frame for reading memories as they were at `at`, a time with the name of its argument, else as of
    /// memory_ext.as_of, else as they are. Of the store it needs the migration `least`.
    pub fn begin_reading(
        least: i32,
        project_id: Option<&str>,
        agent_id: Option<&str>,
        at: Option<(&str, TimestampWithTimeZone)>,
    ) -> Result<Call> {
        let mut call = Call::begin_timeless(least, project_id, agent_id)?;
        call.time = past::time(at)?;
        if call.time.is_some() {
            call.store.require(migrate::ACE)?;
        }
        Ok(call)
    }

    /// The frame for reading what memory_ext.as_of does not bear on: what is no memory, or tells of every time.
    pub fn begin_timeless(
        least: i32,
        project_id: Option<&str>,
        agent_id: Option<&str>,
    ) -> Result<Call> {
        let store = open::enter(false)?;
        store.require(least)?;
        let need = Privilege::Read;
        Call::frame(store, project_id, need, "read", |right, project, caller| {
            decide(right, project, agent_id, need, caller)
        })
    }

    pub fn begin_on(
        store: Rc<Store>,
        project_id: Option<&str>,
        agent_id: Option<&str>,
        need: Privilege,
        operation: &'static str,
    ) -> Result<Call> {
        past::refuse(need)?;
        Call::frame(
            store,
            project_id,
            need,
            operation,
            |right, project, caller| decide(right, project, agent_id, need, caller),
        )
    }

    /// The frame of a batch, whose items say for themselves which agent adds them.
    pub fn begin_batch(store: Rc<Store>, project_id: Option<&str>) -> Result<Call> {
        let need = Privilege::Write;
        past::refuse(need)?;
        Call::frame(store, project_id, need, "add", |right, project, caller| {
            if *right == Right::None {
                return decide(right, project, None, need, caller);
            }
            Ok(Access {
                project,
                requester: Requester::Nobody,
                role: system::role_name(caller),
                bound: matches!(right, Right::Bound(_)),
                deprecation: false,
                right: right.clone(),
                caller,
            })
        })
    }

    /// The frame for looking after a project or, with none, the whole store, on behalf of nobody in particular: for an admin of
    /// it. What only reads works on a standby too.
    pub fn begin_care(
        store: Rc<Store>,
        project_id: Option<&str>,
        writes: bool,
        operation: &'static str,
    ) -> Result<Call> {
        past::refuse(match writes {
            true => Privilege::Write,
            false => Privilege::Read,
        })?;
        if writes {
            refuse_read_only(operation)?;
        }
        let asked = store.clone();
        let reads = Privilege::Read;
        Call::frame(
            store,
            project_id.or(Some(DEFAULT_PROJECT)),
            reads,
            operation,
            |right, project, caller| {
                let (right, of) = match project_id {
                    Some(_) => (right.clone(), project.as_str()),
                    None => (right_of(&asked, caller, "*", Privilege::Admin), "*"),
                };
                if right != (Right::Free { admin: true }) {
                    let none = Right::None;
                    return decide(&none, of.to_owned(), None, Privilege::Admin, caller);
                }
                decide(&right, project, Some("*"), reads, caller)
            },
        )
    }

    fn frame(
        store: Rc<Store>,
        project_id: Option<&str>,
        need: Privilege,
        operation: &'static str,
        decide: impl FnOnce(&Right, String, pg_sys::Oid) -> Result<Access>,
    ) -> Result<Call> {
        if need > Privilege::Read {
            refuse_read_only(operation)?;
        }
        let caller = system::current_role();
        let project = resolve_project(project_id)?;
        let owner = store.as_owner();
        let right = right_of(&store, caller, &project, need);
        let mut access = decide(&right, project, caller)?;
        access.deprecation = store.has_ace();
        let acting = actor::act(access.actor(operation));
        Ok(Call {
            store,
            access,
            time: None,
            _owner: owner,
            _acting: acting,
        })
    }

    /// The frame of another agent's, as far as the caller may act as it.
    pub fn on_behalf(&self, agent_id: &str, operation: &'static str) -> Result<Call> {
        let access = self.access.acting_as(Some(agent_id))?;
        let acting = actor::act(access.actor(operation));
        Ok(Call {
            store: self.store.clone(),
            access,
            time: self.time,
            _owner: self.store.as_owner(),
            _acting: acting,
        })
    }

    /// The same frame for one of several things a call does; history calls the change what `operation` says.
    pub fn doing(&self, operation: &'static str) -> Acting {
        actor::act(self.access.actor(operation))
    }

    /// The same frame while rows come back from a backup.
    pub fn restoring(&self) -> Acting {
        actor::act(Actor {
            restoring: true,
            ..self.access.actor("restore")
        })
    }

    /// Runs statements; the templates they are made of name schemas as `Store::sql` says.
    pub fn sql<R>(&self, work: impl FnOnce(&Session) -> R) -> R {
        spi::connect(work)
    }

    pub fn project(&self) -> &str {
        &self.access.project
    }
}

fn refuse_read_only(operation: &str) -> Result<()> {
    if system::in_recovery() {
        let doing = match operation {
            "maintenance" => "maintain memories",
            "cleanup" => "clean up memories",
            "reembed" => "embed memories again",
            "rebuild" => "rebuild the vector index",
            "seal" => "seal the audit trail",
            "vote" => "vote on memories",
            "delta" => "apply deltas",
            "kv_set" => "set keys",
            "session_start" | "session_update" => "write session progress",
            "feature_create" | "feature_update" => "write features",
            "run" => "record runs",
            "grant" | "revoke" => &format!("{operation} rights"),
            verb => &format!("{verb} memories"),
        };
        return Err(Error::state(format!("cannot {doing} on a standby"))
            .hint("Connect to the primary server."));
    }
    Ok(())
}

/// The project of a call: the argument, else the session's setting, else 'default'.
pub fn resolve_project(project_id: Option<&str>) -> Result<String> {
    let project = match project_id {
        Some(project) => project.to_owned(),
        None => guc::project().unwrap_or_else(|| DEFAULT_PROJECT.to_owned()),
    };
    if project == "*" {
        return Err(
            Error::argument("project_id '*' is not a project").hint("Name one project a call.")
        );
    }
    super::memory::check_name("project_id", &project)?;
    Ok(project)
}

/// The right `role` has in `project`, as far as grants of at least `need` give it. Runs as the owner.
pub fn right_of(store: &Store, role: pg_sys::Oid, project: &str, need: Privilege) -> Right {
    if is_master(store, role) {
        return Right::Free { admin: true };
    }
    let sql = store.sql(
        "SELECT g.agent_id, g.privilege FROM @s@.memory_grants g JOIN pg_roles r ON r.rolname = g.role
         WHERE g.project_id IN ($1, '*') AND pg_has_role($2, r.oid, 'USAGE')",
    );
    let grants: Vec<(Option<String>, Privilege)> = spi::connect(|session| {
        let rows = session.read(&sql, Planning::Auto, &[project.into(), spi::Arg::oid(role)]);
        (0..rows.len())
            .filter_map(|row| {
                Some((
                    rows.get(row, 1),
                    Privilege::named(&rows.required::<String>(row, 2)).ok()?,
                ))
            })
            .filter(|(_, privilege)| *privilege >= need)
            .collect()
    });
    if grants.is_empty() {
        return Right::None;
    }
    if grants.iter().any(|(agent, _)| agent.is_none()) {
        let admin = grants
            .iter()
            .any(|(agent, privilege)| agent.is_none() && *privilege == Privilege::Admin);
        return Right::Free { admin };
    }
    let mut agents: Vec<String> = grants.into_iter().filter_map(|(agent, _)| agent).collect();
    agents.sort();
    agents.dedup();
    Right::Bound(agents)
}

/// Whether `role` has a grant in any project, for tables that belong to none.
pub fn right_anywhere(store: &Store, role: pg_sys::Oid) -> Right {
    if is_master(store, role) {
        return Right::Free { admin: true };
    }
    let sql = store.sql(
        "SELECT FROM @s@.memory_grants g JOIN pg_roles r ON r.rolname = g.role WHERE pg_has_role($1, r.oid, 'USAGE') LIMIT 1",
    );
    let granted = spi::connect(|session| {
        !session
            .read(&sql, Planning::Auto, &[spi::Arg::oid(role)])
            .is_empty()
    });
    if granted {
        Right::Free { admin: false }
    } else {
        Right::None
    }
}

/// Whether `role` is an admin of every project by one grant.
pub fn is_admin_everywhere(store: &Store, role: pg_sys::Oid) -> bool {
    let _owner = store.as_owner();
    right_of(store, role, "*", Privilege::Admin) == Right::Free { admin: true }
}

/// Whether a role may do all: it is a superuser, or has the rights of the tables' owner.
pub fn is_master(store: &Store, role: pg_sys::Oid) -> bool {
    role == store.owner || system::is_superuser(role) || system::has_rights_of(role, store.owner)
}

fn decide(
    right: &Right,
    project: String,
    agent_id: Option<&str>,
    need: Privilege,
    caller: pg_sys::Oid,
) -> Result<Access> {
    let role = system::role_name(caller);
    if let Some(agent) = agent_id.filter(|agent| *agent != "*") {
        super::memory::check_name("agent_id", agent)?;
    }
    let (requester, bound) = match right {
        Right::None => {
            return Err(Error::denied(format!("role {role:?} has no {} right in memory project {project:?}", need.name()))
                .hint(format!("The owner of the memories can run: SELECT memory_grant({role:?}, {project:?}, '{}').", need.name()).replace('"', "'")));
        }
        Right::Free { admin } => match agent_id {
            Some("*") if !*admin => {
                return Err(Error::denied(format!(
                    "role {role:?} may not act as every agent (agent_id => '*')"
                ))
                .hint("Name one agent, or ask for the admin privilege."));
            }
            Some("*") => (Requester::Everything, false),
            Some(agent) => (Requester::Agent(agent.to_owned()), false),
            None => (Requester::Nobody, false),
        },
        Right::Bound(agents) => {
            let agent = match agent_id {
                Some(agent) if agents.iter().any(|bound| bound == agent) => agent.to_owned(),
                Some(agent) => {
                    return Err(Error::denied(format!(
                        "role {role:?} may not act as agent {agent:?}"
                    ))
                    .hint("The role is bound to its own agents by memory_grant()."));
                }
                None if agents.len() == 1 => agents[0].clone(),
                None => {
                    return Err(Error::argument(format!(
                        "role {role:?} is bound to {} agents",
                        agents.len()
                    ))
                    .hint("Say which one with agent_id (voter_agent_id in memory_vote)."));
                }
            };
            (Requester::Agent(agent), true)
        }
    };
    Ok(Access {
        project,
        requester,
        role,
        bound,
        deprecation: false,
        right: right.clone(),
        caller,
    })
}

impl Access {
    /// The agent whom what is written belongs to: one, or nobody.
    pub fn author(&self) -> Result<Option<&str>> {
        match &self.requester {
            Requester::Everything => Err(Error::argument(
                "agent_id '*' means every agent and cannot be an author",
            )
            .hint("Name one agent, or leave agent_id out.")),
            Requester::Agent(agent) => Ok(Some(agent)),
            Requester::Nobody => Ok(None),
        }
    }

    /// Who acts, for the triggers.
    fn actor(&self, operation: &'static str) -> Actor {
        Actor {
            role: self.role.clone(),
            agent_id: self.requester.agent().map(str::to_owned),
            operation,
            erasing: operation == "forget" || operation == "expire",
            restoring: false,
        }
    }

    /// The same access on behalf of another agent, as far as the caller may act as it.
    pub fn acting_as(&self, agent_id: Option<&str>) -> Result<Access> {
        let mut access = decide(
            &self.right,
            self.project.clone(),
            agent_id,
            Privilege::Write,
            self.caller,
        )?;
        access.deprecation = self.deprecation;
        Ok(access)
    }

    /// The role that called, before SQL ran as the owner.
    pub fn caller(&self) -> pg_sys::Oid {
        self.caller
    }

    pub fn knows_deprecation(&self) -> bool {
        self.deprecation
    }

    /// Whether a row of this author and scope may be changed by this requester, who sees it.
    pub fn may_write(&self, author: Option<&str>, scope: &str) -> bool {
        match &self.requester {
            Requester::Everything => true,
            Requester::Agent(agent) if author == Some(agent) => true,
            Requester::Agent(_) | Requester::Nobody => !self.bound && scope == "global",
        }
    }

    /// Whether this requester may change who sees a memory of this author.
    pub fn may_share(&self, author: Option<&str>) -> bool {
        self.is_admin()
            || match &self.requester {
                Requester::Everything => true,
                Requester::Agent(agent) => author == Some(agent),
                Requester::Nobody => author.is_none() && !self.bound,
            }
    }

    /// What is over its time is for admins, though it may not be removed yet.
    pub fn sees_what_is_over(&self) -> bool {
        self.requester == Requester::Everything || self.is_admin()
    }

    pub fn is_admin(&self) -> bool {
        self.right == Right::Free { admin: true }
    }

    pub fn refuse_write(&self, id: &str) -> Error {
        Error::denied(format!("role {:?} may not change memory {id:?} on behalf of this agent", self.role))
            .detail("A memory is changed by the agent that wrote it, a global one by any role that is not bound to an agent.")
    }
}
