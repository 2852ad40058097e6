//! What is too dear to be done with every memory: embedding it again, reading its text again, looking for it by its vector.

use serde_json::Value;

use super::Inspection;
use super::draw::{Sample, arrays};
use super::finding::{Finding, Met, Status, memory};
use crate::pg::hnsw::IndexScan;
use crate::pg::planner::IndexOrder;
use crate::pg::spi::{Arg, Planning, Session};
use crate::pg::system;
use crate::pg::vector::Vector;
use crate::store::access::Call;
use crate::store::embedder::{Embedder, embedded_text};

const DIFFERS: &str = "embedding_differs";
const TEXT_INDEX: &str = "text_index";
const REACHED: &str = "hnsw_reach";

type Look = fn(&Inspection<'_>, &Session, &Sample) -> Finding;

/// Each with whether it is about vectors.
pub const CHECKS: &[(&str, bool, Look)] = &[
    (DIFFERS, true, differing),
    (TEXT_INDEX, false, text_index),
    (REACHED, true, reachable),
];

/// Two machines may round the last bit of a number differently; a change of one word is a hundred times this.
const ROUNDING: f32 = 1e-4;

/// The embedder is a pure function of the text: what it makes now is what the row has, unless a caller brought another vector.
fn differing(inspection: &Inspection<'_>, session: &Session, sample: &Sample) -> Finding {
    let store = &inspection.call.store;
    if store.embedder == Embedder::External {
        return Finding::skipped(DIFFERS, "the callers bring the vectors");
    }
    let sql = store.sql(
        "SELECT m.id, m.project_id, m.content, m.key, m.embedding FROM unnest($1, $2) AS s (id, project_id)
         JOIN @s@.memories m ON m.id = s.id AND m.project_id = s.project_id",
    );
    let mut met = Met::default();
    for part in sample.chunks(1000) {
        system::check_for_interrupts();
        let (ids, projects) = arrays(part);
        let rows = session.read(&sql, Planning::Custom, &[ids.into(), projects.into()]);
        for row in 0..rows.len() {
            let (content, key): (String, Option<String>) =
                (rows.required(row, 3), rows.get(row, 4));
            let made = store
                .embedder
                .embed(&embedded_text(key.as_deref(), &content), store.dimensions);
            let is: Option<Vector> = rows.get(row, 5);
            if let (Some(made), Some(is)) = (made, is)
                && !alike(&made.0, &is.0)
            {
                met.one(|| {
                    named(
                        &rows.required::<String>(row, 1),
                        &rows.required::<String>(row, 2),
                    )
                });
            }
        }
    }
    Finding::of(
        DIFFERS,
        Status::Warning,
        met,
        "These vectors are not what the store's embedder makes of the text: a caller brought them, or they were changed. SELECT memory_reembed() makes all anew.",
    )
    .with("checked", sample.len())
}

fn alike(a: &[f32], b: &[f32]) -> bool {
    a.len() == b.len() && a.iter().zip(b).all(|(a, b)| (a - b).abs() <= ROUNDING)
}

fn named(id: &str, project_id: &str) -> Value {
    memory(id.as_bytes(), project_id.as_bytes())
}

/// What the text arm searches is generated from the text, by an expression that the catalogs have.
fn text_index(inspection: &Inspection<'_>, session: &Session, sample: &Sample) -> Finding {
    let store = &inspection.call.store;
    let generated = "SELECT pg_get_expr(d.adbin, d.adrelid) FROM pg_attrdef d JOIN pg_attribute a ON a.attrelid = d.adrelid AND a.attnum = d.adnum
                     WHERE d.adrelid = $1 AND a.attname = 'content_tsv' AND a.attgenerated = 's'";
    let rows = session.read(generated, Planning::Custom, &[Arg::oid(store.memories)]);
    let Some(expression) = rows.get::<String>(0, 1) else {
        return Finding::skipped(TEXT_INDEX, "column memories.content_tsv is not generated");
    };
    let sql = store.sql(&format!(
        "SELECT memories.id, memories.project_id FROM unnest($1, $2) AS s (of_id, of_project)
         JOIN @s@.memories ON memories.id = s.of_id AND memories.project_id = s.of_project
         WHERE memories.content_tsv IS DISTINCT FROM ({expression})"
    ));
    let mut met = Met::default();
    for part in sample.chunks(1000) {
        system::check_for_interrupts();
        let (ids, projects) = arrays(part);
        let rows = session.read(&sql, Planning::Custom, &[ids.into(), projects.into()]);
        for row in 0..rows.len() {
            met.one(|| {
                named(
                    &rows.required::<String>(row, 1),
                    &rows.required::<String>(row, 2),
                )
            });
        }
    }
    Finding::of(
        TEXT_INDEX,
        Status::Warning,
        met,
        "The words in content_tsv are not those of the text: it was changed, or the text search configuration was. UPDATE memories SET content = content makes it anew.",
    )
    .with("checked", sample.len())
}

/// How many of a sample the vector index leads to.
pub struct Reached {
    pub searched: usize,
    pub found_itself: usize,
    missed: Sample,
}

/// Neighbours that are asked for: a memory may share its vector with others.
const NEIGHBOURS: usize = 10;
/// Candidate lists, the second one for what the first one missed: a graph is searched by going along it, and a narrow search
/// can miss what is there.
const WIDTHS: [u32; 2] = [40, 1000];
const MOST_SCANNED: u32 = 20_000;
/// The share that may be missed without anything being wrong: searches promise a recall of 0.98.
const TOLERATED: f64 = 0.02;
/// A sample may miss more than its share by chance: this many standard deviations.
const BY_CHANCE: f64 = 3.0;

/// Looks by the vector index for each of these by its own vector; found is who meets itself, or its equal.
pub fn reached(call: &Call, session: &Session, sample: &[(String, String)]) -> Reached {
    let sql = call.store.sql(&format!(
        "WITH s AS MATERIALIZED (
             SELECT m.id, m.project_id, m.embedding FROM unnest($1, $2) AS s (id, project_id)
             JOIN @s@.memories m ON m.id = s.id AND m.project_id = s.project_id WHERE m.embedding IS NOT NULL)
         SELECT s.id, s.project_id, EXISTS (
             SELECT FROM (SELECT o.embedding FROM @s@.memories o ORDER BY o.embedding OPERATOR(@v@.<=>) s.embedding LIMIT {NEIGHBOURS}) n
             WHERE n.embedding OPERATOR(@v@.=) s.embedding) FROM s"
    ));
    let mut reached = Reached {
        searched: 0,
        found_itself: 0,
        missed: Vec::new(),
    };
    for part in sample.chunks(100) {
        system::check_for_interrupts();
        let mut left = part.to_vec();
        for (round, width) in WIDTHS.into_iter().enumerate() {
            let _settings = (
                IndexScan::relaxed(width, MOST_SCANNED),
                IndexOrder::enforce(),
            );
            let (ids, projects) = arrays(&left);
            // What this very call has written a moment ago is looked for too.
            let rows = session.write(&sql, &[ids.into(), projects.into()]);
            left.clear();
            for row in 0..rows.len() {
                reached.searched += usize::from(round == 0);
                if rows.get(row, 3) == Some(true) {
                    reached.found_itself += 1;
                } else {
                    left.push((rows.required(row, 1), rows.required(row, 2)));
                }
            }
            if left.is_empty() {
                break;
            }
        }
        reached.missed.extend(left);
    }
    reached
}

impl Reached {
    pub fn report(&self) -> Value {
        serde_json::json!({ "searched": self.searched, "found_itself": self.found_itself })
    }
}

fn reachable(inspection: &Inspection<'_>, session: &Session, sample: &Sample) -> Finding {
    if !inspection.call.store.has_vector_index {
        return Finding::skipped(REACHED, "there is no valid vector index");
    }
    let reached = reached(inspection.call, session, sample);
    let (missed, searched) = (reached.missed.len() as f64, reached.searched as f64);
    let chance = BY_CHANCE * (searched * TOLERATED * (1.0 - TOLERATED)).sqrt();
    let met = match missed > TOLERATED * searched + chance {
        true => reached
            .missed
            .iter()
            .map(|(id, project_id)| named(id, project_id))
            .collect(),
        false => Met::default(),
    };
    Finding::of(
        REACHED,
        Status::Error,
        met,
        "The vector index does not lead to these memories: SELECT memory_rebuild_index(), or run what memory_rebuild_script() returns.",
    )
    .with("searched", reached.searched)
    .with("found_itself", reached.found_itself)
}
