//! The dashboard and its queries.

use serde_json::Value;

use super::programs::{docker, read};

pub fn dashboard() -> Value {
    let text = read(docker("grafana/dashboards/memory.json"));
    serde_json::from_str(&text).expect("JSON")
}

/// Title and expression of every query of the dashboard, with values for its variables.
pub fn dashboard_queries() -> Vec<(String, String)> {
    let dashboard = dashboard();
    let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
    let mut queries = Vec::new();
    for panel in list(&dashboard["panels"]) {
        let title = panel["title"].as_str().expect("a title").to_owned();
        for target in list(&panel["targets"]) {
            queries.push((
                title.clone(),
                target["expr"].as_str().expect("an expression").to_owned(),
            ));
        }
    }
    for variable in list(&dashboard["templating"]["list"]) {
        if let Some(query) = variable["query"]["query"].as_str() {
            let series = query
                .strip_prefix("label_values(")
                .and_then(|rest| rest.rsplit_once(','))
                .unwrap_or_else(|| panic!("{query}"));
            queries.push((format!("variable {query}"), series.0.to_owned()));
        }
    }
    for (_, expression) in &mut queries {
        *expression = expression
            .replace("$instance", ".*")
            .replace("$operation", ".*")
            .replace("$__rate_interval", "10s");
        assert!(!expression.contains('$'), "{expression}");
    }
    queries
}
