//! JSON merge patch (RFC 7396) on JSON texts.

use serde_json::{Map, Value};

/// Applies `patch` to `target` and returns the result as JSON text.
///
/// Objects merge key by key, a null removes a key, anything else replaces. Numbers keep their
/// digits. Text that is not JSON, or is nested deeper than 127 levels, is an error.
pub fn apply(target: &str, patch: &str) -> Result<String, serde_json::Error> {
    let mut target: Value = serde_json::from_str(target)?;
    merge(&mut target, serde_json::from_str(patch)?);
    serde_json::to_string(&target)
}

fn merge(target: &mut Value, patch: Value) {
    let Value::Object(patch) = patch else {
        *target = patch;
        return;
    };
    if !target.is_object() {
        *target = Value::Object(Map::new());
    }
    if let Value::Object(target) = target {
        for (key, value) in patch {
            match value {
                Value::Null => {
                    target.remove(&key);
                }
                value => merge(target.entry(key).or_insert(Value::Null), value),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// RFC 7396 appendix A: original, patch, result.
    const RFC_CASES: &[(&str, &str, &str)] = &[
        (r#"{"a":"b"}"#, r#"{"a":"c"}"#, r#"{"a":"c"}"#),
        (r#"{"a":"b"}"#, r#"{"b":"c"}"#, r#"{"a":"b","b":"c"}"#),
        (r#"{"a":"b"}"#, r#"{"a":null}"#, r#"{}"#),
        (r#"{"a":"b","b":"c"}"#, r#"{"a":null}"#, r#"{"b":"c"}"#),
        (r#"{"a":["b"]}"#, r#"{"a":"c"}"#, r#"{"a":"c"}"#),
        (r#"{"a":"c"}"#, r#"{"a":["b"]}"#, r#"{"a":["b"]}"#),
        (
            r#"{"a":{"b":"c"}}"#,
            r#"{"a":{"b":"d","c":null}}"#,
            r#"{"a":{"b":"d"}}"#,
        ),
        (r#"{"a":[{"b":"c"}]}"#, r#"{"a":[1]}"#, r#"{"a":[1]}"#),
        (r#"["a","b"]"#, r#"["c","d"]"#, r#"["c","d"]"#),
        (r#"{"a":"b"}"#, r#"["c"]"#, r#"["c"]"#),
        (r#"{"a":"foo"}"#, r#"null"#, r#"null"#),
        (r#"{"a":"foo"}"#, r#""bar""#, r#""bar""#),
        (r#"{"e":null}"#, r#"{"a":1}"#, r#"{"a":1,"e":null}"#),
        (r#"[1,2]"#, r#"{"a":"b","c":null}"#, r#"{"a":"b"}"#),
        (
            r#"{}"#,
            r#"{"a":{"bb":{"ccc":null}}}"#,
            r#"{"a":{"bb":{}}}"#,
        ),
    ];

    #[test]
    fn c3_every_case_of_the_rfc_appendix() {
        for (target, patch, expected) in RFC_CASES {
            assert_eq!(
                apply(target, patch).unwrap(),
                *expected,
                "{patch} on {target}"
            );
        }
    }

    #[test]
    fn the_example_of_the_rfc_text() {
        let target = r#"{"title":"Goodbye!","author":{"givenName":"John","familyName":"Doe"},
            "tags":["example","sample"],"content":"This will be unchanged"}"#;
        let patch = r#"{"title":"Hello!","phoneNumber":"+01-123-456-7890",
            "author":{"familyName":null},"tags":["example"]}"#;
        assert_eq!(
            apply(target, patch).unwrap(),
            r#"{"author":{"givenName":"John"},"content":"This will be unchanged","phoneNumber":"+01-123-456-7890","tags":["example"],"title":"Hello!"}"#
        );
    }

    #[test]
    fn numbers_keep_their_digits() {
        let target = r#"{"a":12345678901234567890123.10,"b":1.0}"#;
        let patch = r#"{"c":0.1000000000000000055511151231257827,"d":[-0,100]}"#;
        assert_eq!(
            apply(target, patch).unwrap(),
            r#"{"a":12345678901234567890123.10,"b":1.0,"c":0.1000000000000000055511151231257827,"d":[-0,100]}"#
        );
    }

    #[test]
    fn what_is_not_json_is_an_error() {
        assert!(apply("{", "{}").is_err());
        assert!(apply("{}", "{'a':1}").is_err());
        assert!(apply("{}", "").is_err());
        let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
        assert!(apply("{}", &deep).is_err());
    }

    fn json() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            ".{0,6}".prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 32, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                prop::collection::btree_map("[a-d]", inner, 0..4)
                    .prop_map(|map| Value::from(map.into_iter().collect::<Map<_, _>>())),
            ]
        })
    }

    fn has_null_member(value: &Value) -> bool {
        matches!(value, Value::Object(map)
            if map.values().any(|member| member.is_null() || has_null_member(member)))
    }

    proptest! {
        #[test]
        fn applying_twice_is_applying_once(target in json(), patch in json()) {
            let patch = patch.to_string();
            let once = apply(&target.to_string(), &patch).unwrap();
            prop_assert_eq!(apply(&once, &patch).unwrap(), once);
        }

        #[test]
        fn a_patch_without_nulls_onto_nothing_is_itself(patch in json()) {
            prop_assume!(!has_null_member(&patch));
            let patch = patch.to_string();
            prop_assert_eq!(apply("null", &patch).unwrap(), patch);
        }

        #[test]
        fn an_empty_patch_changes_no_object(target in json()) {
            prop_assume!(target.is_object());
            let target = target.to_string();
            prop_assert_eq!(apply(&target, "{}").unwrap(), target);
        }

        #[test]
        fn never_panics(target in ".{0,40}", patch in ".{0,40}") {
            let _ = apply(&target, &patch);
        }
    }
}
