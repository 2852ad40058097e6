-- Grants, agents, row-level security.
SET client_min_messages = warning;
CREATE ROLE regress_reader;
CREATE ROLE regress_writer;
CREATE ROLE regress_alice;
SELECT memory_init();
SELECT memory_add('global', id => 'g'), memory_add('of alice', agent_id => 'alice', id => 'a'), memory_add('of bob', agent_id => 'bob', id => 'b'),
       memory_add('of bob, shared', agent_id => 'bob', shared_with_agents => '{alice}', id => 's'), memory_add('elsewhere', project_id => 'other', id => 'o');
SELECT memory_grant('regress_reader', 'default'), memory_grant('regress_writer', 'default', 'write'), memory_grant('regress_alice', 'default', 'write', 'alice');
SELECT role, project_id, agent_id, privilege, granted_by FROM memory_grants ORDER BY role;

SET ROLE regress_reader;
SELECT id FROM memory_list() ORDER BY id;
SELECT id FROM memory_list(agent_id => 'bob') ORDER BY id;
SELECT memory_count(agent_id => '*');
SELECT memory_count(project_id => 'other');
SELECT memory_add('x');
SELECT * FROM memories;

SET ROLE regress_writer;
SELECT memory_add('by the writer', id => 'w');
SELECT memory_update('g', 'global, changed');
SELECT memory_update('a', 'changed', agent_id => 'bob');
SELECT memory_forget(ids => '{g}', reason => 'no right');
SELECT memory_reveal('g', 'no right');
SELECT memory_grant('regress_reader', 'default', 'write');

SET ROLE regress_alice;
SELECT id FROM memory_list() ORDER BY id;
SELECT id FROM memory_list(agent_id => 'bob');
SELECT memory_update('s', 'changed');
SELECT memory_update('b', 'changed');
SELECT memory_delete('g');
SELECT memory_add('another of alice', id => 'a2');
SELECT agent_id, scope FROM memory_get('a2');
SELECT finding FROM memory_security_check() WHERE severity <> 'ok';
RESET ROLE;

-- Direct SQL follows the same rule.
GRANT SELECT, INSERT, UPDATE, DELETE ON memories TO regress_alice, regress_reader;
SET ROLE regress_alice;
SELECT id FROM memories ORDER BY id;
UPDATE memories SET importance = 1 WHERE id IN ('a', 'b', 'g', 's') RETURNING id;
INSERT INTO memories (content, agent_id, scope) VALUES ('as bob', 'bob', 'agent-private');
SET ROLE regress_reader;
SELECT id FROM memories ORDER BY id;
DELETE FROM memories RETURNING id;
RESET ROLE;

SELECT memory_revoke('regress_alice', 'default'), memory_revoke('regress_alice', 'default');
SET ROLE regress_alice;
SELECT memory_count();
SELECT id FROM memories;
RESET ROLE;
SELECT event, role, payload - 'project' AS payload FROM memory_events WHERE event IN ('grant', 'revoke') ORDER BY event_id;

REVOKE ALL ON memories FROM regress_alice, regress_reader;
DROP ROLE regress_reader;
DROP ROLE regress_writer;
DROP ROLE regress_alice;
