//! The settings, all under the prefix `memory_ext.`.

use std::ffi::CString;

use pgrx::guc::{GucContext, GucFlags, GucRegistry, GucSetting, PostgresGucEnum};
use pgrx::pg_sys;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, PostgresGucEnum)]
pub enum Audit {
    #[name = c"off"]
    Off,
    #[name = c"standard"]
    Standard,
    #[name = c"full"]
    Full,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PostgresGucEnum)]
pub enum VectorPath {
    #[name = c"auto"]
    Auto,
    #[name = c"exact"]
    Exact,
    #[name = c"sketch"]
    Sketch,
    #[name = c"hnsw"]
    Hnsw,
}

/// What becomes of a memory in which something is found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PostgresGucEnum)]
pub enum ContentPolicy {
    #[name = c"allow"]
    Allow,
    #[name = c"flag"]
    Flag,
    #[name = c"redact"]
    Redact,
    #[name = c"reject"]
    Reject,
}

impl ContentPolicy {
    pub fn name(self) -> &'static str {
        match self {
            ContentPolicy::Allow => "allow",
            ContentPolicy::Flag => "flag",
            ContentPolicy::Redact => "redact",
            ContentPolicy::Reject => "reject",
        }
    }
}

static PROJECT: GucSetting<Option<CString>> = GucSetting::<Option<CString>>::new(None);
static AS_OF: GucSetting<Option<CString>> = GucSetting::<Option<CString>>::new(None);
static AUTO_INIT: GucSetting<bool> = GucSetting::<bool>::new(true);
static AUDIT: GucSetting<Audit> = GucSetting::<Audit>::new(Audit::Standard);
static VECTOR_PATH: GucSetting<VectorPath> = GucSetting::<VectorPath>::new(VectorPath::Auto);
static EXACT_THRESHOLD: GucSetting<i32> = GucSetting::<i32>::new(-1);
static EF_SEARCH: GucSetting<i32> = GucSetting::<i32>::new(0);
static MAX_SCAN_TUPLES: GucSetting<i32> = GucSetting::<i32>::new(40_000);
static TEXT_WEIGHT: GucSetting<f64> = GucSetting::<f64>::new(0.5);
static EFFECTIVENESS_WEIGHT: GucSetting<f64> = GucSetting::<f64>::new(0.3);
static DECAY: GucSetting<bool> = GucSetting::<bool>::new(false);
static PII_POLICY: GucSetting<ContentPolicy> =
    GucSetting::<ContentPolicy>::new(ContentPolicy::Allow);
static SECRET_POLICY: GucSetting<ContentPolicy> =
    GucSetting::<ContentPolicy>::new(ContentPolicy::Allow);
static INJECTION_POLICY: GucSetting<ContentPolicy> =
    GucSetting::<ContentPolicy>::new(ContentPolicy::Allow);
static HIDE_FLAGGED: GucSetting<bool> = GucSetting::<bool>::new(false);
static MAX_CONTENT_BYTES: GucSetting<i32> = GucSetting::<i32>::new(1 << 20);
static DEFAULT_TTL: GucSetting<i32> = GucSetting::<i32>::new(0);
static MAX_BATCH: GucSetting<i32> = GucSetting::<i32>::new(10_000);
static EMBEDDING_CACHE_ROWS: GucSetting<i32> = GucSetting::<i32>::new(0);
static DATABASES: GucSetting<Option<CString>> = GucSetting::<Option<CString>>::new(Some(c"*"));
static NAPTIME: GucSetting<i32> = GucSetting::<i32>::new(60);
static EXPIRE_BATCH: GucSetting<i32> = GucSetting::<i32>::new(1000);
static TOMBSTONE_RETENTION: GucSetting<i32> = GucSetting::<i32>::new(30);
static MAINTENANCE_INTERVAL: GucSetting<i32> = GucSetting::<i32>::new(0);
static SEAL_INTERVAL: GucSetting<i32> = GucSetting::<i32>::new(3600);
static AUDIT_KEY_FILE: GucSetting<Option<CString>> = GucSetting::<Option<CString>>::new(None);
static BACKUP_DIRECTORY: GucSetting<Option<CString>> = GucSetting::<Option<CString>>::new(None);
static BACKUP_KEY_FILE: GucSetting<Option<CString>> = GucSetting::<Option<CString>>::new(None);

/// Defines every setting and reserves the prefix, so that a misspelt name is an error.
pub fn define() {
    GucRegistry::define_string_guc(
        c"memory_ext.project",
        c"Project of a call that names none.",
        c"Empty means 'default'.",
        &PROJECT,
        GucContext::Userset,
        GucFlags::default(),
    );
    GucRegistry::define_string_guc(
        c"memory_ext.as_of",
        c"Past time as of which memories are read.",
        c"Empty means now. While it is set, functions that write refuse, and so do those that know no past.",
        &AS_OF,
        GucContext::Userset,
        GucFlags::default(),
    );
    GucRegistry::define_bool_guc(
        c"memory_ext.auto_init",
        c"Lets the first memory_add create the store.",
        c"When off, memory_init() has to be called first.",
        &AUTO_INIT,
        GucContext::Userset,
        GucFlags::default(),
    );
    GucRegistry::define_enum_guc(
        c"memory_ext.audit",
        c"What memory_events records.",
        c"off: nothing; standard: every change but what full adds: add, touch, expire and vote. Where old versions are sealed, erasing some is recorded always.",
        &AUDIT,
        GucContext::Suset,
        GucFlags::default(),
    );
    GucRegistry::define_enum_guc(
        c"memory_ext.vector_path",
        c"How memory_search finds the nearest vectors.",
        c"auto chooses by the size of the searched set; exact, sketch and hnsw force one, for tests and diagnosis.",
        &VECTOR_PATH,
        GucContext::Userset,
        GucFlags::default(),
    );
    GucRegistry::define_int_guc(
        c"memory_ext.exact_threshold",
        c"Largest number of matching memories that memory_search compares one by one.",
        c"-1 derives it from the store's dimensions.",
        &EXACT_THRESHOLD,
        -1,
        i32::MAX,
        GucContext::Userset,
        GucFlags::default(),
    );
    GucRegistry::define_int_guc(
        c"memory_ext.ef_search",
        c"Candidate list of an HNSW search.",
        c"0 derives it from k and from the share of the store that is searched.",
        &EF_SEARCH,
        0,
        1000,
        GucContext::Userset,
        GucFlags::default(),
    );
    GucRegistry::define_int_guc(
        c"memory_ext.max_scan_tuples",
        c"Most rows an HNSW search visits before memory_search falls back to comparing all.",
        c"Passed to hnsw.max_scan_tuples for the time of the search.",
        &MAX_SCAN_TUPLES,
        100,
        i32::MAX,
        GucContext::Userset,
        GucFlags::default(),
    );
    GucRegistry::define_float_guc(
        c"memory_ext.text_weight",
        c"Weight of the text arm in a hybrid search; the vector arm has the rest.",
        c"Used when the call gives no text_weight.",
        &TEXT_WEIGHT,
        0.0,
        1.0,
        GucContext::Userset,
        GucFlags::default(),
    );
    GucRegistry::define_float_guc(
        c"memory_ext.effectiveness_weight",
        c"Weight of the votes in memory_playbook's score; relevance has the rest.",
        c"The votes count by a lower bound of their effectiveness.",
        &EFFECTIVENESS_WEIGHT,
        0.0,
        1.0,
        GucContext::Userset,
        GucFlags::default(),
    );
    GucRegistry::define_bool_guc(
        c"memory_ext.decay",
        c"Whether memories fade with age in memory_search and memory_playbook, each type at its own pace.",
        c"The half-lives are in the table memory_types.",
        &DECAY,
        GucContext::Userset,
        GucFlags::default(),
    );
    GucRegistry::define_enum_guc(
        c"memory_ext.pii_policy",
        c"What becomes of a memory with personal data in it.",
        c"allow, flag (content_flags says what was found), redact (a marker in its place) or reject; secret memories are not looked at.",
        &PII_POLICY,
        GucContext::Suset,
        GucFlags::default(),
    );
    GucRegistry::define_enum_guc(
        c"memory_ext.secret_policy",
        c"What becomes of a memory with a password, key or token in it.",
        c"allow, flag (content_flags says what was found), redact (a marker in its place) or reject; secret memories are not looked at.",
        &SECRET_POLICY,
        GucContext::Suset,
        GucFlags::default(),
    );
    GucRegistry::define_enum_guc(
        c"memory_ext.injection_policy",
        c"What becomes of a memory that gives a model instructions (prompt injection).",
        c"allow, flag (content_flags says what was found), redact (a marker in its place) or reject; secret memories are not looked at.",
        &INJECTION_POLICY,
        GucContext::Suset,
        GucFlags::default(),
    );
    GucRegistry::define_bool_guc(
        c"memory_ext.hide_flagged",
        c"Leaves flagged memories out of searches, contexts and playbooks.",
        c"The policies flag them when they are written; memory_get and memory_list show them.",
        &HIDE_FLAGGED,
        GucContext::Userset,
        GucFlags::default(),
    );
    GucRegistry::define_int_guc(
        c"memory_ext.max_content_bytes",
        c"Longest content of a memory.",
        c"A longer one is refused.",
        &MAX_CONTENT_BYTES,
        1,
        16 << 20,
        GucContext::Suset,
        GucFlags::UNIT_BYTE,
    );
    GucRegistry::define_int_guc(
        c"memory_ext.default_ttl",
        c"Time to live of a memory that is added without one.",
        c"0 means it does not expire.",
        &DEFAULT_TTL,
        0,
        i32::MAX,
        GucContext::Userset,
        GucFlags::UNIT_S,
    );
    GucRegistry::define_int_guc(
        c"memory_ext.max_batch",
        c"Most items of one memory_add_many call.",
        c"A larger batch is refused.",
        &MAX_BATCH,
        1,
        1_000_000,
        GucContext::Userset,
        GucFlags::default(),
    );
    GucRegistry::define_int_guc(
        c"memory_ext.embedding_cache_rows",
        c"Vectors kept in embedding_cache for a store whose callers bring the vectors.",
        c"An add without a vector takes the one of equal content from there; 0 keeps none. The worker evicts.",
        &EMBEDDING_CACHE_ROWS,
        0,
        i32::MAX,
        GucContext::Suset,
        GucFlags::default(),
    );
    GucRegistry::define_string_guc(
        c"memory_ext.databases",
        c"Databases the background worker looks after.",
        c"A comma-separated list, or * for every database that has the extension. Needs shared_preload_libraries.",
        &DATABASES,
        GucContext::Sighup,
        GucFlags::default(),
    );
    GucRegistry::define_int_guc(
        c"memory_ext.naptime",
        c"Time between two runs of the background worker.",
        c"Each run removes expired memories and old tombstones.",
        &NAPTIME,
        1,
        86_400,
        GucContext::Sighup,
        GucFlags::UNIT_S,
    );
    GucRegistry::define_int_guc(
        c"memory_ext.expire_batch",
        c"Rows the background worker removes in one transaction.",
        c"It goes on until none is left.",
        &EXPIRE_BATCH,
        1,
        1_000_000,
        GucContext::Sighup,
        GucFlags::default(),
    );
    GucRegistry::define_int_guc(
        c"memory_ext.tombstone_retention",
        c"Days a deleted memory is kept before the background worker removes it.",
        c"-1 keeps it for ever.",
        &TOMBSTONE_RETENTION,
        -1,
        36_500,
        GucContext::Sighup,
        GucFlags::default(),
    );
    GucRegistry::define_int_guc(
        c"memory_ext.maintenance_interval",
        c"Time between two rounds of maintenance by the background worker.",
        c"Each round checks the store and removes what is orphaned; memory_maintenance_history() has its reports. 0 means none.",
        &MAINTENANCE_INTERVAL,
        0,
        i32::MAX,
        GucContext::Sighup,
        GucFlags::UNIT_S,
    );
    GucRegistry::define_int_guc(
        c"memory_ext.seal_interval",
        c"Time between two seals of the audit trail by the background worker.",
        c"It seals what was recorded since, as memory_audit_seal() does. 0 means never.",
        &SEAL_INTERVAL,
        0,
        i32::MAX,
        GucContext::Sighup,
        GucFlags::UNIT_S,
    );
    GucRegistry::define_string_guc(
        c"memory_ext.audit_key_file",
        c"File of the server with the key that audit seals are made with.",
        c"A key a line, of 32 random bytes as 64 hexadecimal digits or as base64: the first makes seals, the others made former ones. Empty: seals are plain hashes.",
        &AUDIT_KEY_FILE,
        GucContext::Suset,
        GucFlags::SUPERUSER_ONLY,
    );
    GucRegistry::define_string_guc(
        c"memory_ext.backup_directory",
        c"Directory of the server that memory_backup and memory_restore work in.",
        c"Relative paths start here; other files are for members of pg_read_server_files and pg_write_server_files. Empty: none.",
        &BACKUP_DIRECTORY,
        GucContext::Suset,
        GucFlags::default(),
    );
    GucRegistry::define_string_guc(
        c"memory_ext.backup_key_file",
        c"File of the server with the key of backups that name no key.",
        c"32 random bytes: raw, as 64 hexadecimal digits or as base64; or passphrase: and a passphrase.",
        &BACKUP_KEY_FILE,
        GucContext::Suset,
        GucFlags::SUPERUSER_ONLY,
    );
    // SAFETY: called from _PG_init, on the main thread, with a NUL-terminated literal.
    unsafe { pg_sys::MarkGUCPrefixReserved(c"memory_ext".as_ptr()) };
}

fn text(setting: &GucSetting<Option<CString>>) -> String {
    setting
        .get()
        .map(|value| value.to_string_lossy().into_owned())
        .unwrap_or_default()
}

/// The session's project, `None` when it set none.
pub fn project() -> Option<String> {
    Some(text(&PROJECT)).filter(|project| !project.is_empty())
}

/// The past time that memories are read of, as it was written; `None` when it is now.
pub fn as_of() -> Option<String> {
    Some(text(&AS_OF)).filter(|time| !time.is_empty())
}

pub fn auto_init() -> bool {
    AUTO_INIT.get()
}

pub fn audit() -> Audit {
    AUDIT.get()
}

pub fn vector_path() -> VectorPath {
    VECTOR_PATH.get()
}

/// `None` when it is to be derived.
pub fn exact_threshold() -> Option<u64> {
    u64::try_from(EXACT_THRESHOLD.get()).ok()
}

/// `None` when it is to be derived.
pub fn ef_search() -> Option<u32> {
    u32::try_from(EF_SEARCH.get()).ok().filter(|ef| *ef > 0)
}

pub fn max_scan_tuples() -> u32 {
    MAX_SCAN_TUPLES.get().unsigned_abs()
}

pub fn text_weight() -> f64 {
    TEXT_WEIGHT.get()
}

pub fn effectiveness_weight() -> f64 {
    EFFECTIVENESS_WEIGHT.get()
}

pub fn decay() -> bool {
    DECAY.get()
}

pub fn pii_policy() -> ContentPolicy {
    PII_POLICY.get()
}

pub fn secret_policy() -> ContentPolicy {
    SECRET_POLICY.get()
}

pub fn injection_policy() -> ContentPolicy {
    INJECTION_POLICY.get()
}

pub fn hide_flagged() -> bool {
    HIDE_FLAGGED.get()
}

pub fn max_content_bytes() -> usize {
    MAX_CONTENT_BYTES.get().unsigned_abs() as usize
}

/// Seconds, `None` when memories are to live for ever.
pub fn default_ttl() -> Option<i32> {
    Some(DEFAULT_TTL.get()).filter(|seconds| *seconds > 0)
}

pub fn max_batch() -> usize {
    MAX_BATCH.get().unsigned_abs() as usize
}

pub fn embedding_cache_rows() -> i64 {
    i64::from(EMBEDDING_CACHE_ROWS.get())
}

pub fn databases() -> String {
    text(&DATABASES)
}

pub fn naptime() -> std::time::Duration {
    std::time::Duration::from_secs(u64::from(NAPTIME.get().unsigned_abs()))
}

pub fn expire_batch() -> i32 {
    EXPIRE_BATCH.get()
}

/// Days, `None` when tombstones are kept for ever.
pub fn tombstone_retention() -> Option<i32> {
    Some(TOMBSTONE_RETENTION.get()).filter(|days| *days >= 0)
}

/// Seconds, `None` when the worker does no maintenance.
pub fn maintenance_interval() -> Option<i32> {
    Some(MAINTENANCE_INTERVAL.get()).filter(|seconds| *seconds > 0)
}

/// Seconds, `None` when the worker makes no seals.
pub fn seal_interval() -> Option<i32> {
    Some(SEAL_INTERVAL.get()).filter(|seconds| *seconds > 0)
}

/// `None` when there is none.
pub fn audit_key_file() -> Option<String> {
    Some(text(&AUDIT_KEY_FILE)).filter(|path| !path.is_empty())
}

/// `None` when there is none.
pub fn backup_directory() -> Option<String> {
    Some(text(&BACKUP_DIRECTORY)).filter(|directory| !directory.is_empty())
}

/// `None` when there is none.
pub fn backup_key_file() -> Option<String> {
    Some(text(&BACKUP_KEY_FILE)).filter(|path| !path.is_empty())
}
