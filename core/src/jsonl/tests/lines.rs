use std::borrow::Cow;

use super::*;

#[test]
fn the_lines_of_the_operations_guide() {
    let mut lines = GUIDE.lines();
    let mut first = Record::new("abc123", "Memory content");
    first.agent_id = Some("assistant".into());
    first.scope = "agent-private".into();
    first.created_at = Some("2024-01-15T10:30:00.000000+00:00".into());
    assert!(record(lines.next().unwrap()) == first);
    let second = record(lines.next().unwrap());
    assert_eq!(second.scope, "global");
    assert_eq!(second.metadata.as_str(), r#"{"type":"reflection"}"#);
}

#[test]
fn every_field() {
    let mut lines = MEMORY_EXT.lines();
    let header = Header {
        format: 1,
        extension_version: Some("2.0.0".into()),
        exported_at: Some("2026-03-01T00:00:00.000000+00:00".into()),
        embedder: Some("hash".into()),
        dimensions: Some(3),
        ..Header::default()
    };
    assert_eq!(parse(lines.next().unwrap()), Ok(Line::Header(header)));
    let full = record(lines.next().unwrap());
    assert_eq!(full.content, "Caf\u{e9} closes at 22:00\nask \"Jo\"");
    assert_eq!(
        full.metadata.as_str(),
        r#"{"n":12345678901234567890.10,"z":[1,{"k":null}],"a":"\ud83d\ude00"}"#
    );
    assert_eq!(
        full.created_at.as_deref(),
        Some("2026-02-01T09:00:00.000000+00:00")
    );
    assert_eq!(
        full.updated_at.as_deref(),
        Some("2026-02-02T10:00:00.123457+00:00")
    );
    assert_eq!(
        full.expires_at.as_deref(),
        Some("9999-12-31T23:59:59.999999+00:00")
    );
    assert_eq!(full.shared_with_agents, ["a2", "a3"]);
    assert_eq!(full.importance, 0.7);
    assert_eq!(full.embedding, Some(vec![0.1, -1.5e-7, 1.0]));
    let votes = full.votes.as_ref().unwrap();
    assert_eq!(votes.len(), 3);
    assert_eq!(votes[1].merged_from.as_deref(), Some("older"));
    assert_eq!(votes[1].created_at, None);
    assert_eq!(full.embedded_hash.unwrap()[31], 15);
    assert!(!full.is_deduplicated && full.is_deprecated);
    assert!(record(lines.next().unwrap()) == Record::new("2", "x"));
}

#[test]
fn the_line_that_is_written() {
    let full = record(MEMORY_EXT.lines().nth(1).unwrap());
    let line = written(&full);
    assert_eq!(
        line,
        concat!(
            r#"{"id":"0195a0000000700080000000000000aa","content":"Caf"#,
            "\u{e9}",
            r#" closes at 22:00\nask \"Jo\"","agent_id":"a1","namespace":"team","scope":"agent-shared","#,
            r#""metadata":{"n":12345678901234567890.10,"z":[1,{"k":null}],"a":"\ud83d\ude00"},"#,
            r#""created_at":"2026-02-01T09:00:00.000000+00:00","updated_at":"2026-02-02T10:00:00.123457+00:00","#,
            r#""expires_at":"9999-12-31T23:59:59.999999+00:00","project_id":"p1","#,
            r#""content_hash":"107c4c257e9e82cca0263a8acc514f4ae596a6987d7ce7d076abe9b56f9d48e1","#,
            r#""user_id":"u","session_id":"s","entity_id":"e","shared_with_agents":["a2","a3"],"#,
            r#""memory_type":"strategy","key":"cafe.hours","is_deduplicated":false,"importance":0.7,"version":4,"#,
            r#""is_deprecated":true,"deprecated_at":"2026-02-03T00:00:00.000000+00:00","deprecated_by":"a1","#,
            r#""superseded_by":"other","bullet_helpful":2,"bullet_harmful":1,"error_pattern":"E1","#,
            r#""source_trajectory_id":"t1","votes":[{"id":"v1","voter_agent_id":"a1","vote":"helpful","context":"good","#,
            r#""created_at":"2026-02-01T10:00:00.000000+00:00","updated_at":"2026-02-01T10:00:00.000000+00:00"},"#,
            r#"{"id":"v2","voter_agent_id":"a1","vote":"harmful","task_id":"t","merged_from":"older"},"#,
            r#"{"id":"v3","voter_agent_id":"a2","vote":"helpful"}],"embedding":[0.1,-1.5e-7,1.0],"#,
            r#""embedded_hash":"000000000000000000000000000000000000000000000000000000000000000f"}"#,
        )
    );
    assert_eq!(
        written(&Record::new("2", "x")),
        r#"{"id":"2","content":"x","namespace":"default","scope":"global","metadata":{}}"#
    );
}

#[test]
fn a_header_that_is_written() {
    let mut out = Vec::new();
    let header = Header {
        format: FORMAT,
        extension_version: Some(Cow::Borrowed("2.0.0")),
        exported_at: None,
        embedder: Some("a \"b\"".into()),
        dimensions: Some(384),
        ..Header::default()
    };
    write_header(&header, &mut out);
    let line = String::from_utf8(out).unwrap();
    assert_eq!(
        line,
        r#"{"memory_ext_export":{"format":1,"extension_version":"2.0.0","embedder":"a \"b\"","dimensions":384}}"#
    );
    assert_eq!(parse(&line), Ok(Line::Header(header)));
}

#[test]
fn headers() {
    for (line, kind, field, reason) in [
        (
            r#"{"memory_ext_export":{"format":2,"lines":"are different"}}"#,
            ErrorKind::UnknownFormat,
            "memory_ext_export.format",
            "memory_ext_export.format is newer than 1, the newest that this version can read",
        ),
        (
            r#"{"memory_ext_export":{"format":99999999999999999999}}"#,
            ErrorKind::UnknownFormat,
            "memory_ext_export.format",
            "memory_ext_export.format is newer than 1, the newest that this version can read",
        ),
        (
            r#"{"memory_ext_export":{"format":0}}"#,
            ErrorKind::BadValue,
            "memory_ext_export.format",
            "memory_ext_export.format is 0, the first format is 1",
        ),
        (
            r#"{"memory_ext_export":{"format":"1"}}"#,
            ErrorKind::WrongType,
            "memory_ext_export.format",
            "memory_ext_export.format is a string, expected a whole number",
        ),
        (
            r#"{"memory_ext_export":{"format":1.0}}"#,
            ErrorKind::BadValue,
            "memory_ext_export.format",
            "memory_ext_export.format is not a whole number in the range of its type",
        ),
        (
            r#"{"memory_ext_export":{}}"#,
            ErrorKind::MissingField,
            "memory_ext_export.format",
            "memory_ext_export.format is missing",
        ),
        (
            r#"{"memory_ext_export":[1]}"#,
            ErrorKind::WrongType,
            "memory_ext_export",
            "memory_ext_export is an array, expected an object",
        ),
        (
            r#"{"memory_ext_export":{"format":1},"id":"1"}"#,
            ErrorKind::BadValue,
            "memory_ext_export",
            "memory_ext_export is not alone on its line",
        ),
        (
            r#"{"memory_ext_export":{"format":1,"dimensions":-1}}"#,
            ErrorKind::BadValue,
            "memory_ext_export.dimensions",
            "memory_ext_export.dimensions is not a whole number in the range of its type",
        ),
    ] {
        let error = parse(line).unwrap_err();
        assert_eq!(
            (error.kind, error.field.as_deref(), error.reason.as_str()),
            (kind, Some(field), reason),
            "for {line}"
        );
    }
    // What a later version says besides does not matter, the number does.
    let line = r#"{"memory_ext_export":{"format":1,"host":{"a":[1]}}}"#;
    assert!(matches!(parse(line), Ok(Line::Header(_))));
}

#[test]
fn blank_lines_and_line_ends() {
    for blank in ["", "\n", " \t\r\n", "\u{feff}\n"] {
        assert_eq!(parse(blank), Ok(Line::Blank), "{blank:?}");
    }
    let line = "\u{feff} {\"id\":\"2\",\"content\":\"x\"}\r\n";
    assert!(record(line) == Record::new("2", "x"));
}

#[test]
fn null_is_left_out() {
    let nulls: Vec<String> = FIELDS
        .iter()
        .filter(|name| !["id", "content"].contains(name))
        .map(|name| format!("\"{name}\":null"))
        .collect();
    let line = format!("{{\"id\":\"2\",\"content\":\"x\",{}}}", nulls.join(","));
    assert!(record(&line) == Record::new("2", "x"));
}

#[test]
fn without_a_scope_the_arguments_decide() {
    for (fields, scope) in [
        ("", "global"),
        (r#","agent_id":"a""#, "agent-private"),
        (
            r#","agent_id":"a","shared_with_agents":["b"]"#,
            "agent-shared",
        ),
        (
            r#","agent_id":"a","shared_with_agents":[]"#,
            "agent-private",
        ),
        (r#","agent_id":"a","scope":"global""#, "global"),
    ] {
        let line = format!(r#"{{"id":"2","content":"x"{fields}}}"#);
        assert_eq!(record(&line).scope, scope, "{line}");
    }
}

#[test]
fn every_kind_of_error_names_field_and_column() {
    let cases = [
        (
            r#"{"id":1,"content":"x"}"#,
            ErrorKind::WrongType,
            Some("id"),
            "1,",
            "id is a number, expected a string",
        ),
        (
            r#"{"id":"1","content":["x"]}"#,
            ErrorKind::WrongType,
            Some("content"),
            "[",
            "content is an array, expected a string",
        ),
        (
            r#"{"id":"1","content":"x","is_sensitive":"yes"}"#,
            ErrorKind::WrongType,
            Some("is_sensitive"),
            "\"yes",
            "is_sensitive is a string, expected true or false",
        ),
        (
            r#"{"id":"1","content":"x","metadata":"{}"}"#,
            ErrorKind::WrongType,
            Some("metadata"),
            "\"{}",
            "metadata is a string, expected an object",
        ),
        (
            r#"{"id":"1","content":"x","version":1.5}"#,
            ErrorKind::BadValue,
            Some("version"),
            "1.5",
            "version is not a whole number in the range of its type",
        ),
        (
            r#"{"id":"1","content":"x","created_at":1705314600}"#,
            ErrorKind::WrongType,
            Some("created_at"),
            "1705",
            "created_at is a number, expected a string",
        ),
        (
            r#"{"id":"1","content":"x","created_at":"yesterday"}"#,
            ErrorKind::BadValue,
            Some("created_at"),
            "\"yest",
            "created_at is not a point in time of the years 1 to 9999 such as 2024-01-15T10:30:00Z",
        ),
        (
            r#"{"id":"1","content":"x","shared_with_agents":["a", 2]}"#,
            ErrorKind::WrongType,
            Some("shared_with_agents[1]"),
            "2]",
            "shared_with_agents[1] is a number, expected a string",
        ),
        (
            r#"{"id":"1","content":"x","embedding":[0.5, "a,b"]}"#,
            ErrorKind::WrongType,
            Some("embedding[1]"),
            "\"a,b",
            "embedding[1] is a string, expected a number",
        ),
        (
            r#"{"id":"1","content":"x","embedding":[0.5, [1]]}"#,
            ErrorKind::WrongType,
            Some("embedding[1]"),
            "[1]",
            "embedding[1] is an array, expected a number",
        ),
        (
            r#"{"id":"1","content":"x","embedding":[1e39]}"#,
            ErrorKind::BadValue,
            Some("embedding[0]"),
            "1e39",
            "embedding[0] is out of the range of a 32-bit float",
        ),
        (
            r#"{"id":"1","content":"x","votes":[{"voter_agent_id":"a","vote":"helpful"},{"vote":"helpful"}]}"#,
            ErrorKind::MissingField,
            Some("votes[1].voter_agent_id"),
            "{\"vote\"",
            "votes[1].voter_agent_id is missing",
        ),
        (
            r#"{"id":"1","content":"x","votes":[7]}"#,
            ErrorKind::WrongType,
            Some("votes[0]"),
            "7",
            "votes[0]: a vote is a number, expected an object",
        ),
        (
            r#"{"id":"1","content":"x","votes":[{"voter":"a"}]}"#,
            ErrorKind::UnknownField,
            Some("votes[0].voter"),
            "\"a\"",
            "votes[0].\"voter\" is not a field of a vote",
        ),
        (
            r#"{"id":"1","content":"x","content":"y"}"#,
            ErrorKind::DuplicateField,
            Some("content"),
            "\"y",
            "content comes twice in one object",
        ),
        (
            r#"{"id":"1","content":"x","user_id":null,"user_id":null}"#,
            ErrorKind::DuplicateField,
            Some("user_id"),
            "null}",
            "user_id comes twice in one object",
        ),
        (
            r#"{"id":"1","content":"x","memory_typ":"standard"}"#,
            ErrorKind::UnknownField,
            Some("memory_typ"),
            "\"standard",
            "\"memory_typ\" is not a field of a memory, did you mean memory_type",
        ),
        (
            r#"{"id":"1","content":"x","zzzzzzzz":0}"#,
            ErrorKind::UnknownField,
            Some("zzzzzzzz"),
            "0}",
            "\"zzzzzzzz\" is not a field of a memory",
        ),
        (
            r#"{"id":"1","content":"x","content_hash":"abc"}"#,
            ErrorKind::BadValue,
            Some("content_hash"),
            "\"abc",
            "content_hash has 3 bytes, expected 64 hexadecimal digits",
        ),
        (
            r#"{"content":"x"}"#,
            ErrorKind::MissingField,
            Some("id"),
            "{",
            "id is missing",
        ),
        (
            r#"{"id":"1","content":null}"#,
            ErrorKind::MissingField,
            Some("content"),
            "{",
            "content is missing",
        ),
        (
            r#"{"id":"1","content":"x","scope":"everybody, and a good deal more than forty characters"}"#,
            ErrorKind::BadValue,
            Some("scope"),
            "\"everybody",
            "scope is \"everybody, and a good deal more than for\"..., expected one of agent-private, agent-shared, global",
        ),
        (
            r#"[{"id":"1"}]"#,
            ErrorKind::WrongType,
            None,
            "[",
            "got an array, expected an object",
        ),
        (
            r#"{"id":"1","content":"x"} {}"#,
            ErrorKind::NotJson,
            None,
            "{}",
            "not valid JSON: trailing characters",
        ),
        (
            r#"{'id':'1'}"#,
            ErrorKind::NotJson,
            None,
            "'id",
            "not valid JSON: key must be a string",
        ),
        (
            r#"{"id":"1","content":nope}"#,
            ErrorKind::NotJson,
            None,
            "ope",
            "not valid JSON: expected ident",
        ),
        (
            r#"{"id":"1","content":"x"#,
            ErrorKind::Truncated,
            None,
            "x",
            "the JSON text ends before it is complete",
        ),
    ];
    for (line, kind, field, part, reason) in cases {
        assert_refused(line, kind, field, column(line, part), reason);
    }
}

#[test]
fn unknown_fields_go_where_the_options_say() {
    let options = Options {
        unknown_into: Some("other"),
        ..Options::default()
    };
    let read = |line: &str| match parse_line(line.as_bytes(), &options) {
        Ok(Line::Record(record)) => Ok(record.metadata.as_str().to_owned()),
        Ok(other) => panic!("{other:?}"),
        Err(error) => Err((error.column, error.reason)),
    };
    let line = |fields: &str| format!(r#"{{"id":"1","content":"x"{fields}}}"#);
    assert_eq!(read(&line("")), Ok("{}".to_owned()));
    assert_eq!(
        read(&line(r#","tag":"a","n":[1.50,{"k":null}]"#)),
        Ok(r#"{"other":{"tag":"a","n":[1.50,{"k":null}]}}"#.to_owned())
    );
    assert_eq!(
        read(&line(r#","n":1,"metadata": { "a" : 1 }"#)),
        Ok(r#"{ "a" : 1 ,"other":{"n":1}}"#.to_owned())
    );
    assert_eq!(
        read(&line(r#","metadata":{ },"n":1"#)),
        Ok(r#"{ "other":{"n":1}}"#.to_owned())
    );
    assert_eq!(
        read(&line(r#","metadata":{"other":1},"n":1"#)),
        Ok(r#"{"other":{"n":1,"metadata":{"other":1}}}"#.to_owned())
    );
    let twice = line(r#","n":1,"n":2"#);
    assert_eq!(
        read(&twice),
        Err((
            column(&twice, "2}"),
            "\"n\" comes twice in one object".to_owned()
        ))
    );
    let nul = line(r#","n":"\u0000""#);
    assert_eq!(
        read(&nul),
        Err((
            column(&nul, "\\u0000"),
            "n has a NUL character in it".to_owned()
        ))
    );
}

#[test]
fn formats_have_names() {
    for format in Format::ALL {
        assert_eq!(Format::named(format.name()), Some(*format));
    }
    assert_eq!(Format::named("jsonl"), None);
}

#[test]
fn the_line_at_the_end_says_how_many_there_were() {
    for (header, line) in [
        (
            Header {
                format: FORMAT,
                is_counted: true,
                ..Header::default()
            },
            r#"{"memory_ext_export":{"format":1,"counted":true}}"#,
        ),
        (
            Header {
                format: FORMAT,
                memories: Some(0),
                ..Header::default()
            },
            r#"{"memory_ext_export":{"format":1,"memories":0}}"#,
        ),
    ] {
        let mut out = Vec::new();
        write_header(&header, &mut out);
        assert_eq!(std::str::from_utf8(&out).unwrap(), line);
        assert_eq!(
            parse_line(&out, &Options::default()),
            Ok(Line::Header(header))
        );
    }
}
