//! The B-tree indexes, by the extension amcheck where it is installed.

use serde_json::json;

use super::Inspection;
use super::finding::{Finding, Met, Status};
use crate::pg::error::Result;
use crate::pg::spi::{Arg, Planning, Session};
use crate::pg::subtransaction::{self, Outcome};
use crate::pg::system;
use crate::store::migrate;

pub const CHECK: &str = "btree";

pub fn check(inspection: &Inspection<'_>, session: &Session) -> Finding {
    let sql = "SELECT quote_ident(n.nspname), has_function_privilege(p.oid, 'EXECUTE') AND has_schema_privilege(n.oid, 'USAGE')
               FROM pg_extension e JOIN pg_namespace n ON n.oid = e.extnamespace JOIN pg_proc p ON p.pronamespace = n.oid
               WHERE e.extname = 'amcheck' AND p.proname = 'bt_index_check' AND p.proargtypes = '2205 16'";
    let rows = session.read(sql, Planning::Custom, &[]);
    let Some(schema) = rows.get::<String>(0, 1) else {
        return Finding::skipped(CHECK, "the extension amcheck is not installed");
    };
    if rows.get(0, 2) != Some(true) {
        return Finding::skipped(
            CHECK,
            "the owner of the memories may not execute bt_index_check of the extension amcheck",
        );
    }
    let store = &inspection.call.store;
    let sql = "SELECT i.indexrelid, x.relname::text FROM pg_index i JOIN pg_class x ON x.oid = i.indexrelid JOIN pg_class t ON t.oid = i.indrelid
               JOIN pg_am a ON a.oid = x.relam
               WHERE t.relnamespace = $1 AND t.relname = ANY ($2) AND t.relkind = 'r' AND a.amname = 'btree' AND i.indisvalid AND i.indisready
               ORDER BY x.relname COLLATE \"C\"";
    let args = [
        Arg::oid(store.identity.schema_oid),
        migrate::tables().into(),
    ];
    let rows = session.read(sql, Planning::Custom, &args);
    let one = format!("SELECT {schema}.bt_index_check($1::oid::regclass, true)");
    let mut met = Met::default();
    for row in 0..rows.len() {
        system::check_for_interrupts();
        let (index, name): (pgrx::pg_sys::Oid, String) =
            (rows.required(row, 1), rows.required(row, 2));
        let outcome = subtransaction::attempt_any(|| -> Result<()> {
            inspection.call.sql(|session| {
                session
                    .read(&one, Planning::Custom, &[Arg::oid(index)])
                    .len()
            });
            Ok(())
        });
        if let Outcome::Failed { sqlstate, message } = outcome {
            met.one(|| json!({ "index": name, "sqlstate": sqlstate, "error": message }));
        }
    }
    Finding::of(
        CHECK,
        Status::Error,
        met,
        "REINDEX the index; then look for the cause: memory, disk, a collation that has changed.",
    )
    .with("checked", rows.len())
}
