//! One cluster for all tests of a file, and what most of them begin with.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};

use postgres::Client;

use super::cluster::{Cluster, Options};
use super::database::{Database, Sql};

/// The cluster that the tests of a file share.
pub fn cluster() -> &'static Cluster {
    static CLUSTER: OnceLock<Cluster> = OnceLock::new();
    CLUSTER.get_or_init(|| Cluster::start(Options::default()))
}

/// A new database of the shared cluster, with an empty store.
pub fn database() -> Database<'static> {
    let database = cluster().database();
    database.connect().run("SELECT memory_init()");
    database
}

/// A superuser's connection to such a database.
pub fn store() -> Client {
    database().connect()
}

/// A new role of the shared cluster: roles belong to all its databases, so every test has its own.
pub fn role() -> String {
    static ROLES: AtomicUsize = AtomicUsize::new(0);
    let name = format!("role_{}", ROLES.fetch_add(1, Ordering::Relaxed));
    cluster().role(&name);
    name
}

/// A new role with a grant, and its connection.
pub fn granted(
    database: &Database,
    project: &str,
    privilege: &str,
    agent: Option<&str>,
) -> (String, Client) {
    let role = role();
    database
        .connect()
        .query(
            "SELECT memory_grant($1, $2, $3, $4)",
            &[&role, &project, &privilege, &agent],
        )
        .expect("granted");
    let client = database.connect_as(&role);
    (role, client)
}
