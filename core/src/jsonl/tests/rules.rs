use super::*;
use crate::text::content_hash;

fn valid() -> Record<'static> {
    Record::new("1", "some text")
}

#[track_caller]
fn assert_invalid(change: impl FnOnce(&mut Record<'static>), field: &str, reason: &str) {
    let mut record = valid();
    change(&mut record);
    let invalid = validate(&record).unwrap_err();
    assert_eq!(
        (invalid.field.as_str(), invalid.reason.as_str()),
        (field, reason)
    );
}

#[track_caller]
fn assert_valid(change: impl FnOnce(&mut Record<'static>)) {
    let mut record = valid();
    change(&mut record);
    assert_eq!(validate(&record), Ok(()));
}

fn vote(voter: &'static str, task: Option<&'static str>, vote: &'static str) -> Vote<'static> {
    Vote {
        id: None,
        voter_agent_id: voter.into(),
        vote: vote.into(),
        context: None,
        task_id: task.map(Into::into),
        created_at: None,
        updated_at: None,
        merged_from: None,
    }
}

#[test]
fn names_have_the_lengths_of_the_table() {
    assert_valid(|record| record.key = Some("k".repeat(255).into()));
    assert_valid(|record| record.memory_type = "t".repeat(64).into());
    let two_bytes = "\u{e9}".repeat(128);
    assert_invalid(
        |record| record.id = two_bytes.into(),
        "id",
        "id has 256 bytes, expected 1 to 255",
    );
    assert_invalid(
        |record| record.namespace = "".into(),
        "namespace",
        "namespace has 0 bytes, expected 1 to 255",
    );
    assert_invalid(
        |record| record.memory_type = "t".repeat(65).into(),
        "memory_type",
        "memory_type has 65 bytes, expected 1 to 64",
    );
    assert_invalid(
        |record| record.shared_with_agents = vec!["a".into(), "".into()],
        "shared_with_agents[1]",
        "shared_with_agents[1] has 0 bytes, expected 1 to 255",
    );
    for set in [
        (|record: &mut Record<'static>| record.project_id = Some("".into())) as fn(&mut _),
        |record| record.agent_id = Some("".into()),
        |record| record.user_id = Some("".into()),
        |record| record.session_id = Some("".into()),
        |record| record.entity_id = Some("".into()),
        |record| record.key = Some("".into()),
    ] {
        let mut record = valid();
        set(&mut record);
        assert!(validate(&record).is_err());
    }
}

#[test]
fn no_text_has_a_nul() {
    for set in [
        (|record: &mut Record<'static>| record.content = "a\0".into()) as fn(&mut _),
        |record| record.key = Some("a\0".into()),
        |record| record.deprecated_by = Some("a\0".into()),
        |record| record.superseded_by = Some("a\0".into()),
        |record| record.error_pattern = Some("a\0".into()),
        |record| record.source_trajectory_id = Some("a\0".into()),
        |record| record.shared_with_agents = vec!["a\0".into()],
    ] {
        let mut record = valid();
        set(&mut record);
        let invalid = validate(&record).unwrap_err();
        assert!(
            invalid.reason.ends_with("has a NUL character in it"),
            "{invalid}"
        );
    }
}

#[test]
fn a_live_memory_has_text() {
    assert_invalid(
        |record| record.content = " \u{200b}".into(),
        "content",
        "content is blank",
    );
    assert_valid(|record| {
        record.content = "".into();
        record.deleted_at = Some("2024-01-15T10:30:00.000000+00:00".into());
    });
}

#[test]
fn a_hash_tells_a_damaged_line() {
    assert_valid(|record| record.content_hash = Some(content_hash("  some\ttext ")));
    assert_invalid(
        |record| record.content_hash = Some(content_hash("some texts")),
        "content_hash",
        "content_hash is not the hash of the content: the line is damaged or was edited",
    );
}

#[test]
fn numbers_are_in_range() {
    for importance in [1.5, -0.1, f32::NAN, f32::INFINITY] {
        assert_invalid(
            |record| record.importance = importance,
            "importance",
            "importance is not a number from 0 to 1",
        );
    }
    assert_valid(|record| record.importance = 1.0);
    assert_invalid(
        |record| record.version = 0,
        "version",
        "version is less than 1",
    );
    assert_invalid(
        |record| record.bullet_harmful = -1,
        "bullet_harmful",
        "bullet_harmful is negative",
    );
    assert_invalid(
        |record| record.scope = "public\u{7}".into(),
        "scope",
        "scope is \"public\\u0007\", expected one of agent-private, agent-shared, global",
    );
    assert_invalid(
        |record| record.expires_at = Some("2024-01-15T10:30:00Z".into()),
        "expires_at",
        "expires_at is not a point in time of the years 1 to 9999 such as 2024-01-15T10:30:00Z",
    );
}

#[test]
fn a_vector_can_be_compared() {
    let refused = |vector: Vec<f32>| {
        let mut record = valid();
        record.embedding = Some(vector);
        validate(&record).unwrap_err().reason
    };
    assert_eq!(
        refused(vec![]),
        "embedding has 0 dimensions, expected 1 to 16000"
    );
    assert_eq!(
        refused(vec![1.0; 16_001]),
        "embedding has 16001 dimensions, expected 1 to 16000"
    );
    assert_eq!(
        refused(vec![0.0, -0.0]),
        "embedding is the zero vector, which has no direction to compare"
    );
    assert_eq!(
        refused(vec![1.0, f32::NAN]),
        "embedding has a number that is not finite"
    );
    assert_valid(|record| record.embedding = Some(vec![1.0; 16_000]));
    assert_invalid(
        |record| {
            record.embedding = Some(vec![1.0]);
            record.is_sensitive = true;
        },
        "embedding",
        "embedding is given for a sensitive memory, which is never embedded",
    );
    assert_invalid(
        |record| record.embedded_hash = Some([0; 32]),
        "embedded_hash",
        "embedded_hash is given without an embedding",
    );
}

#[test]
fn votes_agree_with_the_counters() {
    assert_valid(|record| {
        record.bullet_helpful = 7;
        record.bullet_harmful = 2;
    });
    assert_valid(|record| record.votes = Some(vec![]));
    assert_valid(|record| {
        record.bullet_helpful = 2;
        record.bullet_harmful = 1;
        record.votes = Some(vec![
            vote("a", None, "helpful"),
            vote("a", Some("t"), "harmful"),
            vote("b", None, "helpful"),
        ]);
    });
    assert_valid(|record| {
        record.bullet_helpful = 2;
        record.votes = Some(vec![vote("a", None, "helpful")]);
    });
    assert_invalid(
        |record| {
            record.bullet_helpful = 1;
            record.votes = Some(vec![vote("a", None, "helpful"), vote("b", None, "helpful")]);
        },
        "bullet_helpful",
        "bullet_helpful is 1, but there are 2 such votes",
    );
    assert_invalid(
        |record| {
            record.bullet_helpful = 2;
            record.votes = Some(vec![vote("a", None, "helpful"), vote("a", None, "helpful")]);
        },
        "votes[1]",
        "votes[1] has a second vote of the same agent for the same task",
    );
    assert_invalid(
        |record| record.votes = Some(vec![vote("a", None, "great")]),
        "votes[0].vote",
        "votes[0].vote is \"great\", expected helpful or harmful",
    );
    assert_invalid(
        |record| record.votes = Some(vec![vote("", None, "helpful")]),
        "votes[0].voter_agent_id",
        "votes[0].voter_agent_id has 0 bytes, expected 1 to 255",
    );
    assert_invalid(
        |record| {
            let with_id = |voter| Vote {
                id: Some("v".into()),
                ..vote(voter, None, "helpful")
            };
            record.bullet_helpful = 2;
            record.votes = Some(vec![with_id("a"), with_id("b")]);
        },
        "votes[1].id",
        "votes[1].id is the id of an earlier vote",
    );
    // Votes that were only counted, before a system kept them.
    assert_valid(|record| {
        record.bullet_helpful = 1;
        record.votes = Some(Vec::new());
    });
    let line = r#"{"id":"1","content":"x","bullet_helpful":0,"votes":[{"voter_agent_id":"a","vote":"helpful","created_at":"2026-01-01T00:00:00Z"}]}"#;
    assert_refused(
        line,
        ErrorKind::BadValue,
        Some("bullet_helpful"),
        column(line, "0,\"votes"),
        "bullet_helpful is 0, but there are 1 such votes",
    );
}

#[test]
fn a_scope_that_is_not_everybodys_has_an_agent() {
    assert_invalid(
        |record| record.scope = "agent-private".into(),
        "scope",
        "scope is \"agent-private\", but there is no agent_id: nobody could ever read the memory",
    );
    assert_invalid(
        |record| {
            record.scope = "agent-shared".into();
            record.shared_with_agents = vec!["b".into()];
        },
        "scope",
        "scope is \"agent-shared\", but there is no agent_id: nobody could ever read the memory",
    );
    assert_valid(|record| {
        record.scope = "agent-private".into();
        record.agent_id = Some("a".into());
    });
}

#[test]
fn versions_leave_room_for_more() {
    assert_valid(|record| record.version = 1 << 30);
    assert_invalid(
        |record| record.version = (1 << 30) + 1,
        "version",
        "version is over 1073741824, which leaves too few for its changes",
    );
}

#[test]
fn a_change_comes_after_the_beginning() {
    let times = |created_at: &'static str, updated_at: &'static str| {
        move |record: &mut Record<'static>| {
            record.created_at = Some(created_at.into());
            record.updated_at = Some(updated_at.into());
        }
    };
    let (noon, one) = (
        "2024-01-01T12:00:00.000000+00:00",
        "2024-01-01T13:00:00.000000+00:00",
    );
    assert_valid(times(noon, one));
    assert_valid(times(one, noon));
    assert_invalid(
        times("2024-01-01T13:00:00.000001+00:00", noon),
        "updated_at",
        "updated_at is before created_at",
    );
}

#[test]
fn flags_are_kinds_of_findings() {
    assert_valid(|record| record.content_flags = vec!["secret:jwt".into()]);
    for wrong in ["made:up", "pii", "secret:email", "PII:email"] {
        assert_invalid(
            |record| record.content_flags = vec!["pii:email".into(), wrong.into()],
            "content_flags[1]",
            "content_flags[1] names no kind of finding of this version",
        );
    }
}

#[test]
fn what_says_nothing_is_left_out() {
    let read = record(
        r#"{"id":"1","content":"x","agent_id":"a","scope":"agent-private","shared_with_agents":["b"],"is_sensitive":true,"content_flags":["pii:email"],"deprecated_at":"2024-01-01T00:00:00Z","deprecated_by":"a"}"#,
    );
    assert!(read.shared_with_agents.is_empty() && read.content_flags.is_empty());
    assert_eq!((read.deprecated_at, read.deprecated_by), (None, None));
}
