//! The filter language and the other filters, against a reference that looks at every row.

mod support;

use serde_json::{Value, json};
use support::{Random, Sql, store};

/// The filter language as memory_list's documentation words it, written down a second time.
fn holds(filter: &Value, metadata: &Value) -> bool {
    filter
        .as_object()
        .expect("an object")
        .iter()
        .all(|(key, operand)| match key.as_str() {
            "$and" => operand
                .as_array()
                .expect("a list")
                .iter()
                .all(|filter| holds(filter, metadata)),
            "$or" => operand
                .as_array()
                .expect("a list")
                .iter()
                .any(|filter| holds(filter, metadata)),
            "$not" => !holds(operand, metadata),
            path => {
                let mut values = vec![metadata];
                for step in path.split('.') {
                    values = values
                        .into_iter()
                        .flat_map(unwrapped)
                        .filter_map(|value| value.get(step))
                        .collect();
                }
                let operators = match operand {
                    Value::Object(operators) => operators.clone(),
                    value => json!({ "$eq": value })
                        .as_object()
                        .expect("an object")
                        .clone(),
                };
                operators
                    .iter()
                    .all(|(operator, operand)| operator_holds(operator, operand, &values))
            }
        })
}

/// A value, and the elements of an array in its stead.
fn unwrapped(value: &Value) -> Vec<&Value> {
    match value {
        Value::Array(elements) => elements.iter().collect(),
        value => vec![value],
    }
}

fn operator_holds(operator: &str, operand: &Value, values: &[&Value]) -> bool {
    use std::cmp::Ordering;
    let any =
        |fits: &dyn Fn(&Value) -> bool| values.iter().flat_map(|value| unwrapped(value)).any(fits);
    let ordered = |value: &Value| match (value, operand) {
        (Value::Number(a), Value::Number(b)) => a
            .as_f64()
            .expect("a float")
            .partial_cmp(&b.as_f64().expect("a float")),
        (Value::String(a), Value::String(b)) => Some(a.cmp(b)),
        _ => None,
    };
    let equal = |value: &Value, operand: &Value| match (value, operand) {
        (Value::Number(a), Value::Number(b)) => a.as_f64() == b.as_f64(),
        (a, b) => a == b && !a.is_object(),
    };
    match operator {
        "$eq" => any(&|value| equal(value, operand)),
        "$ne" => !any(&|value| equal(value, operand)),
        "$gt" => any(&|value| ordered(value) == Some(Ordering::Greater)),
        "$gte" => any(&|value| matches!(ordered(value), Some(Ordering::Greater | Ordering::Equal))),
        "$lt" => any(&|value| ordered(value) == Some(Ordering::Less)),
        "$lte" => any(&|value| matches!(ordered(value), Some(Ordering::Less | Ordering::Equal))),
        "$in" => operand
            .as_array()
            .expect("a list")
            .iter()
            .any(|operand| any(&|value| equal(value, operand))),
        "$nin" => !operand
            .as_array()
            .expect("a list")
            .iter()
            .any(|operand| any(&|value| equal(value, operand))),
        "$exists" => values.is_empty() != operand.as_bool().expect("a boolean"),
        "$not" => !operand
            .as_object()
            .expect("an object")
            .iter()
            .all(|(operator, operand)| operator_holds(operator, operand, values)),
        other => panic!("{other}"),
    }
}

fn random_scalar(random: &mut Random) -> Value {
    random
        .pick(&[
            json!(1),
            json!(2),
            json!(2.5),
            json!(10),
            json!(-3),
            json!("1"),
            json!("2"),
            json!("b"),
            json!("ä"),
            json!(true),
            json!(false),
            Value::Null,
        ])
        .clone()
}

fn random_metadata(random: &mut Random) -> Value {
    let mut metadata = json!({});
    for key in ["a", "b", "c"] {
        let value = match random.below(6) {
            0 => continue,
            1 => json!([random_scalar(random), random_scalar(random)]),
            2 => json!({"x": random_scalar(random), "y": [random_scalar(random)]}),
            3 => json!([{"x": random_scalar(random)}, {"x": random_scalar(random)}]),
            _ => random_scalar(random),
        };
        metadata[key] = value;
    }
    metadata
}

fn random_filter(random: &mut Random, depth: usize) -> Value {
    match random.below(if depth == 0 { 8 } else { 11 }) {
        8 => json!({"$and": [random_filter(random, depth - 1), random_filter(random, depth - 1)]}),
        9 => json!({"$or": [random_filter(random, depth - 1), random_filter(random, depth - 1)]}),
        10 => json!({ "$not": random_filter(random, depth - 1) }),
        _ => {
            let path = *random.pick(&["a", "b", "c", "a.x", "b.y", "c.x", "missing", "a.x.z"]);
            let comparable = random
                .pick(&[json!(2), json!(2.5), json!("2"), json!("b"), json!(-100)])
                .clone();
            let operand = match random.below(9) {
                0 => json!({ "$gt": comparable }),
                1 => json!({ "$lte": comparable }),
                2 => json!({ "$gte": comparable, "$lt": 10 }),
                3 => json!({"$in": [random_scalar(random), random_scalar(random)]}),
                4 => json!({"$nin": [random_scalar(random), random_scalar(random)]}),
                5 => json!({"$exists": random.below(2) == 0}),
                6 => json!({ "$ne": random_scalar(random) }),
                7 => json!({"$not": { "$gt": comparable }}),
                _ => random_scalar(random),
            };
            json!({ path: operand })
        }
    }
}

#[test]
fn filters_choose_what_a_row_by_row_reference_chooses() {
    let mut sql = store();
    let mut random = Random::seeded(31);
    let mut rows: Vec<(String, Value)> = Vec::new();
    for number in 0..150 {
        let metadata = random_metadata(&mut random);
        let id = format!("m{number:03}");
        sql.query(
            "SELECT memory_add($1, id => $2, metadata => $3)",
            &[&format!("memory {number}"), &id, &metadata],
        )
        .expect("added");
        rows.push((id, metadata));
    }

    for _ in 0..250 {
        let filter = random_filter(&mut random, 2);
        let expected: Vec<&str> = rows
            .iter()
            .filter(|(_, metadata)| holds(&filter, metadata))
            .map(|(id, _)| id.as_str())
            .collect();
        let listed: Vec<String> = sql.column(
            "SELECT id FROM memory_list(page_size => 1000, filter => $1) ORDER BY 1",
            &[&filter],
        );
        assert_eq!(listed, expected, "memory_list {filter}");
        let found: Vec<String> = sql.column("SELECT id FROM memory_search('memory', 1000, mode => 'vector', filter => $1) ORDER BY 1", &[&filter]);
        assert_eq!(found, expected, "memory_search {filter}");
    }
}

#[test]
fn search_filters_are_those_of_list() {
    let mut sql = store();
    sql.run(
        "SELECT memory_add('note ' || i, namespace => 'n' || i % 2, user_id => 'u' || i % 3, session_id => 's' || i % 5,
                memory_type => (ARRAY['standard', 'episodic', 'semantic'])[1 + i % 3], metadata => jsonb_build_object('i', i % 4)) FROM generate_series(1, 60) i;
         UPDATE memories SET created_at = now() - (substr(content, 6) || ' hours')::interval",
    );

    for filters in [
        "namespace => 'n1'",
        "user_id => 'u2'",
        "session_id => 's3'",
        "memory_types => '{episodic,semantic}'",
        "metadata => '{\"i\": 2}'",
        "since => now() - interval '20 hours'",
        "until => now() - interval '20 hours'",
        "since => now() - interval '40 hours', until => now() - interval '10 hours', namespace => 'n0', memory_types => '{standard}'",
    ] {
        let listed: Vec<String> = sql.column(
            &format!("SELECT id FROM memory_list(page_size => 100, {filters}) ORDER BY 1"),
            &[],
        );
        assert!(!listed.is_empty() && listed.len() < 60, "{filters}");
        for mode in ["hybrid", "vector", "text"] {
            let found: Vec<String> = sql.column(&format!("SELECT id FROM memory_search('note', 100, mode => '{mode}', {filters}) ORDER BY 1"), &[]);
            assert_eq!(found, listed, "{mode} {filters}");
        }
    }
}
