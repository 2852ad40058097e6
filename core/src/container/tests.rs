//! Tests of the container; what they share.

mod golden;
mod known_answers;
mod manifest;
mod rewrap;
mod secret;
mod stream;
mod tampering;
mod throughput;

use super::*;

pub(super) const KEY: [u8; 32] = [0x42; 32];
/// Cheap enough for thousands of tries.
pub(super) const CHEAP: Argon2Cost = Argon2Cost {
    m_cost: 8,
    t_cost: 1,
    p_cost: 1,
};

pub(super) fn key() -> Secret {
    Secret::key(&KEY).unwrap()
}

/// Different in every byte for different seeds.
pub(super) fn randomness(seed: u8) -> Randomness {
    Randomness::from(std::array::from_fn(|at| seed ^ at as u8))
}

pub(super) fn section(table: &str, columns: &[(&str, &str)]) -> Section {
    let column = |&(name, type_name): &(&str, &str)| Column {
        name: name.to_owned(),
        type_name: type_name.to_owned(),
    };
    Section {
        table: table.to_owned(),
        columns: columns.iter().map(column).collect(),
    }
}

pub(super) fn header(sections: Vec<Section>) -> Header {
    Header {
        backup_id: "017f22e279b0700098c4dc0c0c07398f".to_owned(),
        created_at: "2026-11-23T10:00:00Z".to_owned(),
        extension_version: "2.0.0".to_owned(),
        store_version: "2.0.0".to_owned(),
        server_version: "18.6".to_owned(),
        cipher: Cipher::default(),
        chunk_size: DEFAULT_CHUNK_SIZE,
        compression: Compression::default(),
        includes_sensitive: false,
        project: None,
        sections,
    }
}

pub(super) struct Written {
    pub(super) file: Vec<u8>,
    pub(super) summary: Summary,
    pub(super) manifest: Vec<u8>,
}

/// A backup of these tables with one column each.
pub(super) fn write(
    secret: &Secret,
    seed: u8,
    chunk_size: u32,
    tables: &[(&str, &[u8])],
) -> Written {
    let sections = tables
        .iter()
        .map(|(table, _)| section(table, &[("content", "text")]));
    let header = Header {
        chunk_size,
        ..header(sections.collect())
    };
    let mut writer =
        Writer::with_cost(Vec::new(), header, secret, CHEAP, randomness(seed)).unwrap();
    for (table, lines) in tables {
        writer.start_section(table).unwrap();
        writer.rows(lines).unwrap();
        writer.end_section().unwrap();
    }
    let finished = writer.finish().unwrap();
    Written {
        file: finished.output,
        summary: finished.summary,
        manifest: finished.manifest.to_json().unwrap(),
    }
}

/// The rows of every table, as they are read.
pub(super) fn read(file: &[u8], secret: &Secret) -> Result<Vec<(String, Vec<u8>)>, ContainerError> {
    let mut reader = Reader::open(file, secret)?;
    let mut tables = Vec::new();
    loop {
        match reader.next_event()? {
            Event::SectionStart(section) => tables.push((section.table.clone(), Vec::new())),
            Event::Rows(lines) => tables.last_mut().unwrap().1.extend_from_slice(lines),
            Event::SectionEnd(_) => (),
            Event::End(_) => return Ok(tables),
        }
    }
}

pub(super) fn refusal(file: &[u8], secret: &Secret) -> ContainerError {
    verify(file, secret, None).expect_err("a backup that should be refused")
}

pub(super) fn assert_damaged(file: &[u8], secret: &Secret) {
    let error = refusal(file, secret);
    assert!(matches!(error, ContainerError::Damaged), "{error}");
    assert_eq!(error.to_string(), "wrong key or damaged backup");
}
