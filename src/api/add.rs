//! Adding memories, one or thousands.

use pgrx::datum::{Interval, TimestampWithTimeZone};
use pgrx::prelude::*;

use super::arguments::{agents, required};
use crate::pg::error::{self, SqlResult as Result};
use crate::pg::json::Jsonb;
use crate::pg::measure::{Operation, measured};
use crate::pg::vector::Vector;
use crate::pg::{guc, system};
use crate::store::memory::Draft;
use crate::store::migrate;
use crate::store::parameters::Wish;
use crate::store::{Call, Privilege, Store, batch, open};

/// Adds a memory and returns its id.
///
/// A live memory of equal content (white space and Unicode form apart) with the same namespace, scope, agent, user, session,
/// entity and type is a duplicate; on_duplicate says what then: return (its id; the later expiry holds), merge (metadata too),
/// new, or error. scope is agent-private, agent-shared or global; left out, it is agent-shared when shared_with_agents is given,
/// agent-private when agent_id is, else global. ttl is the time to live, expires_at its end; give one of them. importance is 0..1.
/// A key makes it a keyed memory; a sensitive one is never embedded nor indexed and shown as ***. The first call creates the store.
/// Errors: 22023, 23505, 42501, 54000, 55000.
#[pg_extern(volatile, parallel_unsafe)]
#[allow(clippy::too_many_arguments)]
fn memory_add(
    content: Option<String>,
    agent_id: default!(Option<&str>, "NULL"),
    namespace: default!(Option<String>, "NULL"),
    scope: default!(Option<String>, "NULL"),
    metadata: default!(Option<Jsonb>, "NULL"),
    ttl: default!(Option<Interval>, "NULL"),
    memory_type: default!(Option<String>, "NULL"),
    embedding: default!(Option<Vector>, "NULL"),
    user_id: default!(Option<String>, "NULL"),
    session_id: default!(Option<String>, "NULL"),
    entity_id: default!(Option<String>, "NULL"),
    shared_with_agents: default!(Option<Vec<Option<String>>>, "NULL"),
    key: default!(Option<String>, "NULL"),
    sensitive: default!(Option<bool>, "false"),
    importance: default!(Option<f32>, "NULL"),
    expires_at: default!(Option<TimestampWithTimeZone>, "NULL"),
    id: default!(Option<String>, "NULL"),
    on_duplicate: default!(Option<String>, "'return'"),
    project_id: default!(Option<&str>, "NULL"),
) -> Result<String> {
    measured(Operation::Add, || {
        let draft = Draft {
            content,
            namespace,
            scope,
            metadata,
            ttl,
            memory_type,
            embedding,
            user_id,
            session_id,
            entity_id,
            shared_with_agents: agents(shared_with_agents)?,
            key,
            sensitive: sensitive.unwrap_or(false),
            importance,
            expires_at,
            id,
            on_duplicate,
            agent_id: None,
        };
        let store = store_for(&[&draft])?;
        let call = Call::begin_on(store, project_id, agent_id, Privilege::Write, "add")?;
        call.access.author()?;
        let memory =
            batch::with_cached_embeddings(&call, vec![draft.complete(&call.store, &call.access)?]);
        let mut added = batch::write(&call, memory)?;
        Ok(added.pop().map(|added| added.id).unwrap_or_default())
    })
}

/// Adds many memories in one statement, all or none, and returns each one's id in order.
///
/// items is a JSON array; an item is a string (the content) or an object whose keys are the argument names of memory_add. The
/// rules are those of memory_add, for duplicates within the batch too. agent_id '*' in the call is not possible; an item's own
/// agent_id has to be one the caller may act as. At most memory_ext.max_batch items. Errors: as memory_add; they name the item.
#[pg_extern(volatile, parallel_unsafe)]
fn memory_add_many(
    items: Option<Jsonb>,
    project_id: default!(Option<&str>, "NULL"),
) -> Result<
    TableIterator<
        'static,
        (
            name!(ordinal, i32),
            name!(id, String),
            name!(deduplicated, bool),
        ),
    >,
> {
    measured(Operation::AddMany, || {
        let drafts = batch::parse(&required("items", items)?.text(), guc::max_batch())?;
        let store = store_for(&drafts.iter().collect::<Vec<_>>())?;
        let added = batch::add(store, project_id, drafts)?;
        Ok(TableIterator::new(added.into_iter().enumerate().map(
            |(place, added)| (place as i32 + 1, added.id, added.deduplicated),
        )))
    })
}

/// The store, made now if it is missing and the session allows it; vectors that come with the first add say of which kind.
fn store_for(drafts: &[&Draft]) -> error::Result<std::rc::Rc<Store>> {
    if let Some(store) = open::enter_if_present(true)? {
        return Ok(store);
    }
    if !guc::auto_init() || system::in_recovery() {
        return open::open();
    }
    // What is wrong with the call anyway must not leave a store behind with a wrong shape; the transaction sees to that.
    let dimensions = drafts
        .iter()
        .find_map(|draft| draft.embedding.as_ref())
        .map(Vector::dimensions);
    let wish = Wish {
        dimensions: dimensions.map(|dimensions| i32::try_from(dimensions).unwrap_or(i32::MAX)),
        embedder: dimensions.map(|_| "external".to_owned()),
        ..Wish::default()
    };
    let (store, created) = migrate::init(wish)?;
    if created {
        pgrx::notice!(
            "memory store created in schema {}: {} dimensions, embedder {}",
            store.schema(),
            store.dimensions,
            store.embedder.name()
        );
    }
    Ok(store)
}

/// The store, made with the defaults if it is missing.
pub fn store_or_new() -> error::Result<std::rc::Rc<Store>> {
    store_for(&[])
}
