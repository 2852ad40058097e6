use proptest::prelude::*;

use super::*;

const SECRET: &str = "hunter2-do-not-show";

#[test]
fn bytes_that_are_not_utf_8_have_a_column() {
    let mut line = br#"{"id":"1","content":"caf\u00e9 "#.to_vec();
    let column = line.len() + 1;
    line.extend_from_slice(b"\xe9\"}");
    let error = parse_line(&line, &Options::default()).unwrap_err();
    assert_eq!((error.kind, error.column), (ErrorKind::NotUtf8, column));
    assert_eq!(error.reason, "the text is not UTF-8");
}

#[test]
fn long_lines_are_refused_unread() {
    let options = Options {
        max_bytes: 30,
        ..Options::default()
    };
    assert!(parse_line(br#"{"id":"1","content":"123456"}"#, &options).is_ok());
    let error = parse_line(&[b'x'; 31], &options).unwrap_err();
    assert_eq!((error.kind, error.column), (ErrorKind::TooLong, 31));
    assert_eq!(error.reason, "the text has 31 bytes, over the limit of 30");
    assert!(convert(Format::Mem0, &[b'x'; 31], &Target::default(), &options).is_err());
}

/// What a line says of sizes is believed of nothing.
#[test]
fn claims_cost_nothing() {
    let line = r#"{"memory_ext_export":{"format":1,"dimensions":4294967295}}"#;
    assert!(matches!(parse(line), Ok(Line::Header(_))));
    assert!(parse(r#"{"memory_ext_export":{"format":1,"dimensions":1e9}}"#).is_err());
    assert!(parse(r#"{"id":"1","content":"x","version":1073741824}"#).is_ok());
    assert!(parse(r#"{"id":"1","content":"x","version":2147483648}"#).is_err());
}

#[test]
fn deep_nesting_is_an_error() {
    let nested = |levels: usize| {
        format!(
            r#"{{"id":"1","content":"x","metadata":{{"a":{}{}}}}}"#,
            "[".repeat(levels),
            "]".repeat(levels)
        )
    };
    assert!(parse(&nested(MAX_DEPTH - 2)).is_ok());
    let line = nested(MAX_DEPTH - 1);
    let error = parse(&line).unwrap_err();
    assert_eq!(
        (error.kind, error.field.as_deref(), error.column),
        (
            ErrorKind::TooDeep,
            Some("metadata"),
            column(&line, "[") + MAX_DEPTH - 2
        )
    );
    assert_eq!(
        error.reason,
        "metadata makes the line deeper than 127 levels"
    );
    for field in [
        "metadata",
        "content",
        "votes",
        "embedding",
        "unheard_of",
        "memory_ext_export",
    ] {
        for open in ["[", "{\"a\":"] {
            let deep = open.repeat(10_000);
            let closed = match open {
                "[" => "]".repeat(10_000),
                _ => format!("1{}", "}".repeat(10_000)),
            };
            for line in [
                format!(r#"{{"id":"1","content":"x","{field}":{deep}{closed}}}"#),
                format!(r#"{{"id":"1","content":"x","{field}":{deep}"#),
            ] {
                assert!(parse(&line).is_err());
                let options = Options {
                    unknown_into: Some("other"),
                    ..Options::default()
                };
                assert!(parse_line(line.as_bytes(), &options).is_err());
            }
        }
    }
    for format in Format::ALL {
        for text in ["[".repeat(100_000), "{\"results\":".repeat(100_000)] {
            assert!(
                convert(
                    *format,
                    text.as_bytes(),
                    &Target::default(),
                    &Options::default()
                )
                .is_err()
            );
            detect(text.as_bytes());
        }
        let closed = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
        assert!(
            convert(
                *format,
                closed.as_bytes(),
                &Target::default(),
                &Options::default()
            )
            .is_err()
        );
    }
}

#[test]
fn a_line_cut_anywhere_is_an_error() {
    for line in MEMORY_EXT.lines().chain(GUIDE.lines()) {
        for end in 1..line.len() {
            let cut = &line.as_bytes()[..end];
            let error = parse_line(cut, &Options::default()).unwrap_err();
            assert!(
                matches!(error.kind, ErrorKind::Truncated | ErrorKind::NotUtf8),
                "{error:?} at {end}"
            );
            assert!(error.column <= end + 1, "{error:?} at {end}");
        }
    }
}

#[test]
fn what_jsonb_cannot_hold_is_refused() {
    for (metadata, part, reason) in [
        (r#"{"a":"\u0000"}"#, r"\u0000", "has a NUL character in it"),
        (r#"{"a\u0000":1}"#, r"\u0000", "has a NUL character in it"),
        (
            r#"{"a":["x\ud800"]}"#,
            r"\ud800",
            "has an escape that is not a Unicode character",
        ),
        (
            r#"{"a":"\ud800\ud800"}"#,
            r"\ud800",
            "has an escape that is not a Unicode character",
        ),
        (
            r#"{"a":"\udc00"}"#,
            r"\udc00",
            "has an escape that is not a Unicode character",
        ),
        (
            r#"{"a":1e200000}"#,
            "1e200000",
            "has a number that is out of the range of numeric",
        ),
        (
            r#"{"a":-1e-99999999999}"#,
            "-1e",
            "has a number that is out of the range of numeric",
        ),
    ] {
        let line = format!(r#"{{"id":"1","content":"x","metadata":{metadata}}}"#);
        assert_refused(
            &line,
            ErrorKind::BadValue,
            Some("metadata"),
            column(&line, part),
            &format!("metadata {reason}"),
        );
    }
    for metadata in [
        r#"{"a":"\\u0000"}"#,
        r#"{"a":"\\\\u0000 \" \ud83d\ude00 \u0001"}"#,
        r#"{"a":"\\ud800"}"#,
        r#"{"":-0.0e0,"b":1E+100}"#,
    ] {
        let line = format!(r#"{{"id":"1","content":"x","metadata":{metadata}}}"#);
        assert_eq!(record(&line).metadata.as_str(), metadata);
    }
    for (text, reason) in [
        (r"a\u0000", "content has a NUL character in it"),
        (
            r"\udead",
            "content has an escape that is not a Unicode character",
        ),
    ] {
        let line = format!(r#"{{"id":"1","content":"{text}"}}"#);
        assert_eq!(parse(&line).unwrap_err().reason, reason);
    }
}

/// Quadratic time would show here.
#[test]
fn many_members_and_elements_take_linear_time() {
    const MANY: usize = 30_000;
    let numbers = |text: fn(usize) -> String| (0..MANY).map(text).collect::<Vec<_>>().join(",");
    let members = numbers(|number| format!("\"a{number}\":0"));
    let votes = numbers(|number| format!(r#"{{"voter_agent_id":"a{number}","vote":"helpful"}}"#));
    let line = format!(r#"{{"id":"1","content":"x","bullet_helpful":{MANY},"votes":[{votes}]}}"#);
    assert!(parse(&line).is_ok());
    let line = format!(r#"{{"id":"1","content":"x",{members}}}"#);
    let options = Options {
        unknown_into: Some("other"),
        ..Options::default()
    };
    assert!(parse_line(line.as_bytes(), &options).is_ok());
    let rows = [
        (Format::Mem0, r#"{"memory":"x","#),
        (Format::MemoryStages, r#"{"key":"k","value":"x","#),
        (Format::Letta, r#"{"text":"x","#),
        (Format::Letta, r#"{"agents":[],"#),
    ];
    for (format, beginning) in rows {
        let row = format!("{beginning}{members}}}");
        detect(row.as_bytes());
        assert!(convert(format, row.as_bytes(), &Target::default(), &options).is_ok());
    }
    let list = numbers(|number| format!(r#"{{"memory":"x{number}"}}"#));
    let list = format!("[{list}]");
    let read = convert(Format::Mem0, list.as_bytes(), &Target::default(), &options);
    assert_eq!(read.unwrap().records.len(), MANY);
}

/// Names by which serde_json tells itself something.
#[test]
fn no_name_is_magic() {
    for name in [
        "$serde_json::private::Number",
        "$serde_json::private::RawValue",
    ] {
        let line = format!(r#"{{"id":"1","content":"x","metadata":{{"{name}":"1"}}}}"#);
        assert_eq!(
            record(&line).metadata.as_str(),
            format!(r#"{{"{name}":"1"}}"#)
        );
        for line in [
            format!(r#"{{"{name}":"1"}}"#),
            format!(r#"{{"id":{{"{name}":"1"}},"content":"x"}}"#),
            format!(r#"{{"id":"1","content":"x","version":{{"{name}":"1"}}}}"#),
            format!(r#"{{"id":"1","content":"x","embedding":[{{"{name}":"1"}}]}}"#),
        ] {
            assert!(parse(&line).is_err(), "{line}");
        }
    }
}

#[test]
fn metadata_stays_on_one_line() {
    let line = "{\"id\":\"1\",\"content\":\"x\",\"metadata\":{\r\n\"a\" :\n1}}";
    let read = record(line);
    assert_eq!(read.metadata.as_str(), "{  \"a\" : 1}");
    assert!(!written(&read).contains('\n'));
    assert!(record(&written(&read)) == read);
    let error = parse("{\"id\":\"1\",\n\"content\":\n  2}").unwrap_err();
    assert_eq!(error.column, 25);
    let error = parse("{\"id\":\"1\",\n\"content\":\n  x}").unwrap_err();
    assert_eq!((error.kind, error.column), (ErrorKind::NotJson, 25));
}

#[test]
fn no_error_and_no_debug_output_shows_a_value() {
    let full = MEMORY_EXT.lines().nth(1).unwrap();
    let mut lines: Vec<String> = FIELDS
        .iter()
        .filter(|name| **name != "scope")
        .flat_map(|name| {
            [
                format!(r#"{{"id":"1","content":"x","{name}":"{SECRET}"}}"#),
                format!(r#"{{"id":"1","content":"x","{name}":["{SECRET}"]}}"#),
                format!(r#"{{"id":"1","content":"x","{name}":{{"{SECRET}":"{SECRET}"}}}}"#),
                format!(r#"{{"{name}":"{SECRET}"}}"#),
                format!(r#"{{"{name}":"{SECRET}\u0000"}}"#),
                format!(r#"{{"{name}":"{SECRET}\x"}}"#),
                format!(r#"{{"{name}":"{SECRET}"#),
            ]
        })
        .collect();
    lines.push(format!("\"{SECRET}\""));
    lines.push(SECRET.to_owned());
    lines.push(full.replace("Jo", SECRET));
    lines.push(full.replace("good", &format!("{SECRET}\\u0000")));
    for line in lines {
        for options in [
            Options::default(),
            Options {
                unknown_into: Some("other"),
                ..Options::default()
            },
        ] {
            if let Err(error) = parse_line(line.as_bytes(), &options) {
                // As a name of an unknown field it is shown.
                let is_name = error.kind == ErrorKind::UnknownField;
                assert!(
                    is_name || !format!("{error} {error:?}").contains(SECRET),
                    "{error} of {line}"
                );
            }
        }
    }
    let line = full
        .replace("good", SECRET)
        .replace("\"E1\"", &format!("{SECRET:?}"))
        .replace("\"k\":null", &format!("\"k\":{SECRET:?}"));
    let read = record(&line);
    assert!(!format!("{read:?} {:?}", read.votes).contains(SECRET));
}

fn mutated() -> impl Strategy<Value = Vec<u8>> {
    let lines: Vec<&'static str> = MEMORY_EXT.lines().chain(GUIDE.lines()).collect();
    (
        prop::sample::select(lines),
        prop::collection::vec((any::<prop::sample::Index>(), any::<u8>(), 0..3), 1..6),
    )
        .prop_map(|(line, changes)| {
            let mut bytes = line.as_bytes().to_vec();
            for (place, byte, change) in changes {
                let place = place.index(bytes.len());
                match change {
                    0 => bytes[place] = byte,
                    1 => bytes.insert(place, byte),
                    _ => drop(bytes.remove(place)),
                }
            }
            bytes
        })
}

proptest! {
    #[test]
    fn nothing_panics_on_changed_lines(line in mutated()) {
        if let Ok(Line::Record(record)) = parse_line(&line, &Options::default()) {
            prop_assert_eq!(validate(&record), Ok(()));
        }
        for format in Format::ALL {
            let _ = convert(*format, &line, &Target::default(), &Options::default());
        }
        detect(&line);
    }

    #[test]
    fn nothing_panics_on_any_bytes(bytes in prop::collection::vec(any::<u8>(), 0..60)) {
        let _ = parse_line(&bytes, &Options::default());
        detect(&bytes);
    }

    #[test]
    fn nothing_panics_on_any_json_like_text(text in "[\\[\\]{}\",:a0-9.eE\\\\u -]{0,60}") {
        let _ = parse(&text);
        let _ = JsonObject::parse(&text);
        for format in Format::ALL {
            let _ = convert(*format, text.as_bytes(), &Target::default(), &Options::default());
        }
        detect(text.as_bytes());
    }
}
