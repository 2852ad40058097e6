//! Text that looks like something else, the largest contents, calls that nobody should make, and thousands of nonsense.

mod support;

use postgres::types::ToSql;
use support::cases::FRAGMENTS;
use support::{Random, Sql};

fn store() -> postgres::Client {
    let mut sql = support::store();
    sql.run(
        "SELECT memory_add('the first memory', id => 'one', metadata => '{\"n\": 1}');
         SELECT memory_add('the second memory', id => 'two', ttl => '1 day');
         SELECT memory_add('a secret memory', id => 'secret', sensitive => true);
         SELECT memory_kv_set('key', 'value')",
    );
    sql
}

#[test]
fn sql_fragments_in_every_text_argument_are_only_text() {
    let mut sql = store();
    let tables: i64 = sql.one("SELECT count(*) FROM pg_class", &[]);

    for fragment in FRAGMENTS {
        let id: String = sql.one(
            "SELECT memory_add($1, agent_id => $1, namespace => $1, user_id => $1, session_id => $1, entity_id => $1, key => $1, id => $1,
                    shared_with_agents => ARRAY[$1], metadata => jsonb_build_object($1::text, $1::text), project_id => $1)",
            &[fragment],
        );
        assert_eq!(id, *fragment);
        let same: bool = sql.one(
            "SELECT content = $1 AND agent_id = $1 AND namespace = $1 AND user_id = $1 AND session_id = $1 AND entity_id = $1 AND key = $1
                    AND shared_with_agents = ARRAY[$1] AND metadata ->> $1 = $1 AND project_id = $1 FROM memory_get($1, $1, $1)",
            &[fragment],
        );
        assert!(same, "{fragment:?} came back as something else");
        let counted: i64 = sql.one(
            "SELECT memory_count(agent_id => $1, namespace => $1, user_id => $1, session_id => $1, entity_id => $1, metadata => jsonb_build_object($1::text, $1::text), project_id => $1)",
            &[fragment],
        );
        assert_eq!(counted, 1, "{fragment:?}");
        if !fragment.contains("..") && !fragment.contains('.') && !fragment.starts_with('$') {
            let filtered: i64 = sql.one("SELECT memory_count(agent_id => $1, filter => jsonb_build_object($1::text, jsonb_build_object('$eq', $1::text)), project_id => $1)", &[fragment]);
            assert_eq!(filtered, 1, "{fragment:?}");
        }
        for mode in ["hybrid", "vector", "text"] {
            sql.query("SELECT * FROM memory_search($1, mode => $2, agent_id => $1, namespace => $1, session_id => $1, project_id => $1)", &[fragment, &mode])
                .unwrap_or_else(|error| panic!("{fragment:?} {mode}: {error:?}"));
        }
        assert_eq!(
            sql.one::<String>("SELECT memory_kv_get($1, $1, $1, $1)", &[fragment]),
            *fragment
        );
        assert_eq!(
            sql.one::<i64>(
                "SELECT count(*) FROM memory_kv_list($1, $1, $1, $1)",
                &[fragment]
            ),
            1,
            "{fragment:?}"
        );
        sql.query("SELECT memory_explain($1, agent_id => $1, project_id => $1), memory_context($1, agent_id => $1, project_id => $1)", &[fragment]).expect("explained");
        sql.query("SELECT memory_kv_set($1 || '2', $1, source => $1, namespace => $1, agent_id => $1, project_id => $1)", &[fragment]).expect("set");
        sql.query(
            "SELECT memory_kv_alias($1 || '3', $1 || '2', $1)",
            &[fragment],
        )
        .expect("alias");
        assert_eq!(
            sql.one::<String>("SELECT memory_reveal($1, $1, $1, $1)", &[fragment]),
            *fragment
        );
        let receipt: serde_json::Value = sql.one(
            "SELECT memory_forget(agent_id => $1, namespace => $1, reason => $1, project_id => $1)",
            &[fragment],
        );
        assert_eq!(receipt["memories"], 2, "{fragment:?}");
        assert_eq!(receipt["reason"], *fragment);
    }
    assert_eq!(sql.one::<i64>("SELECT count(*) FROM pg_class", &[]), tables);
    assert_eq!(sql.one::<i64>("SELECT memory_count()", &[]), 4);
}

#[test]
fn the_largest_content_allowed_is_kept_and_found() {
    let mut sql = store();
    for (name, content) in [
        (
            "one word, repeated",
            format!("needle {}", "hay ".repeat(262_000)),
        ),
        ("no blank at all", "x".repeat(1_048_576)),
        (
            "many words",
            (0..140_000)
                .map(|number| format!("w{number:05x} "))
                .collect::<String>(),
        ),
    ] {
        assert!(content.len() <= 1_048_576, "{name}");
        let id: String = sql
            .query_one("SELECT memory_add($1)", &[&content])
            .unwrap_or_else(|error| panic!("{name}: {error:?}"))
            .get(0);
        assert_eq!(
            sql.one::<String>("SELECT content FROM memory_get($1)", &[&id])
                .len(),
            content.len(),
            "{name}"
        );
        let first_word = content.split(' ').next().expect("a word").to_owned();
        sql.query("SELECT * FROM memory_search($1)", &[&first_word])
            .unwrap_or_else(|error| panic!("{name}: {error:?}"));
        sql.query("SELECT * FROM memory_search($1)", &[&content])
            .unwrap_or_else(|error| panic!("{name} as query: {error:?}"));
    }
    let found: i64 = sql.one("SELECT count(*) FROM memory_search('needle', 1, mode => 'text') WHERE content LIKE 'needle%'", &[]);
    assert_eq!(found, 1);
}

#[test]
fn internal_functions_refuse_misuse_without_harm() {
    let mut sql = store();
    sql.run("CREATE TABLE elsewhere (x int); INSERT INTO elsewhere VALUES (1)");
    for function in [
        "memory_before_write",
        "memory_after_change",
        "memory_refuse_change",
    ] {
        let refusal = sql.refused(&format!("SELECT {function}()"), &[]);
        assert_ne!(refusal.sqlstate, "XX000", "{refusal:?}");
        for (timing, event) in [
            ("BEFORE", "INSERT"),
            ("AFTER", "UPDATE"),
            ("BEFORE", "DELETE"),
        ] {
            sql.run(&format!("CREATE TRIGGER misplaced {timing} {event} ON elsewhere FOR EACH ROW EXECUTE FUNCTION {function}()"));
            let statement = match event {
                "INSERT" => "INSERT INTO elsewhere VALUES (2)",
                "UPDATE" => "UPDATE elsewhere SET x = 3",
                _ => "DELETE FROM elsewhere",
            };
            let refusal = sql.refused(statement, &[]);
            assert_ne!(
                refusal.sqlstate, "XX000",
                "{function} {timing} {event}: {refusal:?}"
            );
            sql.run("DROP TRIGGER misplaced ON elsewhere");
        }
    }
    let rows: i64 = sql.one("SELECT count(*) FROM elsewhere", &[]);
    assert_eq!(rows, 1);
}

/// Literals of every type, most of them wrong somewhere.
fn nasty(random: &mut Random, argument_type: &str) -> String {
    const TEXTS: &[&str] = &[
        "NULL",
        "''",
        "' '",
        "'one'",
        "'two'",
        "'secret'",
        "'key'",
        "'alias'",
        "'*'",
        "'default'",
        "'a'",
        "'no such id'",
        "'vector'",
        "'text'",
        "'hybrid'",
        "'rrf'",
        "'merge'",
        "'new'",
        "'error'",
        "'global'",
        "'agent-private'",
        "'agent-shared'",
        "'episodic'",
        "'admin'",
        "'read'",
        "'postgres'",
        "'nobody'",
        "repeat('x', 300)",
        "repeat('long text ', 20000)",
        "E'\\u200b'",
        "'\"quoted phrase\" -excluded word'",
        "'-'",
        "'\"'",
        "'\u{1f9e0}'",
        "'''; DROP TABLE memories; --'",
        "E'\\x01\\x02'",
        "'the first memory'",
        "'a & b | !c:*'",
    ];
    const JSON: &[&str] = &[
        "NULL",
        "'{}'",
        "'[]'",
        "'null'",
        "'1e999999'",
        "'{\"a\": {\"b\": null}}'",
        "'{\"n\": {\"$gte\": 1}}'",
        "'{\"n\": {\"$in\": []}}'",
        "'{\"$not\": {\"n\": 1}}'",
        "'{\"$and\": [{\"n\": 1}, {\"$or\": []}]}'",
        "'[\"x\", \"y\", \"x\"]'",
        "'[{\"content\": \"z\", \"ttl\": \"1 day\", \"importance\": 3}]'",
        "'[{\"content\": \"z\", \"on_duplicate\": \"merge\", \"metadata\": {\"q\": 1}}]'",
        "(repeat('[', 500) || repeat(']', 500))::jsonb",
        "(SELECT jsonb_build_object('a', repeat('y', 100000)))",
        "('{\"a\":' || repeat('{\"a\":', 200) || '1' || repeat('}', 200) || '}')::jsonb",
        "'[{\"content\": \"z\", \"embedding\": [1e400]}]'",
        "'{\"\": 1, \" \": 2, \"$\": 3}'",
    ];
    let choices: &[&str] = match argument_type {
        "text" => TEXTS,
        "jsonb" => JSON,
        "integer" => &[
            "NULL",
            "0",
            "1",
            "-1",
            "2",
            "5",
            "10000",
            "10001",
            "2147483647",
            "-2147483648",
        ],
        "bigint" => &["NULL", "0", "1", "-1", "9223372036854775807"],
        "boolean" => &["NULL", "true", "false"],
        "real" | "double precision" => &[
            "NULL",
            "0",
            "1",
            "0.5",
            "-0.0",
            "-1",
            "2",
            "'NaN'",
            "'infinity'",
            "'-infinity'",
            "1e-30",
            "1e30",
        ],
        "interval" => &[
            "NULL",
            "'0'",
            "'1 day'",
            "'-1 day'",
            "'1 microsecond'",
            "'999 years'",
            "'178000000 years'",
            "'-178000000 years'",
            "'1 month -30 days'",
        ],
        "timestamp with time zone" => &[
            "NULL",
            "now()",
            "now() + interval '1 hour'",
            "'infinity'",
            "'-infinity'",
            "'4713-01-01 BC'",
            "'294276-12-31'",
            "'2000-01-01'",
        ],
        "text[]" => &[
            "NULL",
            "'{}'",
            "'{one,two}'",
            "'{NULL}'",
            "'{\"\"}'",
            "'{{a,b},{c,d}}'",
            "'{episodic}'",
            "array_fill('x'::text, ARRAY[3000])",
            "'[5:6]={a,b}'",
        ],
        "bytea" => &["NULL", "''", "'\\x00ff'"],
        "vector" => &[
            "NULL",
            "'[1]'",
            "'[0,0,0]'",
            "array_fill(0.5, ARRAY[384])::vector",
            "array_fill(0, ARRAY[384])::vector",
            "array_fill(1e-38, ARRAY[384])::vector",
            "array_fill(3e38, ARRAY[384])::vector",
            "array_fill(1, ARRAY[16000])::vector",
            "memory_embed('x')",
        ],
        "name" => &["NULL", "'x'"],
        "regconfig" => &["NULL", "'english'", "'simple'"],
        other => panic!("no values of type {other} yet"),
    };
    random.pick(choices).to_string()
}

#[test]
fn no_call_whatever_ends_a_session_or_fails_inside() {
    let mut sql = store();
    let rows = sql
        .query(
            "SELECT p.proname::text, coalesce(p.proargnames[:p.pronargs], '{}'), (p.pronargs - p.pronargdefaults)::int,
                    ARRAY(SELECT format_type(t, NULL) FROM unnest(p.proargtypes) WITH ORDINALITY AS u (t, n) ORDER BY n), p.proretset
             FROM pg_proc p JOIN pg_depend d ON d.objid = p.oid AND d.deptype = 'e' JOIN pg_extension e ON e.oid = d.refobjid
             WHERE e.extname = 'memory_ext' AND p.prorettype <> 'trigger'::regtype ORDER BY 1",
            &[],
        )
        .expect("functions");
    let functions: Vec<(String, Vec<String>, i32, Vec<String>)> = rows
        .iter()
        .map(|row| (row.get(0), row.get(1), row.get(2), row.get(3)))
        .collect();
    assert!(functions.len() > 30, "{functions:?}");
    sql.run("SET statement_timeout = '20s'; SET client_min_messages = error");
    let mut random = Random::seeded(20_260_731);
    let mut wrong = Vec::new();

    for _ in 0..4000 {
        let (name, names, required, types) = random.pick(&functions);
        let mut arguments = Vec::new();
        for (place, argument_type) in types.iter().enumerate() {
            if place < *required as usize {
                arguments.push(nasty(&mut random, argument_type));
            } else if random.below(4) == 0 {
                arguments.push(format!(
                    "{} => {}",
                    names[place],
                    nasty(&mut random, argument_type)
                ));
            }
        }
        let call = format!(
            "SELECT r::text FROM (SELECT * FROM {name}({})) r",
            arguments.join(", ")
        );
        let nothing: &[&(dyn ToSql + Sync)] = &[];
        if let Err(error) = sql.query(&call, nothing) {
            match error.code().map(|code| code.code().to_owned()) {
                Some(code) if !["XX", "58", "57"].contains(&&code[..2]) => {}
                _ => wrong.push(format!("{call:.400}: {error:?}")),
            }
            assert!(!sql.is_closed(), "{}", wrong.join("\n"));
        }
    }

    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    sql.run("SELECT memory_add('after all that'); SELECT * FROM memory_search('after all that')");
}
