mod batch;
mod chain;
mod export;
mod merkle;
mod row;

use super::*;

fn hex(digits: &str) -> Vec<u8> {
    let byte = |at: usize| u8::from_str_radix(&digits[at..at + 2], 16).expect("hexadecimal digits");
    (0..digits.len()).step_by(2).map(byte).collect()
}

fn hash(digits: &str) -> Hash {
    hex(digits).try_into().expect("32 bytes")
}

fn event(id: i64) -> EventFields<'static> {
    EventFields {
        event_id: id,
        occurred_at: 1_767_225_600_000_000_i64.wrapping_add(id),
        event: "add".into(),
        project_id: "default".into(),
        memory_id: Some(format!("m{id}").into()),
        role: "app".into(),
        agent_id: None,
        payload: r#"{"importance": 0.5}"#.into(),
    }
}

fn version(id: i64) -> HistoryFields<'static> {
    HistoryFields {
        history_id: id,
        project_id: "default".into(),
        memory_id: format!("m{id}").into(),
        version: 1,
        operation: "update".into(),
        content: Some("the user prefers vim".into()),
        content_hash: Some(vec![0xab; 32].into()),
        blind: Some(Blind::new([3; 32]).of_row(id)),
        commitment: None,
        namespace: "default".into(),
        agent_id: None,
        user_id: Some("u".into()),
        session_id: None,
        entity_id: None,
        scope: "global".into(),
        shared_with_agents: vec![Some("a".to_owned()), None],
        metadata: "{}".into(),
        memory_type: "standard".into(),
        key: None,
        is_sensitive: false,
        importance: 0.1,
        created_at: 1,
        expires_at: Some(i64::MAX),
        deleted_at: None,
        valid_from: 1,
        valid_to: 2,
        changed_by: "app".into(),
        changed_as_agent: None,
        is_deprecated: false,
        superseded_by: None,
        error_pattern: None,
    }
}

fn key() -> SealKey {
    SealKey::new([7; 32])
}

fn leaves(ids: impl IntoIterator<Item = i64>) -> Vec<Leaf> {
    ids.into_iter().map(|id| event(id).leaf()).collect()
}

/// The seal of these events, whose range goes on to `through`.
fn seal_events(
    leaves: &[Leaf],
    after: i64,
    through: i64,
    previous: Option<&Seal>,
    key: Option<&SealKey>,
) -> Seal {
    let mut builder = BatchBuilder::new(Table::Events, after);
    for leaf in leaves {
        builder.push(leaf).expect("ascending ids");
    }
    let batch = builder.finish(through).expect("a range");
    Seal::new(&batch, previous, 1_767_225_600_000_000, key)
}

/// A chain of seals with ten ids each, of which the multiples of four are not used.
fn chain(length: usize, key: Option<&SealKey>) -> (Vec<Seal>, Vec<Vec<Leaf>>) {
    let mut seals: Vec<Seal> = Vec::new();
    let mut batches = Vec::new();
    for place in 0..length as i64 {
        let after = place * 10;
        let rows = leaves((after + 1..=after + 10).filter(|id| id % 4 != 0));
        seals.push(seal_events(&rows, after, after + 10, seals.last(), key));
        batches.push(rows);
    }
    (seals, batches)
}
