//! Search: what it finds, in which order, and that it writes nothing.

mod support;

use std::collections::{HashMap, HashSet};

use postgres::Client;
use serde_json::{Value, json};
use support::{Sql, cluster, store};

// --- reading writes nothing

#[test]
fn c19_reading_rewrites_no_row_and_works_in_a_read_only_transaction() {
    let mut sql = store();
    sql.run("SELECT * FROM memory_add_many((SELECT jsonb_agg('a note about topic ' || i) FROM generate_series(1, 200) i)); SELECT memory_kv_set('k', 'v'); SET memory_ext.audit = 'full'");
    let id: String = sql.one("SELECT id FROM memory_list(page_size => 1)", &[]);
    let rows = "SELECT md5(string_agg(ctid::text || xmin::text || xmax::text, ',' ORDER BY id)) || (SELECT count(*) FROM memory_events) || (SELECT count(*) FROM memory_usage) FROM memories";
    let before: String = sql.one(rows, &[]);

    sql.run("BEGIN READ ONLY");
    for path in ["auto", "exact", "sketch", "hnsw"] {
        sql.run(&format!("SET LOCAL memory_ext.vector_path = '{path}'"));
        for call in [
            "SELECT * FROM memory_search('topic 7')",
            "SELECT * FROM memory_search('topic 7', mode => 'vector', recency_half_life => '1 day', importance_weight => 0.3, diversity => 0.5)",
            "SELECT * FROM memory_search('topic 7', mode => 'text')",
            "SELECT memory_explain('topic 7')",
            "SELECT memory_context('topic 7')",
            "SELECT * FROM memory_list()",
            "SELECT memory_count()",
            "SELECT memory_kv_get('k')",
            "SELECT * FROM memory_kv_list()",
            "SELECT memory_embed('x')",
            "SELECT memory_version()",
            "SELECT * FROM memory_security_check()",
        ] {
            sql.query(call, &[])
                .unwrap_or_else(|error| panic!("{call}: {error:?}"));
        }
        for call in [
            "SELECT * FROM memory_get($1)",
            "SELECT * FROM memory_history($1)",
        ] {
            sql.query(call, &[&id])
                .unwrap_or_else(|error| panic!("{call}: {error:?}"));
        }
    }
    let assigned: Option<String> = sql.one("SELECT pg_current_xact_id_if_assigned()::text", &[]);
    assert_eq!(assigned, None, "reading takes no transaction id");
    sql.run("COMMIT");

    assert_eq!(sql.one::<String>(rows, &[]), before);
}

#[test]
fn c19_counting_uses_rewrites_no_row_and_changing_unindexed_columns_stays_hot() {
    let mut sql = store();
    sql.run("SELECT * FROM memory_add_many((SELECT jsonb_agg('a note about topic ' || i) FROM generate_series(1, 200) i))");
    // Half of the rows go, so that there is room in every page.
    sql.run("DELETE FROM memories WHERE (ctid::text::point)[1]::int % 2 = 0");
    sql.run("VACUUM memories");
    let (updated, hot) = updates(&mut sql);

    for _ in 0..3 {
        sql.run("SELECT memory_touch(array_agg(id)) FROM memories");
    }
    assert_eq!(
        updates(&mut sql),
        (updated, hot),
        "touching rewrites no memory"
    );

    sql.run("SELECT memory_update(id, importance => 0.9) FROM memories");
    let (later, later_hot) = updates(&mut sql);
    assert!(later > updated);
    assert_eq!(later_hot - hot, later - updated, "all of them");
}

fn updates(sql: &mut Client) -> (i64, i64) {
    sql.run("SELECT pg_stat_force_next_flush()");
    let row = sql
        .query_one(
            "SELECT n_tup_upd, n_tup_hot_upd FROM pg_stat_user_tables WHERE relname = 'memories'",
            &[],
        )
        .expect("statistics");
    (row.get(0), row.get(1))
}

// --- what is found

fn ids(sql: &mut Client, arguments: &str) -> Vec<String> {
    sql.column(&format!("SELECT id FROM memory_search({arguments})"), &[])
}

fn add_all(sql: &mut Client, memories: &[(&str, &str)]) {
    for (id, content) in memories {
        sql.query("SELECT memory_add($1, id => $2)", &[content, id])
            .expect("added");
    }
}

#[test]
fn text_finds_any_word_stemmed_and_ranks_rare_words_higher() {
    let mut sql = store();
    add_all(
        &mut sql,
        &[
            (
                "deploy",
                "Deployments of the billing service happen on Tuesday",
            ),
            ("lunch", "The team has lunch at noon on Tuesday"),
            ("standup", "The standup of the team is on Tuesday at nine"),
            ("zebra", "A zebra escaped from the zoo"),
            (
                "team",
                "The team of the billing project met the team of the search project",
            ),
        ],
    );

    assert_eq!(
        ids(&mut sql, "'when do we deploy?', mode => 'text'"),
        ["deploy"],
        "stop words match nothing, stems do"
    );
    let found = ids(&mut sql, "'zebra on Tuesday', mode => 'text'");
    assert_eq!(found[0], "zebra", "the rare word counts most");
    assert_eq!(found.len(), 4, "and any word is enough");
    assert_eq!(ids(&mut sql, "'the of on at', mode => 'text'"), [""; 0]);
    assert_eq!(ids(&mut sql, "'nothingness', mode => 'text'"), [""; 0]);
}

#[test]
fn quotes_require_and_a_minus_excludes() {
    let mut sql = store();
    add_all(
        &mut sql,
        &[
            ("a", "blue green deployment of the web shop"),
            ("b", "green blue painting of the web shop"),
            ("c", "blue green deployment of the staging shop"),
        ],
    );
    let set = |found: Vec<String>| found.into_iter().collect::<HashSet<_>>();

    assert_eq!(
        set(ids(&mut sql, "'\"blue green\" shop', mode => 'text'")),
        set(vec!["a".into(), "c".into()])
    );
    assert_eq!(
        ids(&mut sql, "'\"blue green\" shop -staging', mode => 'text'"),
        ["a"]
    );
    assert_eq!(
        set(ids(&mut sql, "'shop -\"blue green\"', mode => 'text'")),
        set(vec!["b".into()])
    );
    for mode in ["hybrid", "text"] {
        // What is required or excluded is so for the other arm as well.
        assert_eq!(
            set(ids(&mut sql, &format!("'shop -staging', mode => '{mode}'"))),
            set(vec!["a".into(), "b".into()]),
            "{mode}"
        );
        assert_eq!(
            set(ids(
                &mut sql,
                &format!("'\"blue green\" shop', mode => '{mode}'")
            )),
            set(vec!["a".into(), "c".into()]),
            "{mode}"
        );
    }
    sql.query("SELECT * FROM memory_search('\"never closed -')", &[])
        .expect("lenient");
}

#[test]
fn hybrid_finds_by_word_and_by_likeness_and_weighs_as_told() {
    let mut sql = store();
    add_all(
        &mut sql,
        &[
            ("word", "The kubernetes cluster runs in Frankfurt"),
            ("like", "Kubernets clusterz (typo) are in Frankfurd"),
            ("other", "Grandma bakes apple pie on Sundays"),
        ],
    );

    let found = ids(&mut sql, "'kubernetes cluster Frankfurt', k => 3");
    assert_eq!(
        found,
        ["word", "like", "other"],
        "all three, for three match a search without words"
    );
    let text = ids(&mut sql, "'kubernetes cluster Frankfurt', mode => 'text'");
    let by_text = ids(
        &mut sql,
        "'kubernetes cluster Frankfurt', text_weight => 1, k => 1",
    );
    assert_eq!(by_text[0], text[0]);
    let vector = ids(
        &mut sql,
        "'kubernetes cluster Frankfurt', mode => 'vector', k => 3",
    );
    assert_eq!(
        ids(
            &mut sql,
            "'kubernetes cluster Frankfurt', text_weight => 0, k => 3"
        ),
        vector
    );
}

#[test]
fn text_weight_decides_between_the_arms() {
    let mut sql = cluster().database().connect();
    sql.run(
        "SELECT memory_init(dimensions => 2, embedder => 'external');
         SELECT memory_add('comet comet', id => 'by-text', embedding => '[0, 1]');
         SELECT memory_add('planet', id => 'by-vector', embedding => '[1, 0]');
         SELECT memory_add('star', id => 'neither', embedding => '[-1, 0.1]')",
    );

    assert_eq!(
        ids(
            &mut sql,
            "'comet', embedding => '[1, 0]', text_weight => 0.9, k => 1"
        ),
        ["by-text"]
    );
    assert_eq!(
        ids(
            &mut sql,
            "'comet', embedding => '[1, 0]', text_weight => 0.1, k => 1"
        ),
        ["by-vector"]
    );
    sql.run("SET memory_ext.text_weight = 0.9");
    assert_eq!(
        ids(&mut sql, "'comet', embedding => '[1, 0]', k => 1"),
        ["by-text"],
        "the setting is the default"
    );
}

/// Arms as memory_explain shows them: id to (rank, score).
fn arm(explained: &Value, name: &str, score: &str) -> HashMap<String, (f64, f64)> {
    explained["arms"][name]
        .as_array()
        .expect("an arm")
        .iter()
        .map(|entry| {
            (
                entry["id"].as_str().expect("id").to_owned(),
                (
                    entry["rank"].as_f64().expect("rank"),
                    entry[score].as_f64().expect("score"),
                ),
            )
        })
        .collect()
}

#[test]
fn scores_are_the_documented_fusion_of_the_arms_explain_shows() {
    let mut sql = store();
    let topics = [
        "rust compiler",
        "sourdough bread",
        "mountain bike",
        "tax return",
        "postgres index",
        "jazz concert",
    ];
    for number in 0..36 {
        let content = format!(
            "Note {number} about {} and {}",
            topics[number % 6],
            topics[number / 6]
        );
        sql.query("SELECT memory_add($1)", &[&content])
            .expect("added");
    }
    let question = "which postgres index did the rust compiler note mention";

    for (fusion, weight) in [("weighted", 0.5), ("weighted", 0.2), ("rrf", 0.5)] {
        let explained: Value = sql.one(
            "SELECT memory_explain($1, 40, fusion => $2, text_weight => $3)",
            &[&question, &fusion, &weight],
        );
        let (vector, text) = (
            arm(&explained, "vector", "similarity"),
            arm(&explained, "text", "score"),
        );
        assert!(vector.len() > 30 && text.len() > 5, "{explained}");
        let rows = sql
            .query("SELECT id, score, similarity, text_rank FROM memory_search($1, 40, fusion => $2, text_weight => $3)", &[&question, &fusion, &weight])
            .expect("found");

        let (least, most) = vector
            .values()
            .fold((f64::MAX, f64::MIN), |(least, most), (_, score)| {
                (least.min(*score), most.max(*score))
            });
        // A candidate without any of the words has text score 0.
        let all_texts: Vec<f64> = vector
            .keys()
            .map(|id| text.get(id).map_or(0.0, |(_, score)| *score))
            .collect();
        let (least_text, best_text) = all_texts
            .iter()
            .fold((f64::MAX, 0.0), |(least, most): (f64, f64), score| {
                (least.min(*score), most.max(*score))
            });
        for row in &rows {
            let id: String = row.get(0);
            let score: f64 = row.get(1);
            let expected = if fusion == "rrf" {
                [vector.get(&id), text.get(&id)]
                    .into_iter()
                    .flatten()
                    .map(|(rank, _)| 30.5 / (60.0 + rank))
                    .sum::<f64>()
            } else {
                let by_vector = (vector[&id].1 - least) / (most - least);
                let score = text.get(&id).map_or(0.0, |(_, score)| *score);
                let by_text = (score - least_text) / (best_text - least_text);
                (1.0 - weight) * by_vector + weight * by_text
            };
            assert!(
                (score - expected).abs() < 1e-6,
                "{fusion} {weight} {id}: {score}, by the formula {expected}"
            );
            assert_eq!(
                row.get::<_, Option<f64>>(3).is_some(),
                text.contains_key(&id),
                "{id}"
            );
        }
        let scores: Vec<f64> = rows.iter().map(|row| row.get(1)).collect();
        assert!(scores.is_sorted_by(|a, b| a >= b));
    }
}

#[test]
fn explain_tells_all_it_should() {
    let mut sql = store();
    add_all(&mut sql, &[("a", "one thing"), ("b", "another thing")]);

    let explained: Value = sql.one("SELECT memory_explain('thing', 2)", &[]);

    assert_eq!(
        (
            &explained["mode"],
            &explained["path"],
            &explained["complete"],
            &explained["fallback"]
        ),
        (
            &json!("hybrid"),
            &json!("exact"),
            &json!(true),
            &json!(false)
        )
    );
    assert_eq!(explained["population"], 2);
    assert!(
        explained["rows_scanned"]
            .as_u64()
            .is_some_and(|rows| rows >= 2),
        "{explained}"
    );
    assert!(explained["settings"].is_object());
    for timing in ["vector", "text", "total"] {
        assert!(
            explained["timings_ms"][timing]
                .as_f64()
                .is_some_and(|time| time >= 0.0),
            "{explained}"
        );
    }
    let text_only: Value = sql.one("SELECT memory_explain('thing', mode => 'text')", &[]);
    assert_eq!(
        (&text_only["mode"], &text_only["path"]),
        (&json!("text"), &json!("none"))
    );
    assert_eq!(text_only["arms"]["vector"], json!([]));
    assert!(
        !sql.one::<String>("SELECT memory_explain('thing')::text", &[])
            .contains("another"),
        "no content is in it"
    );
}

#[test]
fn recency_prefers_the_new_only_when_asked() {
    let mut sql = store();
    sql.run(
        "SELECT memory_add('the router password policy is strict', id => 'old'); SELECT memory_add('the router password policy is lax', id => 'new');
         SELECT memory_add('something else, number ' || i) FROM generate_series(1, 20) i;
         UPDATE memories SET created_at = now() - interval '30 days' WHERE id = 'old'",
    );
    assert_eq!(
        ids(&mut sql, "'router password policy strict', 2"),
        ["old", "new"]
    );

    let rows = sql.query("SELECT id, score FROM memory_search('router password policy strict', recency_half_life => '1 day')", &[]).expect("found");
    assert_eq!(rows[0].get::<_, String>(0), "new");

    // One half-life halves the score.
    let plain: f64 = sql.one(
        "SELECT score FROM memory_search('router password policy strict') WHERE id = 'old'",
        &[],
    );
    let faded: f64 = sql.one("SELECT score FROM memory_search('router password policy strict', recency_half_life => '30 days') WHERE id = 'old'", &[]);
    assert!(
        (faded - plain / 2.0).abs() < 0.01,
        "{plain} fades to {faded}"
    );
}

#[test]
fn importance_counts_as_much_as_told() {
    let mut sql = store();
    sql.run("SELECT memory_add('coffee machine manual, page one', id => 'fits', importance => 0); SELECT memory_add('coffee beans order', id => 'matters', importance => 1)");
    let question = "'coffee machine manual page one'";

    assert_eq!(ids(&mut sql, question), ["fits", "matters"]);
    assert_eq!(
        ids(&mut sql, &format!("{question}, importance_weight => 0.9")),
        ["matters", "fits"]
    );
    let score: f64 = sql.one(&format!("SELECT score FROM memory_search({question}, importance_weight => 1) WHERE id = 'matters'"), &[]);
    assert!(
        (score - 1.0).abs() < 1e-6,
        "with weight 1 the score is the importance: {score}"
    );
}

#[test]
fn diversity_keeps_like_from_like() {
    let mut sql = store();
    for number in 0..5 {
        sql.run(&format!(
            "SELECT memory_add('the server room is too hot, ticket {number}', id => 'hot-{number}')"
        ));
    }
    sql.run("SELECT memory_add('the server was bought from Acme', id => 'acme')");

    let plain = ids(&mut sql, "'server room hot ticket', 3");
    assert!(plain.iter().all(|id| id.starts_with("hot")), "{plain:?}");
    let diverse = ids(&mut sql, "'server room hot ticket', 3, diversity => 0.9");
    assert_eq!(diverse.len(), 3);
    assert!(
        diverse[0].starts_with("hot") && diverse.contains(&"acme".to_owned()),
        "{diverse:?}"
    );
}

#[test]
fn min_score_cuts_the_tail_and_nothing_else() {
    let mut sql = store();
    for number in 0..20 {
        sql.run(&format!(
            "SELECT memory_add('memory {number} of the {}')",
            ["lake", "forest", "city", "harbour"][number % 4]
        ));
    }
    let all = sql
        .query(
            "SELECT id, score FROM memory_search('memory of the forest', 20)",
            &[],
        )
        .expect("found");
    let scores: Vec<(String, f64)> = all.iter().map(|row| (row.get(0), row.get(1))).collect();

    for cut in [0.0, 0.3, 0.7, 0.99] {
        let kept: Vec<String> = sql.column(
            "SELECT id FROM memory_search('memory of the forest', 20, min_score => $1)",
            &[&cut],
        );
        let expected: Vec<String> = scores
            .iter()
            .filter(|(_, score)| *score >= cut)
            .map(|(id, _)| id.clone())
            .collect();
        assert_eq!(kept, expected, "{cut}");
    }
}

#[test]
fn equals_are_in_order_of_their_ids_in_every_mode() {
    let mut sql = store();
    for id in ["c", "a", "d", "b"] {
        sql.run(&format!(
            "SELECT memory_add('identical content', id => '{id}', on_duplicate => 'new')"
        ));
    }

    for mode in ["hybrid", "vector", "text"] {
        for path in ["exact", "sketch", "hnsw"] {
            sql.run(&format!("SET memory_ext.vector_path = '{path}'"));
            assert_eq!(
                ids(&mut sql, &format!("'identical content', mode => '{mode}'")),
                ["a", "b", "c", "d"],
                "{mode} {path}"
            );
            // Which of equals the index gives first, it alone knows.
            if path != "hnsw" {
                assert_eq!(
                    ids(
                        &mut sql,
                        &format!("'identical content', 2, mode => '{mode}'")
                    ),
                    ["a", "b"],
                    "{mode} {path}: and so is what is cut off"
                );
            }
        }
    }
}

#[test]
fn the_smallest_and_the_largest_k_are_allowed() {
    let mut sql = store();
    add_all(&mut sql, &[("a", "one"), ("b", "two"), ("c", "three")]);

    for (k, expected) in [(1, 1), (2, 2), (3, 3), (4, 3), (10_000, 3)] {
        for mode in ["hybrid", "vector"] {
            assert_eq!(
                ids(&mut sql, &format!("'one two three', {k}, mode => '{mode}'")).len(),
                expected,
                "{mode} {k}"
            );
        }
    }
}

#[test]
fn a_prepared_search_gives_the_right_rows_whatever_its_arguments() {
    let mut sql = store();
    sql.run(
        "SELECT memory_add('note ' || i, namespace => 'n' || i % 3, agent_id => CASE WHEN i % 2 = 0 THEN 'even' ELSE 'odd' END, scope => 'agent-private',
                metadata => jsonb_build_object('i', i)) FROM generate_series(1, 60) i",
    );
    let search = sql.prepare("SELECT id FROM memory_search('note', 60, agent_id => $1, namespace => $2, filter => $3)").expect("prepared");
    let list = sql.prepare("SELECT id FROM memory_list(page_size => 100, agent_id => $1, namespace => $2, filter => $3)").expect("prepared");

    // More often than it takes PostgreSQL to choose a generic plan.
    for round in 0..24 {
        let agent = ["even", "odd", "*"][round % 3];
        let namespace = [None, Some("n0"), Some("n1")][round / 3 % 3];
        let filter = [None, Some(json!({"i": {"$gt": 30}}))][round % 2].clone();
        let found: HashSet<String> = sql
            .query(&search, &[&agent, &namespace, &filter])
            .expect("found")
            .iter()
            .map(|row| row.get(0))
            .collect();
        let listed: HashSet<String> = sql
            .query(&list, &[&agent, &namespace, &filter])
            .expect("listed")
            .iter()
            .map(|row| row.get(0))
            .collect();
        assert_eq!(found, listed, "{agent} {namespace:?} {filter:?}");
        assert!(!found.is_empty());
    }
}

// --- packing for a prompt

#[test]
fn a_context_keeps_to_its_budget_best_first_with_ids() {
    let mut sql = store();
    for number in 0..30 {
        sql.run(&format!("SELECT memory_add('Fact {number} about the orchard: tree {number} bears fruit in autumn')"));
    }
    let found = ids(&mut sql, "'orchard tree 7 fruit', 20");
    let context = |sql: &mut Client, budget: i32| -> String {
        sql.one(
            "SELECT memory_context('orchard tree 7 fruit', $1)",
            &[&budget],
        )
    };

    let large = context(&mut sql, 100_000);
    let places: Vec<usize> = found
        .iter()
        .map(|id| {
            large
                .find(id.as_str())
                .unwrap_or_else(|| panic!("{id} is not in {large}"))
        })
        .collect();
    assert!(places.is_sorted(), "best first");

    let mut last = 0;
    for budget in [1, 20, 50, 200, 1000] {
        let text = context(&mut sql, budget);
        assert!(
            text.len() <= budget as usize * 6,
            "{budget} tokens, {} bytes",
            text.len()
        );
        assert!(text.len() >= last, "a larger budget holds no less");
        last = text.len();
    }
    assert_eq!(context(&mut sql, 1), "");
    assert!(last > 100);
    sql.run("SELECT memory_kv_set('tea', 'oolong')");
    let keyed: String = sql.one("SELECT memory_context('tea oolong', k => 1)", &[]);
    assert!(keyed.contains("tea: oolong"), "{keyed}");
}
