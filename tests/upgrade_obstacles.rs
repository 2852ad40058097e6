//! ALTER EXTENSION memory_ext UPDATE with something in its way: it changes nothing, says what, and can be done again.

mod support;

use postgres::Client;
use support::catalog::{assert_same, members, owned_relations, store_objects};
use support::release::{
    OLD, connect_as_owner, fill, found, old_database, update, use_functions_of_1_0, versions,
};
use support::{Database, Refusal, Rows, Sql, ace, cluster, role};

/// Something of the user's that is where the update wants to put something.
struct Obstacle {
    make: &'static str,
    /// What the refusal may be, and the name it has to say.
    sqlstates: &'static [&'static str],
    says: &'static str,
    remove: &'static str,
}

/// Not in the required state; duplicate table, column, function.
const IN_THE_WAY: &[&str] = &["55000", "42P07", "42701", "42723"];

const OBSTACLES: &[Obstacle] = &[
    Obstacle {
        make: "CREATE TABLE vote_history (id int PRIMARY KEY, remark text); INSERT INTO vote_history VALUES (1, 'mine')",
        sqlstates: IN_THE_WAY,
        says: "vote_history",
        remove: "DROP TABLE vote_history",
    },
    // The tables of the guide that this release replaces.
    Obstacle {
        make: "CREATE TABLE vote_history (id varchar(32) PRIMARY KEY, memory_id varchar(32), project_id varchar(64) NOT NULL, voter_agent_id varchar(64) NOT NULL, vote varchar(8) NOT NULL, context text,
                   task_id varchar(64), created_at timestamptz DEFAULT now());
               INSERT INTO vote_history VALUES ('1', 'fact', 'default', 'a', 'helpful', NULL, NULL)",
        sqlstates: IN_THE_WAY,
        says: "vote_history",
        remove: "ALTER TABLE vote_history RENAME TO votes_of_the_guide; ALTER TABLE votes_of_the_guide SET SCHEMA aside",
    },
    Obstacle {
        make: "CREATE TABLE session_progress (id varchar(32) PRIMARY KEY, project_id varchar(64) NOT NULL, session_id varchar(64) UNIQUE NOT NULL, agent_id varchar(64), status varchar(16) DEFAULT 'active',
                   completed_items jsonb DEFAULT '[]', in_progress_item varchar(256), next_items jsonb DEFAULT '[]', blocked_items jsonb DEFAULT '[]', summary text, last_action text,
                   created_at timestamptz DEFAULT now(), updated_at timestamptz DEFAULT now())",
        sqlstates: IN_THE_WAY,
        says: "session_progress",
        remove: "ALTER TABLE session_progress SET SCHEMA aside",
    },
    Obstacle {
        make: "CREATE TABLE feature_tracker (id varchar(32) PRIMARY KEY, project_id varchar(64) NOT NULL, feature_id varchar(128) NOT NULL, description text NOT NULL, status varchar(16) DEFAULT 'not_started',
                   passes boolean DEFAULT false, test_steps jsonb DEFAULT '[]', created_at timestamptz DEFAULT now(), updated_at timestamptz DEFAULT now())",
        sqlstates: IN_THE_WAY,
        says: "feature_tracker",
        remove: "ALTER TABLE feature_tracker SET SCHEMA aside",
    },
    Obstacle {
        make: "CREATE VIEW memory_types AS SELECT DISTINCT memory_type FROM memories",
        sqlstates: IN_THE_WAY,
        says: "memory_types",
        remove: "DROP VIEW memory_types",
    },
    Obstacle {
        make: "CREATE SEQUENCE memory_runs",
        sqlstates: IN_THE_WAY,
        says: "memory_runs",
        remove: "DROP SEQUENCE memory_runs",
    },
    Obstacle {
        make: "ALTER TABLE memories ADD COLUMN bullet_helpful text",
        sqlstates: IN_THE_WAY,
        says: "bullet_helpful",
        remove: "ALTER TABLE memories DROP COLUMN bullet_helpful",
    },
    Obstacle {
        make: "ALTER TABLE memory_history ADD COLUMN superseded_by integer",
        sqlstates: IN_THE_WAY,
        says: "superseded_by",
        remove: "ALTER TABLE memory_history DROP COLUMN superseded_by",
    },
    Obstacle {
        make: "CREATE FUNCTION memory_vote(text, text, text, text, text, text) RETURNS int LANGUAGE sql AS 'SELECT 1'",
        sqlstates: IN_THE_WAY,
        says: "memory_vote",
        remove: "DROP FUNCTION memory_vote",
    },
    // The owner of the store may no longer make tables.
    Obstacle {
        make: "REVOKE CREATE ON SCHEMA public FROM OWNER",
        sqlstates: &["42501"],
        says: "public",
        remove: "GRANT CREATE ON SCHEMA public TO OWNER",
    },
];

/// A filled store of an ordinary role.
fn owned_store(keeper: &str) -> (Database<'static>, Client) {
    let database = old_database(cluster());
    let mut sql = connect_as_owner(&database, Some(keeper));
    fill(&mut sql, &role(), &role());
    database.connect().run("CREATE SCHEMA aside");
    (database, sql)
}

#[test]
fn an_update_that_cannot_be_done_changes_nothing_until_it_can() {
    let keeper = role();
    let fresh = cluster().database();
    connect_as_owner(&fresh, Some(&keeper)).run("SELECT memory_init()");
    let mut fresh = fresh.connect();
    for obstacle in OBSTACLES {
        let (database, mut sql) = owned_store(&keeper);
        let mut superuser = database.connect();
        superuser.run(&obstacle.make.replace("OWNER", &keeper));
        let (extension, store) = (members(&mut superuser), store_objects(&mut superuser));
        let (rows, seen) = (Rows::of(&mut superuser), found(&mut sql, &["auto"]));

        for _ in 0..2 {
            let refusal = superuser
                .refused("ALTER EXTENSION memory_ext UPDATE", &[])
                .says(obstacle.says);
            assert!(
                obstacle.sqlstates.contains(&refusal.sqlstate.as_str()),
                "{}: {refusal:?}",
                obstacle.make
            );
            if refusal.sqlstate == "55000" {
                // Ours, not the server's.
                let refusal = refusal.well_formed();
                assert!(!refusal.hint.is_empty(), "{refusal:?}");
            }

            for sql in [&mut superuser, &mut sql] {
                assert_eq!(versions(sql), (OLD.to_owned(), OLD.to_owned()));
            }
            assert_same(obstacle.make, &extension, &members(&mut superuser));
            assert_same(obstacle.make, &store, &store_objects(&mut superuser));
            rows.assert_kept(&mut superuser);
            assert_eq!(found(&mut sql, &["auto"]), seen, "{}", obstacle.make);
            let session: String = superuser.one(
                "SELECT concat_ws(' ', current_user, session_user, current_setting('search_path'))",
                &[],
            );
            assert_eq!(session, "postgres postgres \"$user\", public");
        }
        // In the session of the failure, nothing of the unfinished script is left.
        superuser.run("CREATE TABLE aside.mine (id int); SELECT memory_add('after the failure', id => 'after'); SELECT memory_update('after', 'after the failure, changed')");
        assert_eq!(owned_relations(&mut superuser), [""; 0]);

        superuser.run(&obstacle.remove.replace("OWNER", &keeper));
        let rows = Rows::of(&mut superuser);
        update(&mut superuser);

        rows.assert_kept(&mut superuser);
        assert_eq!(versions(&mut sql), versions(&mut fresh));
        assert_same(
            obstacle.make,
            &members(&mut fresh),
            &members(&mut superuser),
        );
        assert_same(
            obstacle.make,
            &store_objects(&mut fresh),
            &store_objects(&mut superuser),
        );
        use_functions_of_1_0(&mut sql);
        ace::exercise(&mut sql);
    }
}

#[test]
fn columns_of_the_guide_are_not_mistaken_for_those_of_the_store() {
    let keeper = role();
    let (database, mut sql) = owned_store(&keeper);
    let mut superuser = database.connect();
    // Whoever followed the guide has these: of the same types, but they may be null.
    sql.run(
        "ALTER TABLE memories ADD COLUMN is_deprecated boolean DEFAULT false, ADD COLUMN bullet_helpful integer DEFAULT 0, ADD COLUMN bullet_harmful integer DEFAULT 0;
         UPDATE memories SET is_deprecated = NULL WHERE id = 'fact'",
    );
    let store = store_objects(&mut superuser);

    let outcome = superuser.query("ALTER EXTENSION memory_ext UPDATE", &[]);

    if let Err(error) = outcome {
        let refusal = Refusal::of("the update", &error).says("is_deprecated");
        assert!(
            IN_THE_WAY.contains(&refusal.sqlstate.as_str()),
            "{refusal:?}"
        );
        assert_same("the store", &store, &store_objects(&mut superuser));
        assert_eq!(versions(&mut sql), (OLD.to_owned(), OLD.to_owned()));
    } else {
        let loose: Vec<String> = superuser.column(
            "SELECT attname::text FROM pg_attribute WHERE attrelid = 'memories'::regclass AND attname IN ('is_deprecated', 'bullet_helpful', 'bullet_harmful') AND NOT attnotnull",
            &[],
        );
        assert_eq!(loose, [""; 0]);
        ace::exercise(&mut sql);
    }
}
