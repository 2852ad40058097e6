//! Other names of keys, kept as data.

use super::access::Call;
use super::memory::check_name;
use crate::pg::error::{Error, Result};
use crate::pg::spi::Planning;

/// The key that a name stands for: what an alias says, else the name itself.
pub fn resolve(call: &Call, name: &str) -> String {
    let sql = call
        .store
        .sql("SELECT key FROM @s@.memory_key_aliases WHERE project_id = $1 AND alias = $2");
    call.sql(|session| {
        session
            .read(
                &sql,
                Planning::Generic,
                &[call.project().into(), name.into()],
            )
            .get(0, 1)
    })
    .unwrap_or_else(|| name.to_owned())
}

/// Makes `alias` another name of `key`; true when that changed something.
pub fn set(call: &Call, alias: &str, key: &str) -> Result<bool> {
    check_name("alias", alias)?;
    check_name("key", key)?;
    // One step is all a look-up takes, so an alias stands for a key and never for another alias.
    let key = resolve(call, key);
    if alias == key {
        return Err(Error::argument(format!(
            "{alias:?} cannot be an alias of itself"
        )));
    }
    call.sql(|session| {
        let sql = call.store.sql(
            "SELECT EXISTS (SELECT FROM @s@.memory_key_aliases WHERE project_id = $1 AND key = $2),
                    EXISTS (SELECT FROM @s@.memories WHERE project_id = $1 AND key = $2 AND deleted_at IS NULL)",
        );
        let rows = session.write(&sql, &[call.project().into(), alias.into()]);
        if rows.required(0, 1) {
            return Err(Error::argument(format!("{alias:?} is a key that has aliases itself")).hint("Remove those aliases first."));
        }
        if rows.required(0, 2) {
            return Err(Error::duplicate(format!("{alias:?} is a key with a value of its own")).hint("Delete it with memory_kv_delete() first."));
        }
        let sql = call.store.sql(
            "INSERT INTO @s@.memory_key_aliases AS a (project_id, alias, key) VALUES ($1, $2, $3)
             ON CONFLICT (project_id, alias) DO UPDATE SET key = excluded.key WHERE a.key <> excluded.key",
        );
        Ok(!session.write(&sql, &[call.project().into(), alias.into(), key.into()]).is_empty())
    })
}

/// Removes an alias; false when there was none.
pub fn remove(call: &Call, alias: &str) -> bool {
    let sql = call
        .store
        .sql("DELETE FROM @s@.memory_key_aliases WHERE project_id = $1 AND alias = $2");
    call.sql(|session| {
        !session
            .write(&sql, &[call.project().into(), alias.into()])
            .is_empty()
    })
}
