//! YAML of the runbooks, for programs that a plain machine does not have.

use yaml_rust2::{Yaml, YamlLoader};

/// The only document in a text.
pub fn document(text: &str) -> Yaml {
    let mut documents =
        YamlLoader::load_from_str(text).unwrap_or_else(|error| panic!("{error}\n{text}"));
    assert_eq!(documents.len(), 1, "{text}");
    documents.remove(0)
}

/// The text at a path of keys.
pub fn text<'y>(yaml: &'y Yaml, path: &[&str]) -> &'y str {
    let found = path.iter().fold(yaml, |yaml, key| &yaml[*key]);
    found
        .as_str()
        .unwrap_or_else(|| panic!("{path:?} is no text: {found:?}"))
}

/// The five fields before the command of a crontab's line, which have to be ones that cron reads.
pub fn cron_fields(schedule: &str) -> Vec<&str> {
    let fields: Vec<&str> = schedule.split_whitespace().take(5).collect();
    let limits = [59, 23, 31, 12, 7];
    assert_eq!(fields.len(), limits.len(), "{schedule}");
    for (field, limit) in fields.iter().zip(limits) {
        let (first, step) = field.split_once('/').unwrap_or((field, "1"));
        let number = |text: &str| text.parse::<u32>().unwrap_or(u32::MAX);
        assert!(
            (first == "*" || number(first) <= limit) && (1..=limit).contains(&number(step)),
            "{schedule}"
        );
    }
    fields
}
