//! memory_ext: memory for AI agents, inside PostgreSQL.
//!
//! Three floors, imports go downward only:
//! - `api`: one file per topic, the SQL functions, their argument checks and documentation;
//! - `store`: every SQL statement the extension sends, the rule of who sees what, search;
//! - `pg`: what PostgreSQL needs (errors, settings, plans, identities), and all of the `unsafe` code.
//!
//! Below them is the crate `memory_core`, which knows no PostgreSQL.

mod api;
mod pg;
mod store;

#[cfg(not(panic = "unwind"))]
compile_error!(
    "memory_ext needs panic = \"unwind\": PostgreSQL errors travel through Rust frames as panics"
);

::pgrx::pg_module_magic!(name, version);

/// Runs in every backend that loads the library, and in the postmaster when preloaded: settings and workers only, no SQL.
#[allow(non_snake_case)]
#[pgrx::pg_guard]
pub extern "C-unwind" fn _PG_init() {
    pg::guc::define();
    pg::worker::register();
    pg::planner::install();
}
