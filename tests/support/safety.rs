//! What release 2.0.0 brought, used once.

use postgres::Client;

use super::database::Sql;

/// Something in every table of it.
pub fn exercise(sql: &mut Client) {
    sql.run("SELECT memory_maintenance(); INSERT INTO memory_import_inbox (line) VALUES ('{\"content\": \"waits to be imported\"}')");
    // In a transaction of its own: it seals what is committed.
    sql.run("SELECT memory_audit_seal()");
}
