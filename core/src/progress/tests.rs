use proptest::prelude::*;
use serde_json::json;

use super::*;

/// Every change of state that is allowed; all others are not, but for staying.
const SESSION_CHANGES: &[(&str, &[&str])] = &[
    ("active", &["paused", "completed", "failed"]),
    ("paused", &["active", "completed", "failed"]),
    ("completed", &[]),
    ("failed", &["active"]),
];

const FEATURE_CHANGES: &[(&str, &[&str])] = &[
    ("not_started", &["in_progress", "blocked", "failed"]),
    (
        "in_progress",
        &["testing", "blocked", "failed", "not_started"],
    ),
    ("blocked", &["not_started", "in_progress", "failed"]),
    ("testing", &["complete", "in_progress", "blocked", "failed"]),
    ("complete", &["in_progress"]),
    ("failed", &["not_started", "in_progress"]),
];

fn check_changes<S: State + fmt::Debug>(changes: &[(&str, &[&str])]) {
    assert_eq!(S::ALL.len(), changes.len());
    for (from, allowed) in changes {
        for (to, _) in changes {
            let (from, to) = (S::named(from).unwrap(), S::named(to).unwrap());
            assert_eq!(
                from.may_become(to),
                from == to || allowed.contains(&to.name()),
                "{from:?} to {to:?}"
            );
        }
    }
}

#[test]
fn sessions_change_as_they_may() {
    check_changes::<SessionStatus>(SESSION_CHANGES);
}

#[test]
fn features_change_as_they_may() {
    check_changes::<FeatureStatus>(FEATURE_CHANGES);
}

#[test]
fn only_testing_leads_to_complete() {
    for &from in FeatureStatus::ALL {
        let leads = from.next().contains(&FeatureStatus::Complete);
        assert_eq!(leads, from == FeatureStatus::Testing);
    }
}

fn names_are_their_own<S: State + fmt::Debug>() {
    for &state in S::ALL {
        assert_eq!(S::named(state.name()), Some(state));
        assert!(
            !state.next().contains(&state),
            "{state:?} is not its own successor"
        );
    }
    for unknown in ["", "Active", "COMPLETE", " active", "done"] {
        assert_eq!(S::named(unknown), None, "{unknown:?}");
    }
}

#[test]
fn states_are_found_by_their_exact_name() {
    names_are_their_own::<SessionStatus>();
    names_are_their_own::<FeatureStatus>();
}

#[test]
fn what_is_open() {
    let open: Vec<_> = SessionStatus::ALL
        .iter()
        .filter(|status| status.is_open())
        .collect();
    assert_eq!(open, [&SessionStatus::Active, &SessionStatus::Paused]);
    let closed: Vec<_> = FeatureStatus::ALL
        .iter()
        .filter(|status| !status.is_open())
        .collect();
    assert_eq!(closed, [&FeatureStatus::Complete]);
}

#[test]
fn items_are_strings_or_objects_in_their_order() {
    let items = parse_items(r#"["b", {"item": "a", "why": 1.10}, {}, "b", ""]"#).unwrap();
    assert_eq!(
        Value::from(items).to_string(),
        r#"["b",{"item":"a","why":1.10},{},"b",""]"#
    );
    assert_eq!(parse_items("[]"), Ok(Vec::new()));
}

#[test]
fn what_is_no_list_of_items_is_refused() {
    let message = |json: &str| parse_items(json).unwrap_err().to_string();
    assert_eq!(message(r#""a""#), "is a string, expected an array");
    assert_eq!(message("null"), "is null, expected an array");
    assert_eq!(message("{}"), "is an object, expected an array");
    assert_eq!(
        message(r#"["a", 1]"#),
        "has a number as item 2, expected a string or an object"
    );
    assert_eq!(
        message(r#"[null]"#),
        "has null as item 1, expected a string or an object"
    );
    assert_eq!(
        message(r#"["a", "b", ["c"]]"#),
        "has an array as item 3, expected a string or an object"
    );
    assert!(message("[").starts_with("cannot be read as JSON: "));
    let deep = format!("[{{\"a\":{}{}}}]", "[".repeat(1000), "]".repeat(1000));
    assert!(matches!(parse_items(&deep), Err(ItemsError::Malformed(_))));
}

#[test]
fn the_limit_of_items_is_the_last_number_that_passes() {
    let list = |count: usize| Value::from(vec![Value::from("x"); count]).to_string();
    assert_eq!(parse_items(&list(MAX_ITEMS)).unwrap().len(), MAX_ITEMS);
    assert_eq!(
        parse_items(&list(MAX_ITEMS + 1)).unwrap_err().to_string(),
        "has 10001 items, over the limit of 10000"
    );
}

fn list(json: Value) -> Vec<Value> {
    parse_items(&json.to_string()).unwrap()
}

fn items() -> Items {
    Items {
        completed: list(json!(["design"])),
        in_progress: Some("code".to_owned()),
        next: list(json!(["test", {"item": "release", "after": "test"}])),
        blocked: list(json!([{"item": "sign", "reason": "no key"}, "announce"])),
    }
}

#[test]
fn an_item_is_completed_from_wherever_it_stands() {
    let mut items = items();
    for name in ["announce", "code", "release", "test", "sign"] {
        assert!(items.complete(name), "{name}");
    }
    assert_eq!(
        items,
        Items {
            completed: list(json!([
                "design",
                "announce",
                "code",
                {"item": "release", "after": "test"},
                "test",
                {"item": "sign", "reason": "no key"}
            ])),
            ..Items::default()
        }
    );
    assert_eq!(items.percent(), 100.0);
}

#[test]
fn completing_what_is_completed_changes_nothing() {
    let mut items = items();
    items.completed.push(json!({"item": "deploy"}));
    let before = items.clone();
    assert!(!items.complete("design"));
    assert!(!items.complete("deploy"));
    assert_eq!(items, before);
}

#[test]
fn an_unknown_item_is_appended() {
    let mut items = items();
    assert!(items.complete("coffee"));
    assert_eq!(items.completed, list(json!(["design", "coffee"])));
    assert_eq!(items.next.len() + items.blocked.len(), 4);
    assert_eq!(items.in_progress.as_deref(), Some("code"));
}

#[test]
fn an_item_in_progress_that_is_listed_too_is_completed_once_with_its_details() {
    let mut items = Items {
        in_progress: Some("a".to_owned()),
        next: list(json!([{"item": "a", "n": 1}, "b", "a"])),
        blocked: list(json!(["a", {"other": "a"}])),
        ..Items::default()
    };
    assert!(items.complete("a"));
    assert_eq!(
        items,
        Items {
            completed: list(json!([{"item": "a", "n": 1}])),
            in_progress: None,
            next: list(json!(["b"])),
            blocked: list(json!([{"other": "a"}])),
        }
    );
}

#[test]
fn an_item_is_named_by_a_string_only() {
    assert_eq!(name_of(&json!("a")), Some("a"));
    assert_eq!(name_of(&json!({"item": "a", "b": 1})), Some("a"));
    assert_eq!(name_of(&json!({"item": 1})), None);
    assert_eq!(name_of(&json!({"name": "a"})), None);
    assert_eq!(name_of(&json!(1)), None);
}

#[test]
fn percent_known_answers() {
    assert_eq!(percent(0, 0), 0.0);
    assert_eq!(percent(0, 7), 0.0);
    assert_eq!(percent(3, 0), 100.0);
    assert_eq!(percent(1, 3), 25.0);
    assert_eq!(percent(1, 2), 100.0 / 3.0);
    assert!(percent(usize::MAX, usize::MAX).is_finite());
    assert_eq!(items().percent(), 100.0 / 6.0);
}

fn item() -> impl Strategy<Value = Value> {
    prop_oneof![
        "[a-e]".prop_map(Value::from),
        ("[a-e]", any::<u8>()).prop_map(|(name, n)| json!({"item": name, "n": n})),
        any::<u8>().prop_map(|n| json!({ "note": n })),
    ]
}

fn any_items() -> impl Strategy<Value = Items> {
    let items = || prop::collection::vec(item(), 0..6);
    (items(), prop::option::of("[a-e]"), items(), items()).prop_map(
        |(completed, in_progress, next, blocked)| Items {
            completed,
            in_progress,
            next,
            blocked,
        },
    )
}

fn names(items: &[Value]) -> Vec<Option<&str>> {
    items.iter().map(name_of).collect()
}

proptest! {
    #[test]
    fn completing_is_idempotent_and_leaves_nothing_of_the_name_to_do(
        mut items in any_items(),
        name in "[a-g]",
    ) {
        let was_completed = names(&items.completed).contains(&Some(name.as_str()));
        prop_assert_eq!(items.complete(&name), !was_completed);
        prop_assert!(names(&items.completed).contains(&Some(name.as_str())));
        if !was_completed {
            prop_assert_ne!(items.in_progress.as_ref(), Some(&name));
            prop_assert!(!names(&items.next).contains(&Some(name.as_str())));
            prop_assert!(!names(&items.blocked).contains(&Some(name.as_str())));
        }
        let once = items.clone();
        prop_assert!(!items.complete(&name));
        prop_assert_eq!(items, once);
    }

    #[test]
    fn completing_moves_one_item_and_keeps_the_others_in_order(
        before in any_items(),
        name in "[a-g]",
    ) {
        let mut after = before.clone();
        let changed = after.complete(&name);
        let others = |list: &[Value]| -> Vec<Value> {
            list.iter().filter(|item| name_of(item) != Some(name.as_str())).cloned().collect()
        };
        prop_assert_eq!(others(&after.next), others(&before.next));
        prop_assert_eq!(others(&after.blocked), others(&before.blocked));
        prop_assert_eq!(&after.completed[..before.completed.len()], &before.completed[..]);
        prop_assert_eq!(after.completed.len(), before.completed.len() + usize::from(changed));
    }

    #[test]
    fn completing_never_sets_progress_back(mut items in any_items(), done in prop::collection::vec("[a-g]", 0..8)) {
        let mut last = items.percent();
        for name in done {
            items.complete(&name);
            let now = items.percent();
            prop_assert!((0.0..=100.0).contains(&now));
            prop_assert!(now >= last, "{now} after {last}");
            last = now;
        }
    }

    #[test]
    fn the_order_of_completing_does_not_decide_what_is_completed(
        items in any_items(),
        done in prop::collection::vec("[a-g]", 0..8).prop_flat_map(|done| (Just(done.clone()), Just(done).prop_shuffle())),
    ) {
        let after = |done: &[String]| {
            let mut items = items.clone();
            for name in done {
                items.complete(name);
            }
            let mut completed: Vec<String> = items.completed.iter().map(Value::to_string).collect();
            completed.sort();
            (completed, items.in_progress, items.next, items.blocked)
        };
        prop_assert_eq!(after(&done.0), after(&done.1));
    }

    #[test]
    fn percent_is_full_only_when_nothing_is_left(completed in 0usize..20_000, left in 0usize..40_000) {
        let percent = percent(completed, left);
        prop_assert!((0.0..=100.0).contains(&percent));
        prop_assert_eq!(percent == 100.0, completed > 0 && left == 0);
        prop_assert_eq!(percent == 0.0, completed == 0);
    }

    #[test]
    fn parsing_never_panics(json in ".{0,60}") {
        let _ = parse_items(&json);
    }

    #[test]
    fn what_is_written_is_read_again(items in prop::collection::vec(item(), 0..6)) {
        prop_assert_eq!(parse_items(&Value::from(items.clone()).to_string()), Ok(items));
    }
}
