//! Every column counts, and none can be taken for another.

use std::collections::HashSet;

use sha2::{Digest, Sha256};

use super::*;

#[test]
fn every_column_of_an_event_counts() {
    let row = event(1);
    let mut others = vec![row.clone(); 11];
    others[1].event_id = 2;
    others[2].occurred_at += 1;
    others[3].event = "delete".into();
    others[4].project_id = "other".into();
    others[5].memory_id = None;
    others[6].memory_id = Some("".into());
    others[7].role = "postgres".into();
    others[8].agent_id = Some("".into());
    others[9].agent_id = Some("a".into());
    others[10].payload = r#"{"importance": 0.50}"#.into();
    let hashes: HashSet<_> = others.iter().map(leaf_hash).collect();
    assert_eq!(hashes.len(), others.len());
}

#[test]
fn every_column_of_a_version_counts() {
    let row = version(1);
    let edits: Vec<fn(&mut HistoryFields<'static>)> = vec![
        |_| {},
        |row| row.history_id = 2,
        |row| row.project_id = "p".into(),
        |row| row.memory_id = "m".into(),
        |row| row.version = 2,
        |row| row.operation = "delete".into(),
        |row| row.content = Some("the user prefers emacs".into()),
        |row| row.content_hash = Some(vec![0xab; 31].into()),
        |row| row.blind = Some([1; 32]),
        |row| row.content = None,
        |row| row.namespace = "n".into(),
        |row| row.agent_id = Some("x".into()),
        |row| row.user_id = None,
        |row| row.session_id = Some("x".into()),
        |row| row.entity_id = Some("x".into()),
        |row| row.scope = "agent-private".into(),
        |row| row.shared_with_agents = vec![],
        |row| row.shared_with_agents = vec![Some("a".to_owned())],
        |row| row.shared_with_agents = vec![None, Some("a".to_owned())],
        |row| row.shared_with_agents = vec![Some("a".to_owned()), Some(String::new())],
        |row| row.metadata = r#"{"a": 1}"#.into(),
        |row| row.memory_type = "semantic".into(),
        |row| row.key = Some("x".into()),
        |row| row.is_sensitive = true,
        |row| row.importance = 0.2,
        |row| row.created_at = 0,
        |row| row.expires_at = None,
        |row| row.deleted_at = Some(1),
        |row| row.valid_from = 0,
        |row| row.valid_to = 3,
        |row| row.changed_by = "postgres".into(),
        |row| row.changed_as_agent = Some("x".into()),
        |row| row.is_deprecated = true,
        |row| row.superseded_by = Some("x".into()),
        |row| row.error_pattern = Some("x".into()),
    ];
    let mut hashes = HashSet::new();
    for edit in &edits {
        let mut row = row.clone();
        edit(&mut row);
        hashes.insert(row.leaf().digest);
    }
    assert_eq!(hashes.len(), edits.len());
}

/// SE-3: a secret is verified without being shown, and what was secret is not shown as what it was not.
#[test]
fn a_secret_is_proven_by_its_commitment_alone() {
    let open = version(1);
    let blind = open.blind.expect("a blind");
    let content_sha256: Hash = Sha256::digest("the user prefers vim").into();
    let masked = HistoryFields {
        content: None,
        content_hash: None,
        blind: None,
        commitment: Some(commitment(&blind, &content_sha256, &[0xab; 32])),
        ..open.clone()
    };
    assert_eq!(masked.leaf(), open.leaf());
    // A commitment beside a content would let that be anything.
    let both = HistoryFields {
        content: Some("forged".into()),
        ..masked.clone()
    };
    assert_ne!(both.leaf(), open.leaf());
    // Another row's blind is another.
    assert_ne!(Blind::new([3; 32]).of_row(1), Blind::new([3; 32]).of_row(2));

    // Becoming secret is the one change there is.
    let mut secret = masked.clone();
    secret.is_sensitive = true;
    assert_ne!(secret.leaf(), open.leaf());
    assert!(secret.seen().is(&open.leaf()));
    let mut edited = secret.clone();
    edited.version = 2;
    assert!(!edited.seen().is(&open.leaf()));
    assert!(!open.seen().is(&secret.leaf()), "and there is no way back");
}

#[test]
fn text_does_not_move_between_columns() {
    let mut left = event(1);
    left.event = "ab".into();
    left.project_id = "c".into();
    let mut right = left.clone();
    right.event = "a".into();
    right.project_id = "bc".into();
    assert_ne!(leaf_hash(&left), leaf_hash(&right));

    let mut left = event(1);
    left.memory_id = None;
    left.agent_id = Some("x".into());
    let mut right = left.clone();
    right.memory_id = Some("x".into());
    right.agent_id = None;
    assert_ne!(leaf_hash(&left), leaf_hash(&right));
}

/// The encoding is fixed: seals have to verify in later releases.
#[test]
fn the_leaf_of_an_event_is_as_documented() {
    let row = EventFields {
        event_id: 1,
        occurred_at: -2,
        event: "add".into(),
        project_id: "p".into(),
        memory_id: None,
        role: "".into(),
        agent_id: Some("\u{e9}".into()),
        payload: "{}".into(),
    };
    let field = |bytes: &[u8]| [&[1][..], &(bytes.len() as u64).to_be_bytes(), bytes].concat();
    let encoded = [
        field(b"memory_ext audit event 1"),
        field(&1_i64.to_be_bytes()),
        field(&(-2_i64).to_be_bytes()),
        field(b"add"),
        field(b"p"),
        vec![0],
        field(b""),
        field(&[0xc3, 0xa9]),
        field(b"{}"),
    ]
    .concat();
    let digest: Hash = Sha256::digest(encoded).into();
    assert_eq!(row.leaf(), Leaf { id: 1, digest });
    let leaf = [&[0, 1][..], &1_i64.to_be_bytes(), &digest].concat();
    let expected: Hash = Sha256::digest(leaf).into();
    assert_eq!(leaf_hash(&row), expected);
    // Another table's leaf is another.
    assert_ne!(row.leaf().hash(Table::History), expected);
}

#[test]
fn leaves_survive_as_bytes() {
    let leaves = leaves([1, 2, i64::MAX]);
    let bytes = leaves_to_bytes(&leaves);
    assert_eq!(bytes.len(), 3 * LEAF_BYTES);
    assert_eq!(leaves_from_bytes(&bytes), Some(leaves));
    assert_eq!(leaves_from_bytes(&[]), Some(vec![]));
    assert_eq!(leaves_from_bytes(&bytes[1..]), None);
    assert_eq!(leaves_from_bytes(&bytes[..5]), None);
}
