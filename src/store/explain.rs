//! What a search did, for those who wonder about an answer.

use pgrx::datum::ToIsoString;
use serde_json::{Value, json};

use super::access::Call;
use super::search::{Arms, Path, Search};
use crate::pg::guc;

/// Runs the search and reports how.
pub fn report(call: &Call, search: &Search) -> Value {
    let started = std::time::Instant::now();
    let (hits, arms) = search.run_explained(call);
    let total_ms = started.elapsed().as_secs_f64() * 1e3;
    let plan = arms
        .vector_statement
        .as_ref()
        .map(|statement| call.sql(|session| statement.explain(session)));
    let scanned = plan.as_ref().map(|plan| rows_scanned(&plan[0]["Plan"]));
    let mut report = json!({
        "mode": search.mode.name(),
        "path": match call.time {
            None => arms.path.map_or("none", Path::name),
            // No index knows the versions of a past time: all that match are compared.
            Some(_) => "past",
        },
        "population": arms.population,
        // Rows that were passed over are none of the business of somebody who may not see them.
        "rows_scanned": scanned.filter(|_| call.access.is_admin()),
        "fallback": arms.fallback,
        // Every matching row was found or compared, or the index gave as many rows as were asked for.
        "complete": arms.path != Some(Path::Hnsw) || arms.fallback || arms.vector.len() >= search.k,
        "text_matches": arms.text_matches,
        "returned": hits.len(),
        "arms": {
            "vector": ranks(&arms, &arms.vector, "similarity"),
            "text": ranks(&arms, &arms.text, "score"),
        },
        "settings": {
            "k": search.k,
            "text_weight": search.text_weight,
            "fusion": search.fusion.name(),
            "ef_search": arms.vector_statement.as_ref().and_then(|statement| statement.ef_search()),
            "max_scan_tuples": guc::max_scan_tuples(),
        },
        "timings_ms": { "vector": arms.vector_ms, "text": arms.text_ms, "total": total_ms },
        "plan": plan.filter(|_| call.access.is_admin()).map(|plan| outline(&plan[0]["Plan"])),
    });
    if let Some(time) = call.time {
        report["as_of"] = time.to_iso_string().into();
    }
    report
}

fn ranks(arms: &Arms, found: &[(u32, f64)], score: &str) -> Value {
    const MOST: usize = 100;
    found
        .iter()
        .take(MOST)
        .enumerate()
        .map(|(place, (candidate, value))| json!({ "id": arms.ids[*candidate as usize], "rank": place + 1, score: value }))
        .collect()
}

/// A plan without its expressions: they repeat the query vector.
fn outline(node: &Value) -> Value {
    const SHOWN: [&str; 5] = [
        "Node Type",
        "Index Name",
        "Relation Name",
        "Actual Rows",
        "Rows Removed by Filter",
    ];
    let mut shown: serde_json::Map<String, Value> = SHOWN
        .iter()
        .filter(|name| !node[**name].is_null())
        .map(|name| ((*name).to_owned(), node[*name].clone()))
        .collect();
    if let Some(children) = node["Plans"].as_array() {
        shown.insert("Plans".to_owned(), children.iter().map(outline).collect());
    }
    shown.into()
}

/// Rows that the lowest nodes of the plan gave or threw away.
fn rows_scanned(node: &Value) -> u64 {
    if let Some(children) = node["Plans"].as_array() {
        return children
            .iter()
            .map(rows_scanned)
            .sum::<u64>()
            .max(own_rows(node));
    }
    own_rows(node)
}

fn own_rows(node: &Value) -> u64 {
    let rows = |name: &str| node[name].as_f64().unwrap_or(0.0);
    let scans = node["Relation Name"].is_string();
    if !scans {
        return 0;
    }
    ((rows("Actual Rows") + rows("Rows Removed by Filter") + rows("Rows Removed by Index Recheck"))
        * rows("Actual Loops").max(1.0)) as u64
}
