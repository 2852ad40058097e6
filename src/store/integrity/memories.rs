//! One pass over the memories: every hash is computed again, every vector looked at.

use serde_json::Value;

use memory_core::text;

use super::Inspection;
use super::draw::{Draw, Sample};
use super::finding::{Finding, Met, Status, memory};
use super::vector::{self, Shape};
use crate::pg::guc;
use crate::pg::spi::{Arg, Planning, Rows, Session};
use crate::pg::system;
use crate::store::embedder::Embedder;
use crate::store::maintenance::progress::{Phase, Progress};
use crate::store::memory::{Identifying, dedupe_hash};
use crate::store::rules::HASH_BYTES;

const CONTENT_HASH: &str = "content_hash";
const DEDUPE_HASH: &str = "dedupe_hash";
const SECRETS: &str = "secrets_indexed";
const COUNTS: &str = "vectors";
const DIMENSIONS: &str = "embedding_dimensions";
const VALUES: &str = "embedding_values";
const SKETCH: &str = "embedding_sketch";
const MISSING: &str = "embedding_missing";
const STALE: &str = "embedding_stale";
const EXPIRED: &str = "expired_backlog";
const TOMBSTONES: &str = "tombstone_backlog";

pub const CHECKS: [&str; 10] = [
    CONTENT_HASH,
    DEDUPE_HASH,
    SECRETS,
    DIMENSIONS,
    VALUES,
    SKETCH,
    MISSING,
    STALE,
    EXPIRED,
    TOMBSTONES,
];
pub const VECTOR_CHECKS: [&str; 7] = [COUNTS, SECRETS, DIMENSIONS, VALUES, SKETCH, MISSING, STALE];

/// Rows fetched at a time.
const BATCH: i64 = 200;

/// The columns of the pass, by their places.
const COLUMNS: &str = "m.id, m.project_id, m.content, m.content_hash, m.dedupe_hash, m.namespace, m.scope, m.agent_id, m.user_id,
    m.session_id, m.entity_id, m.memory_type, m.is_sensitive, m.is_deprecated, m.embedding, m.embedding_sketch, m.embedded_hash,
    m.content_tsv IS NOT NULL, m.deleted_at IS NULL, m.expires_at <= now(), m.expires_at <= (SELECT now() - interval '1 day'),
    m.deleted_at <= (SELECT now() - make_interval(days => $2 + 1))";

/// How many memories there are by the planner's statistics, for the progress; 0: not known.
fn about(inspection: &Inspection<'_>, session: &Session) -> i64 {
    if inspection.project_id.is_some() {
        return 0;
    }
    let sql = "SELECT greatest(reltuples, 0)::bigint FROM pg_class WHERE oid = $1";
    let args = [Arg::oid(inspection.call.store.memories)];
    session
        .read(sql, Planning::Generic, &args)
        .get(0, 1)
        .unwrap_or(0)
}

/// What the pass has met.
#[derive(Default)]
pub struct Pass {
    rows: i64,
    embedded: i64,
    waiting: i64,
    sensitive: i64,
    deleted: i64,
    deduplicated: i64,
    content_hash: Met,
    dedupe_hash: Met,
    secrets: Met,
    dimensions: Met,
    values: Met,
    sketch: Met,
    missing: Met,
    stale: Met,
    expired: Met,
    tombstones: Met,
    sample: Draw,
}

impl Pass {
    pub fn over(inspection: &Inspection<'_>, session: &Session) -> Self {
        let sql = inspection.call.store.sql(&format!(
            "SELECT {COLUMNS} FROM @s@.memories m WHERE ($1::text IS NULL OR m.project_id = $1)"
        ));
        let mut pass = Pass {
            sample: Draw::new(inspection.sample),
            ..Pass::default()
        };
        let args = [inspection.project(), guc::tombstone_retention().into()];
        let dimensions = inspection.call.store.dimensions;
        let progress = Progress::of(Phase::Checking, about(inspection, session));
        session.scan(&sql, Planning::Custom, &args, BATCH, |rows| {
            system::check_for_interrupts();
            for row in 0..rows.len() {
                pass.look(&Row { rows, row }, dimensions);
            }
            progress.note(pass.rows.unsigned_abs());
        });
        pass
    }

    fn look(&mut self, row: &Row<'_, '_>, dimensions: usize) {
        self.rows += 1;
        let live = row.is(19);
        if row.is(21) {
            self.expired.one(|| row.named());
        }
        if !live {
            self.deleted += 1;
            if row.is(22) {
                self.tombstones.one(|| row.named());
            }
        }
        let whole = self.hashes(row);
        let vector = row.bytes(15);
        let sensitive = row.is(13);
        if sensitive {
            self.sensitive += 1;
            if vector.is_some() || row.is(18) {
                self.secrets.one(|| row.named());
            }
            return;
        }
        let Some(vector) = vector else {
            if live && !row.is(20) {
                self.waiting += 1;
                self.missing.one(|| row.named());
            }
            return;
        };
        self.embedded += 1;
        match vector::shape(&vector, dimensions) {
            Shape::Dimensions(is) => {
                self.dimensions
                    .one(|| row.named_with("dimensions", is.into()));
                return;
            }
            Shape::NotFinite => {
                self.values
                    .one(|| row.named_with("has", "NaN or infinity".into()));
                return;
            }
            Shape::Zero => {
                self.values
                    .one(|| row.named_with("has", "zeros only".into()));
                return;
            }
            Shape::Sound => {}
        }
        let sketched = row
            .bytes(16)
            .is_some_and(|sketch| vector::is_sketch(&sketch, &vector, dimensions));
        if !sketched {
            self.sketch.one(|| row.named());
        }
        if !whole {
            return;
        }
        if row.bytes(17) != row.bytes(4) {
            self.stale.one(|| row.named());
            return;
        }
        self.sample.offer(|| row.key());
    }

    /// Whether the row has the hashes of its content.
    fn hashes(&mut self, row: &Row<'_, '_>) -> bool {
        let content = row.bytes(3).unwrap_or_default();
        let hash = std::str::from_utf8(&content).ok().map(text::content_hash);
        let stored = row.bytes(4);
        let Some(hash) = hash.filter(|hash| stored.as_deref() == Some(hash.as_slice())) else {
            self.content_hash.one(|| row.named());
            return false;
        };
        if let Some(stored) = row.bytes(5) {
            self.deduplicated += 1;
            if !row.is_deduplicated_by(&stored, &hash) {
                self.dedupe_hash.one(|| row.named());
            }
        }
        true
    }

    /// The rows that were drawn, fit to be embedded again and searched for.
    pub fn take_sample(&mut self) -> Sample {
        std::mem::take(&mut self.sample).drawn()
    }

    pub fn findings(self, inspection: &Inspection<'_>, all: bool) -> Vec<Finding> {
        let external = inspection.call.store.embedder == Embedder::External;
        let mut findings = Vec::new();
        if all {
            findings.push(
                Finding::of(
                    CONTENT_HASH,
                    Status::Error,
                    self.content_hash,
                    "Content or hash was changed behind the extension: compare with a backup, then set the content again with memory_update().",
                )
                .with("checked", self.rows),
            );
            findings.push(
                Finding::of(
                    DEDUPE_HASH,
                    Status::Error,
                    self.dedupe_hash,
                    "A column that makes up the memory's identity (namespace, scope, agent, user, session, entity, type, sensitivity) or the hash was changed behind the extension: compare with a backup.",
                )
                .with("checked", self.deduplicated),
            );
        } else {
            findings.push(
                Finding::ok(COUNTS)
                    .with("rows", self.rows)
                    .with("embedded", self.embedded)
                    .with("waiting", self.waiting)
                    .with("stale", self.stale.count)
                    .with("sensitive", self.sensitive)
                    .with("deleted", self.deleted),
            );
        }
        findings.push(
            Finding::of(
                SECRETS,
                Status::Error,
                self.secrets,
                "UPDATE memories SET embedding = NULL WHERE is_sensitive AND embedding IS NOT NULL; then find out who disabled the trigger or the constraint that keeps secrets out.",
            )
            .with("checked", self.sensitive),
        );
        let checked = |finding: Finding| finding.with("checked", self.embedded);
        let again = match external {
            true => "Bring the vector again: memory_update(id, embedding => ...).",
            false => "SELECT memory_reembed() makes the vectors anew.",
        };
        findings.push(checked(Finding::of(
            DIMENSIONS,
            Status::Error,
            self.dimensions,
            again,
        )));
        findings.push(checked(Finding::of(
            VALUES,
            Status::Error,
            self.values,
            again,
        )));
        findings.push(checked(Finding::of(
            SKETCH,
            Status::Error,
            self.sketch,
            again,
        )));
        // Where callers bring the vectors, what lacks one waits for it: no more than that.
        let (severity, missing, stale) = match external {
            true => (
                Status::Warning,
                "These wait for their vectors: memory_update(id, embedding => ...) brings one.",
                "These wait for the vectors of their present text: memory_update(id, embedding => ...) brings one.",
            ),
            false => (
                Status::Error,
                "SELECT memory_reembed(only_stale => true) makes what is missing.",
                "SELECT memory_reembed(only_stale => true) makes them anew.",
            ),
        };
        findings.push(Finding::of(MISSING, severity, self.missing, missing));
        findings.push(Finding::of(STALE, severity, self.stale, stale));
        if all {
            findings.push(backlog(EXPIRED, self.expired, "Call memory_expire() from a scheduler, or preload the library: its worker removes them."));
            findings.push(backlog(TOMBSTONES, self.tombstones, "Call memory_expire() from a scheduler, or preload the library: its worker removes tombstones older than memory_ext.tombstone_retention."));
        }
        findings
    }
}

/// Nothing is wrong with what is over and still there, until it is clear that nobody removes it: it is over for more than a day,
/// which every schedule should have met, and it is more than the worker removes at once.
fn backlog(check: &'static str, over: Met, hint: &str) -> Finding {
    let (count, limit) = (over.count, i64::from(guc::expire_batch()));
    match count > limit {
        true => Finding::of(check, Status::Warning, over, hint),
        false => Finding::ok(check),
    }
    .with("over_for_a_day", count)
    .with("limit", limit)
}

/// A row of the pass.
pub struct Row<'a, 's> {
    rows: &'a Rows<'s>,
    row: usize,
}

impl Row<'_, '_> {
    fn bytes(&self, column: usize) -> Option<std::borrow::Cow<'_, [u8]>> {
        self.rows.bytes(self.row, column)
    }

    fn is(&self, column: usize) -> bool {
        self.rows.get(self.row, column) == Some(true)
    }

    fn named(&self) -> Value {
        memory(
            &self.bytes(1).unwrap_or_default(),
            &self.bytes(2).unwrap_or_default(),
        )
    }

    fn key(&self) -> (String, String) {
        let text =
            |column| String::from_utf8_lossy(&self.bytes(column).unwrap_or_default()).into_owned();
        (text(1), text(2))
    }

    fn named_with(&self, name: &str, value: Value) -> Value {
        let mut named = self.named();
        named[name] = value;
        named
    }

    /// Whether a deduplication key is the one of this row's identity; a deprecated row has its id behind it.
    fn is_deduplicated_by(&self, stored: &[u8], content_hash: &[u8; 32]) -> bool {
        let columns: [_; 7] = std::array::from_fn(|place| self.bytes(6 + place));
        let mut texts = [None; 7];
        for (text, column) in texts.iter_mut().zip(&columns) {
            match column.as_deref().map(std::str::from_utf8) {
                None => {}
                Some(Ok(name)) => *text = Some(name),
                Some(Err(_)) => return false,
            }
        }
        let [
            namespace,
            scope,
            agent_id,
            user_id,
            session_id,
            entity_id,
            memory_type,
        ] = texts;
        let expected = dedupe_hash(&Identifying {
            namespace: namespace.unwrap_or_default(),
            scope: scope.unwrap_or_default(),
            agent_id,
            user_id,
            session_id,
            entity_id,
            memory_type: memory_type.unwrap_or_default(),
            sensitive: self.is(13),
            content_hash,
        });
        let Some((key, behind)) = stored.split_at_checked(HASH_BYTES) else {
            return false;
        };
        let id = match self.is(14) {
            true => self.bytes(1).unwrap_or_default(),
            false => Default::default(),
        };
        key == expected && *behind == *id
    }
}
