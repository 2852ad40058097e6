use proptest::prelude::*;
use serde_json::json;

use super::*;

fn assert_compiles(filter: &str, expected: &str) {
    assert_eq!(compile(filter).unwrap(), expected, "for {filter}");
}

fn assert_refused(filter: &str, message: &str) {
    assert_eq!(
        compile(filter).unwrap_err().to_string(),
        message,
        "for {filter}"
    );
}

#[test]
fn equality_and_paths() {
    assert_compiles("{}", "(1 == 1)");
    assert_compiles(r#"{"a":"x"}"#, r#"($."a" == "x")"#);
    assert_compiles(r#"{"a.b.c":{"$eq":true}}"#, r#"($."a"."b"."c" == true)"#);
    assert_compiles(r#"{"a":null}"#, r#"($."a" == null)"#);
    assert_compiles(r#"{"b":1,"a":2}"#, r#"(($."a" == 2) && ($."b" == 1))"#);
}

#[test]
fn comparisons_on_one_path_all_hold() {
    assert_compiles(
        r#"{"n":{"$gt":1,"$lte":9.50}}"#,
        r#"(($."n" > 1) && ($."n" <= 9.50))"#,
    );
    assert_compiles(r#"{"n":{"$gte":-1}}"#, r#"($."n" >= -1)"#);
    assert_compiles(r#"{"day":{"$lt":"2026-02"}}"#, r#"($."day" < "2026-02")"#);
}

#[test]
fn numbers_keep_their_digits() {
    assert_compiles(
        r#"{"n":12345678901234567890.123456789012345678900}"#,
        r#"($."n" == 12345678901234567890.123456789012345678900)"#,
    );
}

#[test]
fn negation_counts_unknown_as_not_holding() {
    assert_compiles(
        r#"{"a":{"$ne":5}}"#,
        r#"(!($."a" == 5) || ($."a" == 5) is unknown)"#,
    );
    assert_compiles(
        r#"{"a":{"$nin":[1,2]}}"#,
        r#"((!($."a" == 1) || ($."a" == 1) is unknown) && (!($."a" == 2) || ($."a" == 2) is unknown))"#,
    );
    assert_compiles(
        r#"{"a":{"$not":{"$gt":5}}}"#,
        r#"(!($."a" > 5) || ($."a" > 5) is unknown)"#,
    );
    // Two negations are none.
    assert_compiles(r#"{"$not":{"a":{"$ne":5}}}"#, r#"($."a" == 5)"#);
    assert_compiles(
        r#"{"$not":{"a":1,"b":{"$exists":true}}}"#,
        r#"((!($."a" == 1) || ($."a" == 1) is unknown) || (!exists($."b")))"#,
    );
}

#[test]
fn lists_and_existence() {
    assert_compiles(
        r#"{"a":{"$in":["x",1,null]}}"#,
        r#"(($."a" == "x") || ($."a" == 1) || ($."a" == null))"#,
    );
    assert_compiles(r#"{"a":{"$in":[]}}"#, "(1 == 0)");
    assert_compiles(r#"{"a":{"$nin":[]}}"#, "(1 == 1)");
    assert_compiles(r#"{"a":{"$exists":false}}"#, r#"(!exists($."a"))"#);
    assert_compiles(
        r#"{"$or":[{"a":1},{"b":2,"c":3}]}"#,
        r#"(($."a" == 1) || (($."b" == 2) && ($."c" == 3)))"#,
    );
    assert_compiles(
        r#"{"$nor":[{"a":{"$exists":true}},{"b":{"$exists":false}}]}"#,
        r#"((!exists($."a")) && (exists($."b")))"#,
    );
    assert_compiles(r#"{"$and":[{}]}"#, "(1 == 1)");
}

#[test]
fn text_cannot_become_syntax() {
    assert_compiles(
        r#"{"a\" == 1 || (\"":"x\") || (1 == 1)\\"}"#,
        r#"($."a\" == 1 || (\"" == "x\") || (1 == 1)\\")"#,
    );
    assert_compiles(
        r#"{"it's":"\u0001 \n é"}"#,
        r#"($."it's" == "\u0001 \n é")"#,
    );
}

#[test]
fn refusals_say_what_is_wrong() {
    assert_refused("[]", "the filter must be an object, got a list");
    assert_refused("null", "the filter must be an object, got null");
    assert_refused(
        r#"{"a":{"$regex":"x"}}"#,
        "unknown filter operator \"$regex\" at \"a\", expected one of $eq, $ne, $gt, $gte, $lt, $lte, $in, $nin, $exists, $not",
    );
    assert_refused(
        r#"{"$where":"x"}"#,
        "unknown filter operator \"$where\", expected one of $and, $or, $nor, $not",
    );
    assert_refused(
        r#"{"$and":[]}"#,
        "filter operator $and needs at least one filter, got an empty list",
    );
    assert_refused(
        r#"{"$or":{}}"#,
        "filter operator $or expects a list of filters, got an object",
    );
    assert_refused(
        r#"{"$or":[1]}"#,
        "an element of $or must be an object, got a number",
    );
    assert_refused(r#"{"$not":[]}"#, "$not must be an object, got a list");
    assert_refused(
        r#"{"a":[1]}"#,
        "filter operator $eq at \"a\" expects a string, a number, a boolean or null, got a list",
    );
    assert_refused(
        r#"{"a":{"$lt":null}}"#,
        "filter operator $lt at \"a\" expects a string or a number, got null",
    );
    assert_refused(
        r#"{"a":{"$in":[[1]]}}"#,
        "filter operator $in at \"a\" expects a string, a number, a boolean or null, got a list",
    );
    assert_refused(
        r#"{"a":{"$in":"x"}}"#,
        "filter operator $in at \"a\" expects a list of strings, numbers, booleans or nulls, got a string",
    );
    assert_refused(
        r#"{"a":{"$exists":1}}"#,
        "filter operator $exists at \"a\" expects true or false, got a number",
    );
    assert_refused(
        r#"{"a":{"$not":5}}"#,
        "filter operator $not at \"a\" expects an object of operators, got a number",
    );
    assert_refused(
        r#"{"a":{"b":1}}"#,
        "filter path \"a\" has an object with the key \"b\", expected operators or the path \"a.b\"",
    );
    assert_refused(
        r#"{"a":{}}"#,
        "filter path \"a\" has an empty object, expected a value or operators",
    );
    for path in ["", ".", "a.", ".a", "a..b"] {
        assert_refused(
            &json!({ path: 1 }).to_string(),
            &format!("filter path \"{path}\" has an empty key"),
        );
    }
    assert_refused(
        r#"{"a":"x\u0000"}"#,
        "filter path \"a\" or its operand has a NUL character",
    );
    assert_refused(
        r#"{"a\u0000b":1}"#,
        "filter path \"a\\u0000b\" or its operand has a NUL character",
    );
    assert!(matches!(compile("{"), Err(FilterError::Malformed(_))));
    assert!(matches!(compile(""), Err(FilterError::Malformed(_))));
}

#[test]
fn numbers_beyond_numeric_are_refused() {
    let message = "number for filter path \"a\" is out of the range of numeric";
    for number in ["1e131072", "1e-16384", "1E999999999999", "0.1e-16383"] {
        assert_refused(&format!(r#"{{"a":{number}}}"#), message);
    }
    for number in ["1e131071", "1e-16383", "-2.50e+3", "0"] {
        assert!(compile(&format!(r#"{{"a":{number}}}"#)).is_ok(), "{number}");
    }
}

#[test]
fn depth_is_limited() {
    let nested = |depth: usize| format!("{}{{}}{}", r#"{"$not":"#.repeat(depth), "}".repeat(depth));
    assert_eq!(compile(&nested(MAX_DEPTH)).unwrap(), "(1 == 1)");
    assert_refused(
        &nested(MAX_DEPTH + 1),
        "filter is nested deeper than 32 levels",
    );
    assert!(compile(&nested(100_000)).is_err());
    let field = format!(
        r#"{{"a":{}{{"$eq":1}}{}}}"#,
        r#"{"$not":"#.repeat(33),
        "}".repeat(33)
    );
    assert_refused(&field, "filter is nested deeper than 32 levels");
}

#[test]
fn conditions_are_limited() {
    let list = |n: usize| json!({"a": {"$in": vec![1; n]}}).to_string();
    assert!(compile(&list(MAX_CONDITIONS)).is_ok());
    assert_refused(
        &list(MAX_CONDITIONS + 1),
        "filter has more than 1000 conditions",
    );
}

/// What is left of a jsonpath when its string literals are taken out; None when one is not closed.
fn without_strings(path: &str) -> Option<String> {
    let mut rest = String::new();
    let mut chars = path.chars();
    while let Some(c) = chars.next() {
        if c != '"' {
            rest.push(c);
            continue;
        }
        loop {
            match chars.next()? {
                '\\' => {
                    chars.next()?;
                }
                '"' => break,
                _ => {}
            }
        }
    }
    Some(rest)
}

fn scalar() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        "[^\0]{0,8}".prop_map(Value::from),
    ]
}

fn key() -> impl Strategy<Value = String> {
    "[^\0.$][^\0.]{0,4}(\\.[^\0.]{1,4})?"
}

fn field_operand() -> impl Strategy<Value = Value> {
    let comparable = prop_oneof![
        any::<i32>().prop_map(Value::from),
        "[^\0]{0,8}".prop_map(Value::from)
    ];
    let leaf = prop_oneof![
        scalar().prop_map(|v| json!({ "$eq": v })),
        scalar().prop_map(|v| json!({ "$ne": v })),
        comparable.clone().prop_map(|v| json!({ "$gt": v })),
        comparable.prop_map(|v| json!({ "$lte": v })),
        any::<bool>().prop_map(|v| json!({ "$exists": v })),
        prop::collection::vec(scalar(), 0..4).prop_map(|v| json!({ "$in": v })),
        prop::collection::vec(scalar(), 0..4).prop_map(|v| json!({ "$nin": v })),
    ];
    leaf.prop_recursive(3, 6, 1, |inner| inner.prop_map(|v| json!({ "$not": v })))
}

fn valid_filter() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(json!({})),
        (key(), scalar()).prop_map(|(k, v)| json!({ k: v })),
        (key(), field_operand()).prop_map(|(k, v)| json!({ k: v })),
    ];
    leaf.prop_recursive(4, 24, 4, |inner| {
        let list = prop::collection::vec(inner.clone(), 1..4);
        prop_oneof![
            list.clone().prop_map(|f| json!({ "$and": f })),
            list.clone().prop_map(|f| json!({ "$or": f })),
            list.prop_map(|f| json!({ "$nor": f })),
            inner.prop_map(|f| json!({ "$not": f })),
        ]
    })
}

proptest! {
    #[test]
    fn valid_filters_compile_to_plain_syntax(filter in valid_filter()) {
        let path = compile(&filter.to_string()).unwrap();
        let syntax = without_strings(&path).unwrap();
        prop_assert!(
            syntax.chars().all(|c| c.is_ascii_alphanumeric() || " ()$.=<>!&|+-".contains(c)),
            "{}", syntax
        );
        let mut open = 0i32;
        for c in syntax.chars() {
            open += i32::from(c == '(') - i32::from(c == ')');
            prop_assert!(open >= 0);
        }
        prop_assert_eq!(open, 0);
    }

    #[test]
    fn two_negations_are_none(filter in valid_filter()) {
        let twice = json!({"$not": {"$not": filter}}).to_string();
        prop_assert_eq!(compile(&twice), compile(&filter.to_string()));
    }

    #[test]
    fn any_text_is_compiled_or_refused(text in ".{0,60}") {
        let _ = compile(&text);
    }

    #[test]
    fn any_json_is_compiled_or_refused(
        key in "[$.\0a-z]{0,5}", operator in "\\$(eq|not|in|and|exists|gt|x)|.{0,3}", operand in scalar(),
    ) {
        for filter in [
            json!({ &*key: { &*operator: operand.clone() } }),
            json!({ &*operator: [operand.clone()] }),
            json!({ &*operator: { &*key: operand } }),
        ] {
            if let Err(error) = compile(&filter.to_string()) {
                prop_assert!(!error.to_string().ends_with('.'));
                prop_assert!(!error.to_string().contains('\0'));
            }
        }
    }
}
