use super::*;

const AEGIS: &str = include_str!("../../../tests/data/aegis.json");
const STAGES_ROWS: &str = include_str!("../../../tests/data/memory_stages_rows.json");
const STAGES_BACKUP: &str = include_str!("../../../tests/data/memory_stages_backup.json");
const MEM0: &str = include_str!("../../../tests/data/mem0_results.json");
const OPENMEMORY_PAGE: &str = include_str!("../../../tests/data/openmemory_page.json");
const OPENMEMORY_LINE: &str = include_str!("../../../tests/data/openmemory.jsonl");
const LETTA_AGENTS: &str = include_str!("../../../tests/data/letta_agents.af");
const LETTA_EARLY: &str = include_str!("../../../tests/data/letta_early.af");
const LETTA_STRING: &str = include_str!("../../../tests/data/letta_string.af");
const LETTA_PASSAGES: &str = include_str!("../../../tests/data/letta_passages.json");
const LETTA_BLOCKS: &str = include_str!("../../../tests/data/letta_blocks.json");

const DOCUMENTS: &[(Format, &str)] = &[
    (Format::Guide, AEGIS),
    (Format::MemoryStages, STAGES_ROWS),
    (Format::MemoryStages, STAGES_BACKUP),
    (Format::Mem0, MEM0),
    (Format::Mem0, OPENMEMORY_PAGE),
    (Format::Mem0, OPENMEMORY_LINE),
    (Format::Letta, LETTA_AGENTS),
    (Format::Letta, LETTA_EARLY),
    (Format::Letta, LETTA_STRING),
    (Format::Letta, LETTA_PASSAGES),
    (Format::Letta, LETTA_BLOCKS),
];

#[track_caller]
fn converted(format: Format, text: &str) -> Converted<'_> {
    convert(
        format,
        text.as_bytes(),
        &Target::default(),
        &Options::default(),
    )
    .unwrap()
}

fn refused(format: Format, text: &str) -> LineError {
    convert(
        format,
        text.as_bytes(),
        &Target::default(),
        &Options::default(),
    )
    .unwrap_err()
}

fn skipped<'c>(converted: &'c Converted<'_>) -> Vec<(&'c str, u64)> {
    converted.skipped.iter().collect()
}

#[test]
fn formats_are_detected_from_their_beginning() {
    for (format, text) in DOCUMENTS {
        assert_eq!(detect(text.as_bytes()), Some(*format), "{text}");
        let with_mark = format!("\u{feff}\n{text}");
        assert_eq!(detect(with_mark.as_bytes()), Some(*format));
        // All that the formats are known by is in the first few hundred bytes.
        let most = text.len().min(600);
        let mut found = (0..most).filter_map(|end| detect(&text.as_bytes()[..end]));
        assert_eq!(found.next_back(), Some(*format), "{text}");
    }
    assert_eq!(detect(MEMORY_EXT.as_bytes()), Some(Format::MemoryExt));
    assert_eq!(
        detect(MEMORY_EXT.lines().nth(1).unwrap().as_bytes()),
        Some(Format::MemoryExt)
    );
    assert_eq!(detect(GUIDE.as_bytes()), Some(Format::Guide));
    for (text, format) in [
        (r#"{"keys":[{"key":"a","val"#, None),
        (
            r#"{"keys":[{"key":"a","value":"b"#,
            Some(Format::MemoryStages),
        ),
        (r#"{"key":"a","value":"b"}"#, Some(Format::MemoryStages)),
        (r#"{"results":[]}"#, Some(Format::Mem0)),
        (r#"[{"id":"1","memory":"long ago, wh"#, Some(Format::Mem0)),
        (r#"{"text":"a","created_at""#, Some(Format::Letta)),
        (r#"{"memories":[],"#, Some(Format::Guide)),
        (
            r#"{"id":"1","content":"x","importance":0.5}"#,
            Some(Format::MemoryExt),
        ),
        ("", None),
        ("[]", None),
        ("{}", None),
        ("null", None),
        ("12", None),
        ("\"text\"", None),
        ("\"", None),
        ("id,content\n1,x", None),
        ("[[{\"memory\":1}]]", None),
    ] {
        assert_eq!(detect(text.as_bytes()), format, "{text}");
    }
}

#[test]
fn the_export_of_aegis() {
    let read = converted(Format::Guide, AEGIS);
    assert!(read.skipped.is_empty());
    let [first, second] = read.records.as_slice() else {
        panic!("{read:?}")
    };
    assert_eq!(
        first.created_at.as_deref(),
        Some("2026-01-05T08:00:00.250000+00:00")
    );
    assert_eq!((first.bullet_helpful, first.bullet_harmful), (3, 1));
    assert_eq!(first.votes, None);
    assert_eq!(first.memory_type, "strategy");
    assert_eq!(first.embedding, Some(vec![0.25, -1.0, 1e-7]));
    assert_eq!(first.metadata.as_str(), r#"{"n": 1.50}"#);
    assert_eq!(second.namespace, "team");
    assert_eq!(
        second.metadata.as_str(),
        r#"{"aegis":{"trust_level":"verified"}}"#
    );
    // The same is refused where it should be this project's own.
    let error = refused(Format::MemoryExt, AEGIS);
    assert_eq!(error.field.as_deref(), Some("memories[1].trust_level"));
    assert_eq!(error.column, column(AEGIS, "\"verified\""));
    let elsewhere = Target {
        namespace: Some("elsewhere"),
        agent_id: None,
    };
    let line = GUIDE.lines().next().unwrap();
    let read = convert(
        Format::Guide,
        line.as_bytes(),
        &elsewhere,
        &Options::default(),
    )
    .unwrap();
    assert_eq!(read.records[0].namespace, "elsewhere");
}

#[test]
fn keys_of_memory_stages() {
    let read = converted(Format::MemoryStages, STAGES_ROWS);
    assert!(read.skipped.is_empty());
    let [first, alice, pin, deleted] = read.records.as_slice() else {
        panic!("{read:?}")
    };
    assert_eq!(first.key.as_deref(), Some("displayName"));
    assert_eq!(
        (first.content.as_ref(), first.namespace.as_ref()),
        ("Mira", "default")
    );
    assert_eq!(
        first.metadata.as_str(),
        r#"{"source":"user","memory_stages":{"casing":"preserve"}}"#
    );
    assert_eq!(
        first.updated_at.as_deref(),
        Some("2025-10-11T17:22:03.000000+00:00")
    );
    assert_eq!(first.created_at, first.updated_at);
    assert_eq!((first.scope.as_ref(), &first.agent_id), ("global", &None));
    // Two users have the same key.
    assert_eq!(
        (alice.namespace.as_ref(), alice.user_id.as_deref()),
        ("alice", Some("alice"))
    );
    assert_ne!(alice.id, first.id);
    assert_eq!(first.id.len(), 32);
    assert!(pin.is_sensitive && !first.is_sensitive);
    assert_eq!(pin.content, "0000");
    assert_eq!(deleted.content, "");
    assert_eq!(
        deleted.deleted_at.as_deref(),
        Some("2025-10-12T08:00:00.000000+00:00")
    );
    // Ids stay the same when the value changes.
    let later = STAGES_ROWS.replace("Mira", "Mira K.");
    assert_eq!(
        converted(Format::MemoryStages, &later).records[0].id,
        first.id
    );
}

#[test]
fn a_backup_of_memory_stages() {
    let read = converted(Format::MemoryStages, STAGES_BACKUP);
    assert_eq!(skipped(&read), [("events", 1), ("redacted values", 1)]);
    assert_eq!(read.records.len(), 1);
    assert_eq!(read.records[0].user_id, None);
    let page = r#"{"keys":[{"key":"a","value":"  ","casing":"lower","source":"api","updated_at":"2025-10-11T17:22:03","sensitive":false},{"key":"b","value":null}]}"#;
    let read = converted(Format::MemoryStages, page);
    assert_eq!(
        skipped(&read),
        [("blank values", 1), ("deleted keys without a time", 1)]
    );
    let target = Target {
        namespace: Some("old"),
        agent_id: Some("assistant"),
    };
    let row = br#"{"key":"a","value":"b"}"#;
    let read = convert(Format::MemoryStages, row, &target, &Options::default()).unwrap();
    let record = &read.records[0];
    assert_eq!(
        (
            record.namespace.as_ref(),
            record.scope.as_ref(),
            record.agent_id.as_deref()
        ),
        ("old", "agent-private", Some("assistant"))
    );
}

#[test]
fn memories_of_mem0() {
    let read = converted(Format::Mem0, MEM0);
    assert_eq!(
        skipped(&read),
        [
            ("relations", 1),
            ("further pages", 1),
            ("memories without text", 1)
        ]
    );
    let [first, second] = read.records.as_slice() else {
        panic!("{read:?}")
    };
    assert_eq!(first.id, "3c90c3cc-0d44-4b50-8888-8dd25736052a");
    assert_eq!(first.content, "Is a vegetarian");
    assert_eq!(first.user_id.as_deref(), Some("alex"));
    assert_eq!(
        first.created_at.as_deref(),
        Some("2025-08-15T13:59:39.529598+00:00")
    );
    assert_eq!(
        first.expires_at.as_deref(),
        Some("2030-02-01T00:00:00.000000+00:00")
    );
    assert_eq!(first.scope, "global");
    assert_eq!(
        first.metadata.as_str(),
        r#"{"mem0":{"categories":["user_preferences"],"immutable":false}}"#
    );
    assert_eq!(second.content, "Prefers \u{fc}ber-short answers");
    assert_eq!(second.session_id.as_deref(), Some("run-7"));
    assert_eq!(
        (second.scope.as_ref(), second.agent_id.as_deref()),
        ("agent-private", Some("support"))
    );
    // Its own metadata has a member of that name.
    assert_eq!(
        second.metadata.as_str(),
        r#"{"mem0":{"hash":"9e107d9d372bb6826bd81d3542a419d6","actor_id":"alex","role":"user","metadata":{"mem0": true, "n": 1.10}}}"#
    );
    let line = r#"{"memory":"a","metadata":"text","session_id":"s"}"#;
    let read = converted(Format::Mem0, line);
    assert_eq!(
        read.records[0].metadata.as_str(),
        r#"{"mem0":{"metadata":"text"}}"#
    );
    assert_eq!(read.records[0].session_id.as_deref(), Some("s"));
    assert_eq!(read.records[0].id.len(), 32);
    assert_eq!(
        converted(Format::Mem0, &format!("[{line}]")).records[0].id,
        read.records[0].id
    );
}

#[test]
fn memories_of_openmemory() {
    let read = converted(Format::Mem0, OPENMEMORY_PAGE);
    assert_eq!(skipped(&read), [("further pages", 2)]);
    let record = &read.records[0];
    assert_eq!(
        record.created_at.as_deref(),
        Some("2024-05-20T10:13:20.000000+00:00")
    );
    assert!(record.is_deprecated);
    assert_eq!(
        record.metadata.as_str(),
        r#"{"source_app":"openmemory","mem0":{"app_id":"0a1b2c3d-0000-4000-8000-00000000000a","app_name":"cursor","categories":["work"],"state":"paused"}}"#
    );
    let read = converted(Format::Mem0, OPENMEMORY_LINE);
    let record = &read.records[0];
    assert_eq!(
        record.deleted_at.as_deref(),
        Some("2025-05-21T10:13:20.000000+00:00")
    );
    assert!(!record.is_deprecated);
}

#[test]
fn an_agent_file_of_letta() {
    let read = converted(Format::Letta, LETTA_AGENTS);
    assert_eq!(
        skipped(&read),
        [
            ("agents", 2),
            ("messages", 2),
            ("blocks without text", 1),
            ("tools", 1)
        ]
    );
    let [persona, human, conventions] = read.records.as_slice() else {
        panic!("{read:?}")
    };
    assert_eq!(
        (
            persona.key.as_deref(),
            persona.namespace.as_ref(),
            persona.agent_id.as_deref()
        ),
        (Some("persona"), "Helper", Some("Helper"))
    );
    assert_eq!(
        (
            human.key.as_deref(),
            human.content.as_ref(),
            human.scope.as_ref()
        ),
        (Some("human"), "Name: Chad", "agent-private")
    );
    assert_eq!(human.namespace, "Loop");
    assert_eq!(human.id.len(), 32);
    assert_eq!(
        human.metadata.as_str(),
        r#"{"letta":{"limit":20000,"is_template":false,"read_only":false,"description":"About the user."}}"#
    );
    assert_eq!(
        (conventions.scope.as_ref(), conventions.agent_id.as_deref()),
        ("agent-shared", Some("Loop"))
    );
    assert_eq!(conventions.shared_with_agents, ["Helper"]);
    assert_eq!(
        conventions.metadata.as_str(),
        r#"{"team": "core","letta":{"limit":20000}}"#
    );
    let everything: String = read.records.iter().map(written).collect();
    assert!(!everything.contains("sk-secret"));
}

#[test]
fn early_agent_files_of_letta() {
    let read = converted(Format::Letta, LETTA_EARLY);
    assert_eq!(
        skipped(&read),
        [("agents", 1), ("messages", 1), ("tools", 2)]
    );
    let [persona, human] = read.records.as_slice() else {
        panic!("{read:?}")
    };
    assert_eq!(persona.agent_id.as_deref(), Some("memgpt_agent"));
    assert_eq!(
        persona.updated_at.as_deref(),
        Some("2025-04-02T03:47:27.000000+00:00")
    );
    assert_eq!(human.content, "\nFirst name: Chad\n");
    let in_a_string = converted(Format::Letta, LETTA_STRING);
    assert_eq!(in_a_string.records.len(), 2);
    assert_eq!(in_a_string.records[0].id, persona.id);
    assert_eq!(in_a_string.skipped, read.skipped);
}

#[test]
fn passages_and_blocks_of_letta() {
    let target = Target {
        namespace: None,
        agent_id: Some("Loop"),
    };
    let read = convert(
        Format::Letta,
        LETTA_PASSAGES.as_bytes(),
        &target,
        &Options::default(),
    )
    .unwrap();
    let [lisbon, trains] = read.records.as_slice() else {
        panic!("{read:?}")
    };
    assert_eq!(lisbon.id, "passage-123e4567-e89b-42d3-8456-426614174000");
    assert_eq!(
        (lisbon.agent_id.as_deref(), lisbon.namespace.as_ref()),
        (Some("Loop"), "Loop")
    );
    // The padding is gone.
    assert_eq!(lisbon.embedding, Some(vec![0.5, -0.25, 0.125]));
    assert_eq!(
        lisbon.metadata.as_str(),
        concat!(
            r#"{"source": "chat","letta":{"archive_id":"archive-123e4567-e89b-42d3-8456-426614174001","tags":["home"],"#,
            r#""embedding_config":{"embedding_dim": 3, "embedding_model": "tiny", "embedding_endpoint_type": "openai"}}}"#
        )
    );
    assert_eq!(
        trains.deleted_at.as_deref(),
        Some("2025-06-02T10:00:00.000000+00:00")
    );
    assert_eq!(trains.embedding, None);
    // Without a target the passage says it.
    let read = converted(Format::Letta, LETTA_PASSAGES);
    assert_eq!(read.records[0].scope, "global");
    assert_eq!(read.records[1].agent_id.as_deref(), Some("agent-9"));
    let read = converted(Format::Letta, LETTA_BLOCKS);
    assert_eq!(
        read.records[0].id,
        "block-123e4567-e89b-42d3-8456-426614174002"
    );
    assert_eq!(read.records[0].key.as_deref(), Some("human"));
}

#[test]
fn errors_of_foreign_texts_name_the_element() {
    for (format, text, field, part, reason) in [
        (
            Format::Mem0,
            r#"{"results":[{"memory":"a"},{"memory":7}]}"#,
            "results[1].memory",
            "7",
            "results[1].memory is a number, expected a string",
        ),
        (
            Format::Mem0,
            r#"[{"memory":"a","created_at":"soon"}]"#,
            "[0].created_at",
            "\"soon",
            "[0].created_at is not a point in time of the years 1 to 9999 such as 2024-01-15T10:30:00Z",
        ),
        (
            Format::Mem0,
            r#"{"results":{"memory":"a"}}"#,
            "results",
            "{\"memory",
            "results is an object, expected an array",
        ),
        (
            Format::Mem0,
            r#"[{"memory":"a","id":""}]"#,
            "[0].id",
            "{",
            "[0].id has 0 bytes, expected 1 to 255",
        ),
        (
            Format::Mem0,
            r#"[{"memory":"a","x":"\u0000"}]"#,
            "[0].x",
            "\\u0000",
            "[0].x has a NUL character in it",
        ),
        (
            Format::MemoryStages,
            r#"[{"value":"b"}]"#,
            "[0].key",
            "{",
            "[0].key is missing",
        ),
        (
            Format::MemoryStages,
            r#"[{"key":"a","key":"b","value":"c"}]"#,
            "[0].\"key\"",
            "\"b\"",
            "[0].\"key\" comes twice in one object",
        ),
        (
            Format::MemoryStages,
            r#"[{"key":"a","value":"c","sensitive":2}]"#,
            "[0].sensitive",
            "2",
            "[0].sensitive is a number, expected true or false",
        ),
        (
            Format::Letta,
            r#"{"agents":[{"name":"a","memory_blocks":[{"value":1}]}]}"#,
            "agents[0].memory_blocks[0].value",
            "1}",
            "agents[0].memory_blocks[0].value is a number, expected a string",
        ),
        (
            Format::Letta,
            r#"[{"name":"a"}]"#,
            "[0]",
            "{",
            "[0]: neither a passage (text) nor a block (value) of Letta",
        ),
        (
            Format::Guide,
            r#"[{"id":"1","content":"x"},3]"#,
            "[1]",
            "3",
            "[1]: got a number, expected an object",
        ),
    ] {
        let error = refused(format, text);
        assert_eq!(
            (error.field.as_deref(), error.column, error.reason.as_str()),
            (Some(field), column(text, part), reason),
            "for {text}"
        );
    }
    let error = refused(Format::Letta, "7");
    assert_eq!(error.reason, "got a number, expected an object");
}

#[test]
fn a_text_cut_anywhere_is_an_error() {
    for (format, text) in DOCUMENTS {
        let text = text.trim_end();
        for end in 1..text.len() {
            let error = convert(
                *format,
                &text.as_bytes()[..end],
                &Target::default(),
                &Options::default(),
            )
            .unwrap_err();
            assert!(
                matches!(error.kind, ErrorKind::Truncated | ErrorKind::NotUtf8),
                "{error:?}"
            );
        }
    }
    for format in Format::ALL {
        assert!(converted(*format, " \n").records.is_empty());
    }
}

#[test]
fn what_is_skipped_adds_up() {
    let mut total = Skipped::default();
    total.extend(&converted(Format::Letta, LETTA_EARLY).skipped);
    total.extend(&converted(Format::Letta, LETTA_AGENTS).skipped);
    let total: Vec<_> = total.iter().collect();
    assert_eq!(
        total,
        [
            ("agents", 3),
            ("messages", 3),
            ("tools", 3),
            ("blocks without text", 1)
        ]
    );
}
