use std::borrow::Cow;
use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::text::{content_hash, is_blank};

fn text(pattern: &'static str) -> impl Strategy<Value = Cow<'static, str>> {
    pattern.prop_map(|text| Cow::Owned(text.replace('\0', "")))
}

fn name() -> impl Strategy<Value = Cow<'static, str>> {
    text("\\PC{1,12}|[ -~]{1,255}|[\\u{1}-\\u{20}\"\\\\/]{1,8}")
        .prop_filter("names are not empty", |name| !name.is_empty())
}

fn maybe(
    strategy: impl Strategy<Value = Cow<'static, str>>,
) -> impl Strategy<Value = Option<Cow<'static, str>>> {
    prop::option::of(strategy)
}

fn time() -> impl Strategy<Value = Option<Cow<'static, str>>> {
    let time =
        (-62_135_596_800_i64..=253_402_300_799, 0..1_000_000).prop_map(|(seconds, micros)| {
            let time = timestamp::of_epoch_seconds(seconds).unwrap();
            Cow::Owned(time.replace(".000000", &format!(".{micros:06}")))
        });
    prop::option::of(time)
}

fn number() -> impl Strategy<Value = String> {
    "-?(0|[1-9][0-9]{0,40})(\\.[0-9]{1,40})?([eE][+-]?[0-9]{1,3})?"
}

fn json() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        Just("null".to_owned()),
        any::<bool>().prop_map(|value| value.to_string()),
        number(),
        ".{0,8}".prop_map(|text| serde_json::to_string(&text.replace('\0', "")).unwrap()),
    ];
    leaf.prop_recursive(5, 40, 5, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5)
                .prop_map(|values| format!("[ {} ]", values.join(" ,"))),
            object(inner),
        ]
    })
}

fn object(value: impl Strategy<Value = String>) -> impl Strategy<Value = String> {
    prop::collection::vec(("[a-z\u{e9}]{1,4}", value), 0..5).prop_map(|members| {
        let members: Vec<String> = members
            .iter()
            .map(|(key, value)| format!("\"{key}\": {value}"))
            .collect();
        format!("{{{}}}", members.join(","))
    })
}

fn metadata() -> impl Strategy<Value = JsonObject<'static>> {
    object(json()).prop_map(|text| JsonObject::parse(&text).unwrap().into_owned())
}

fn vector() -> impl Strategy<Value = Option<Vec<f32>>> {
    let number = prop_oneof![
        prop::num::f32::SUBNORMAL | prop::num::f32::ZERO,
        -1.0_f32..1.0,
        -1e17_f32..1e17,
    ];
    let vector = prop::collection::vec(number, 1..20)
        .prop_filter("of a length that can be compared", |vector| {
            crate::vector::unfit(vector).is_none()
        });
    prop::option::of(vector)
}

type Names = (
    Option<Cow<'static, str>>,
    Cow<'static, str>,
    [Option<Cow<'static, str>>; 5],
    Vec<Cow<'static, str>>,
);

fn names() -> impl Strategy<Value = Names> {
    (
        maybe(name()),
        name(),
        [
            maybe(name()),
            maybe(name()),
            maybe(name()),
            maybe(name()),
            maybe(name()),
        ],
        prop::collection::vec(name(), 0..3),
    )
}

fn flag() -> impl Strategy<Value = Cow<'static, str>> {
    prop::sample::select(crate::scan::KINDS)
        .prop_map(|(category, kind)| format!("{}:{kind}", category.name()).into())
}

fn votes() -> impl Strategy<Value = Option<Vec<Vote<'static>>>> {
    let vote = (
        any::<bool>(),
        maybe(text(".{0,12}")),
        time(),
        time(),
        maybe(text(".{0,5}")),
        any::<bool>(),
    );
    let votes = prop::collection::btree_map((name(), maybe(name())), vote, 0..4);
    prop::option::of(votes).prop_map(|votes: Option<BTreeMap<_, _>>| {
        let votes = votes?.into_iter().enumerate();
        let votes = votes.map(
            |(
                place,
                ((voter, task), (helpful, context, created_at, updated_at, merged, has_id)),
            )| {
                Vote {
                    id: has_id.then(|| format!("v{place}").into()),
                    voter_agent_id: voter,
                    vote: if helpful { "helpful" } else { "harmful" }.into(),
                    context,
                    task_id: task,
                    created_at,
                    updated_at,
                    merged_from: merged,
                }
            },
        );
        Some(votes.collect())
    })
}

prop_compose! {
    fn any_record()(
        id in name(),
        content in text(".{0,40}"),
        names in names(),
        metadata in metadata(),
        votes in votes(),
        vector in vector(),
        times in [time(), time(), time(), time(), time()],
        texts in [maybe(text(".{0,9}")), maybe(text(".{0,9}")), maybe(text(".{0,9}")), maybe(text(".{0,9}"))],
        numbers in (0..=i32::MAX, 0..=i32::MAX, 1..=1_i32 << 30, 0.0_f32..=1.0),
        flags in any::<[bool; 4]>(),
        found in prop::collection::vec(flag(), 0..3),
        scope in prop::sample::select(crate::SCOPES),
        memory_type in prop_oneof![Just(Cow::Borrowed("standard")), text("[a-z]{1,64}")],
        hash in prop::option::of(any::<[u8; 32]>()),
    ) -> Record<'static> {
        let mut record = Record::new(id, content);
        let (project_id, namespace, [agent, user, session, entity, key], shared) = names;
        record.project_id = project_id;
        record.namespace = namespace;
        record.agent_id = agent;
        record.user_id = user;
        record.session_id = session;
        record.entity_id = entity;
        record.key = key;
        // Nobody's memory is everybody's, and is shared with none in particular.
        record.scope = if record.agent_id.is_some() { scope } else { "global" }.into();
        if record.scope == "agent-shared" {
            record.shared_with_agents = shared;
        }
        record.memory_type = memory_type;
        record.metadata = metadata;
        let [created_at, updated_at, expires_at, deleted_at, deprecated_at] = times;
        (record.created_at, record.updated_at) = match (created_at, updated_at) {
            (Some(one), Some(other)) if other < one => (Some(other), Some(one)),
            times => times,
        };
        record.expires_at = expires_at;
        record.deleted_at = deleted_at;
        let [by, superseded, pattern, trajectory] = texts;
        record.superseded_by = superseded;
        record.error_pattern = pattern;
        record.source_trajectory_id = trajectory;
        let (helpful, harmful, version, importance) = numbers;
        record.bullet_helpful = helpful;
        record.bullet_harmful = harmful;
        record.version = version;
        record.importance = importance;
        let [is_sensitive, is_deduplicated, is_deprecated, with_hash] = flags;
        record.is_sensitive = is_sensitive;
        if !is_sensitive {
            record.content_flags = found;
        }
        record.is_deduplicated = is_deduplicated;
        record.is_deprecated = is_deprecated;
        if is_deprecated {
            record.deprecated_at = deprecated_at;
            record.deprecated_by = by;
        }
        if !is_sensitive {
            record.embedded_hash = hash.filter(|_| vector.is_some());
            record.embedding = vector;
        }
        if let Some(votes) = &votes {
            let helpful = votes.iter().filter(|vote| vote.vote == "helpful").count();
            record.bullet_helpful = helpful as i32;
            record.bullet_harmful = (votes.len() - helpful) as i32;
        }
        record.votes = votes;
        if record.deleted_at.is_none() && is_blank(&record.content) {
            record.content = "x".into();
        }
        record.content_hash = with_hash.then(|| content_hash(&record.content));
        record
    }
}

fn bits(record: &Record<'_>) -> Option<Vec<u32>> {
    let vector = record.embedding.as_ref()?;
    Some(vector.iter().map(|number| number.to_bits()).collect())
}

/// A reader of RFC 4180, for the test.
fn csv_fields(row: &str) -> Vec<Option<String>> {
    let mut fields = vec![];
    let mut rest = row;
    loop {
        let (field, after) = match rest.strip_prefix('"') {
            Some(quoted) => {
                let mut end = 0;
                while !quoted[end..].starts_with('"') || quoted[end + 1..].starts_with('"') {
                    end += match &quoted[end..] {
                        pair if pair.starts_with("\"\"") => 2,
                        other => other.chars().next().unwrap().len_utf8(),
                    };
                }
                (
                    Some(quoted[..end].replace("\"\"", "\"")),
                    &quoted[end + 1..],
                )
            }
            None => {
                let end = rest.find(',').unwrap_or(rest.len());
                assert!(!rest[..end].contains(['"', '\n', '\r']));
                let field = Some(rest[..end].to_owned()).filter(|field| !field.is_empty());
                (field, &rest[end..])
            }
        };
        fields.push(field);
        match after.strip_prefix(',') {
            Some(after) => rest = after,
            None => {
                assert_eq!(after, "");
                return fields;
            }
        }
    }
}

fn csv(record: &Record<'_>) -> Vec<Option<String>> {
    let mut out = Vec::new();
    write_csv_record(record, &mut out);
    csv_fields(&String::from_utf8(out).unwrap())
}

proptest! {
    #[test]
    fn what_is_written_is_read_back(written_record in any_record()) {
        prop_assert_eq!(validate(&written_record), Ok(()));
        let line = written(&written_record);
        prop_assert!(!line.contains(['\n', '\r']));
        let read = record(&line);
        prop_assert!(read == written_record, "{} is not {}", written(&read), line);
        prop_assert_eq!(bits(&read), bits(&written_record));
        prop_assert_eq!(detect(line.as_bytes()).is_some(), true);
        prop_assert!(read.into_owned() == written_record);
    }

    #[test]
    fn an_array_of_records_is_read_back(records in prop::collection::vec(any_record(), 0..4)) {
        let mut out = Vec::new();
        let mut array = ArrayWriter::default();
        for record in &records {
            array.write_record(record, &mut out);
            out.push(b'\n');
        }
        array.finish(&mut out);
        serde_json::from_slice::<serde_json::Value>(&out).unwrap();
        let read = convert(Format::MemoryExt, &out, &Target::default(), &Options::default()).unwrap();
        prop_assert!(read.records == records);
        prop_assert!(read.skipped.is_empty());
    }

    #[test]
    fn csv_fields_are_verbatim(record in any_record()) {
        let fields = csv(&record);
        prop_assert_eq!(fields.len(), CSV_COLUMNS.len());
        let field = |name: &str| fields[CSV_COLUMNS.iter().position(|column| *column == name).unwrap()].clone();
        let owned = |text: &Option<Cow<'_, str>>| text.as_ref().map(|text| text.to_string());
        prop_assert_eq!(field("content"), Some(record.content.to_string()));
        prop_assert_eq!(field("key"), owned(&record.key));
        prop_assert_eq!(field("error_pattern"), owned(&record.error_pattern));
        prop_assert_eq!(field("expires_at"), owned(&record.expires_at));
        prop_assert_eq!(field("metadata"), Some(record.metadata.as_str().to_owned()));
        prop_assert_eq!(field("version"), Some(record.version.to_string()));
        prop_assert_eq!(field("embedded_hash").is_some(), record.embedded_hash.is_some());
        prop_assert_eq!(field("votes").is_some(), record.votes.is_some());
    }
}

#[test]
fn csv_columns_are_the_fields() {
    let mut columns = CSV_COLUMNS.to_vec();
    let mut fields = FIELDS.to_vec();
    columns.sort_unstable();
    fields.sort_unstable();
    assert_eq!(columns, fields);
    let mut header = Vec::new();
    write_csv_header(&mut header);
    assert!(header.starts_with(b"id,content,agent_id,namespace,scope,metadata,created_at,"));
}

#[test]
fn a_row_of_csv() {
    let mut record = Record::new("1", "=SUM(A1), \"quoted\"\nnext");
    record.agent_id = Some("".into());
    record.key = Some("\\.".into());
    record.shared_with_agents = vec!["a".into()];
    record.embedding = Some(vec![0.5, -1e-7]);
    let mut row = Vec::new();
    write_csv_record(&record, &mut row);
    assert_eq!(
        String::from_utf8(row).unwrap(),
        "1,\"=SUM(A1), \"\"quoted\"\"\nnext\",\"\",default,global,{},,,,,,,,,,\"[\"\"a\"\"]\",standard,\"\\.\",\
         false,[],true,0.5,1,false,,,,0,0,,,,\"[0.5,-1e-7]\","
    );
}

#[test]
fn an_empty_array() {
    let mut out = Vec::new();
    ArrayWriter::default().finish(&mut out);
    assert_eq!(out, b"[]");
}
