//! Finding the store and looking at it, whatever state it is in.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use crate::pg::error::Result;
use crate::pg::identity;
use crate::pg::owner::{AsOwner, SettingScope};
use crate::pg::spi::{self, Arg, Planning, Session};
use crate::pg::subtransaction::{self, Outcome};
use crate::pg::system;
use crate::store::open::{self, Store, VECTOR_INDEX};
use crate::store::{access, migrate};

/// What there is of a store.
pub struct Found {
    /// It says what it is.
    pub store: Option<Rc<Store>>,
    /// This library serves it.
    pub is_served: bool,
    /// There is a table of its main table's name.
    pub is_there: bool,
    /// Somebody keeps the tables that say what it is to himself.
    pub is_locked: bool,
    /// Why it is not served, though it is there.
    pub obstacle: Option<String>,
}

impl Found {
    pub fn now() -> Self {
        let patience = Patience::default();
        let is_there = patience.attempt(|| {
            let identity = identity::get()?;
            Ok(identity::table(&identity, c"memories").is_some())
        });
        let store = patience.attempt(open::find_whatever_its_state);
        let served = patience.attempt(open::open_if_present);
        let is_served = matches!(served, Ok(Some(_)));
        let is_there = matches!(is_there, Ok(true));
        let is_locked = patience.is_lost.get();
        let obstacle = match (&served, &store) {
            (Err(why), _) | (Ok(_), Err(why)) => Some(why.says.clone()),
            (Ok(None), _) if is_there => Some(
                "the memory store is incomplete: memory_models or memory_migrations is empty"
                    .to_owned(),
            ),
            _ => None,
        };
        Found {
            store: store.ok().flatten(),
            is_served,
            is_there,
            is_locked,
            obstacle,
        }
    }

    /// Whether the store is there, of a version that this library serves, with all its tables. What cannot be seen for somebody's
    /// lock is not ready: a new session of a user's would wait for him too. Without the vector index the store is slow, not out
    /// of use: whoever rebuilds it goes on serving.
    pub fn is_ready(&self) -> bool {
        let looker = Looker::at(self);
        let whole = looker.at_store("ready", migrate::FIRST, |session, store| {
            let tables = migrate::tables_until(store.migration);
            let wanted = tables.len() as i64;
            let sql = "SELECT count(*) FROM pg_class WHERE relnamespace = $1 AND relname = ANY ($2) AND relkind IN ('r', 'p')";
            let args = [Arg::oid(store.identity.schema_oid), tables.into()];
            let there: Option<i64> = session.read(sql, Planning::Generic, &args).get(0, 1);
            there == Some(wanted)
        });
        self.is_served && whole == Some(true)
    }
}

/// Whoever holds a lock that we would have to wait longer for is told of, not waited for.
const LOCK_WAIT: &str = "500ms";
pub const LOCKED: &str = "55P03";

/// What somebody holds a lock on he may hold for long: of several looks, only one waits.
#[derive(Default)]
struct Patience {
    is_lost: Cell<bool>,
}

/// Why something could not be done.
struct Obstacle {
    sqlstate: String,
    says: String,
}

impl Patience {
    /// Within a subtransaction, which undoes it in an error.
    fn limit(&self, settings: &SettingScope) {
        let wait = match self.is_lost.get() {
            true => "1ms",
            false => LOCK_WAIT,
        };
        settings.set(c"lock_timeout", wait);
    }

    fn note(&self, sqlstate: &str) {
        if sqlstate == LOCKED {
            self.is_lost.set(true);
        }
    }

    /// The outcome, or what the error says of itself.
    fn attempt<T>(&self, work: impl FnOnce() -> Result<T>) -> std::result::Result<T, Obstacle> {
        let mut refusal = None;
        let noted = &mut refusal;
        let outcome = subtransaction::attempt_any(move || {
            let settings = SettingScope::open();
            self.limit(&settings);
            work().inspect_err(|error| *noted = Some(error.to_string()))
        });
        match outcome {
            Outcome::Done(result) => Ok(result),
            // An error of ours tells nothing of any memory; what PostgreSQL's own message has in it is not known.
            Outcome::Failed { sqlstate, .. } => {
                self.note(&sqlstate);
                let says = refusal.unwrap_or_else(|| match sqlstate.as_str() {
                    LOCKED => {
                        "what the memory store is cannot be seen: memory_models or memory_migrations is locked".to_owned()
                    }
                    other => format!("the memory store cannot be read: SQLSTATE {other}"),
                });
                Err(Obstacle { sqlstate, says })
            }
        }
    }

    /// `None` when somebody's lock keeps it from being known; whatever else fails is no.
    fn holds(&self, question: impl FnOnce() -> Result<bool>) -> Option<bool> {
        match self.attempt(question) {
            Ok(answer) => Some(answer),
            Err(why) if why.sqlstate == LOCKED => None,
            Err(_) => Some(false),
        }
    }
}

pub fn ready() -> bool {
    Found::now().is_ready()
}

pub fn has_vector_index(session: &Session, store: &Store) -> bool {
    session
        .read(VECTOR_INDEX, Planning::Generic, &[Arg::oid(store.memories)])
        .get(0, 1)
        .unwrap_or(false)
}

/// Looks at the store one thing at a time, as its owner; one that fails does not keep the others from being seen.
pub struct Looker<'a> {
    owner: pgrx::pg_sys::Oid,
    found: &'a Found,
    /// What could not be looked at, and the SQLSTATE.
    failed: RefCell<Vec<(&'static str, String)>>,
    patience: Patience,
    is_patient: bool,
}

impl<'a> Looker<'a> {
    pub fn at(found: &'a Found) -> Self {
        let store = found.store.as_ref();
        Looker {
            owner: store.map_or_else(system::current_role, |store| store.owner),
            found,
            failed: RefCell::default(),
            patience: Patience::default(),
            is_patient: false,
        }
    }

    /// Waits for locks as long as the session has it.
    pub fn patient(found: &'a Found) -> Self {
        Looker {
            is_patient: true,
            ..Looker::at(found)
        }
    }

    pub fn at_server<T>(&self, what: &'static str, look: impl FnOnce(&Session) -> T) -> Option<T> {
        let outcome = subtransaction::attempt_any(|| {
            let _owner = AsOwner::enter(self.owner);
            let settings = SettingScope::open();
            if !self.is_patient {
                self.patience.limit(&settings);
            }
            Ok(spi::connect(look))
        });
        match outcome {
            Outcome::Done(seen) => Some(seen),
            Outcome::Failed { sqlstate, .. } => {
                self.patience.note(&sqlstate);
                self.failed.borrow_mut().push((what, sqlstate));
                None
            }
        }
    }

    /// `None` also where there is no store, or one without this migration.
    pub fn at_store<T>(
        &self,
        what: &'static str,
        least: i32,
        look: impl FnOnce(&Session, &Store) -> T,
    ) -> Option<T> {
        let store = self.found.store.as_ref()?;
        if store.migration < least {
            return None;
        }
        self.at_server(what, |session| look(session, store))
    }

    pub fn into_failed(self) -> Vec<(&'static str, String)> {
        self.failed.into_inner()
    }
}

/// Whether the role administers every project of the store that was found; `None` when that cannot be seen for a lock.
pub fn is_admin_everywhere(found: &Found, role: pgrx::pg_sys::Oid) -> Option<bool> {
    let Some(store) = &found.store else {
        return (!found.is_locked).then_some(false);
    };
    if access::is_master(store, role) {
        return Some(true);
    }
    Patience::default().holds(|| Ok(access::is_admin_everywhere(store, role)))
}

/// The same of one project.
pub fn is_admin_of(found: &Found, role: pgrx::pg_sys::Oid, project: &str) -> Option<bool> {
    let Some(store) = &found.store else {
        return (!found.is_locked).then_some(false);
    };
    Patience::default().holds(|| {
        let _owner = store.as_owner();
        let right = access::right_of(store, role, project, access::Privilege::Admin);
        Ok(right == access::Right::Free { admin: true })
    })
}
