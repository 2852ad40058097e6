//! Memories of several agents, and who sees which.

use postgres::Client;

use super::database::Sql;

/// Memories of three agents in every scope, by name.
pub fn three_agents(owner: &mut Client) {
    owner.run(
        "SELECT memory_add('words of alice, private', agent_id => 'alice', id => 'alice-private');
         SELECT memory_add('words of bob, private', agent_id => 'bob', id => 'bob-private');
         SELECT memory_add('words of bob, shared with alice', agent_id => 'bob', shared_with_agents => '{alice}', id => 'bob-to-alice');
         SELECT memory_add('words of bob, shared with carol', agent_id => 'bob', shared_with_agents => '{carol}', id => 'bob-to-carol');
         SELECT memory_add('words of alice, shared with bob', agent_id => 'alice', shared_with_agents => '{bob}', id => 'alice-to-bob');
         SELECT memory_add('words of bob, global', agent_id => 'bob', scope => 'global', id => 'bob-global');
         SELECT memory_add('words of nobody, global', id => 'global')",
    );
}

pub const ALICE_SEES: [&str; 5] = [
    "alice-private",
    "alice-to-bob",
    "bob-global",
    "bob-to-alice",
    "global",
];
