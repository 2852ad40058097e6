//! What is counted: the functions that users call, by a closed set of names. Metrics have them as a label, and labels are bounded.

macro_rules! operations {
    ($($variant:ident => $name:literal,)*) => {
        /// A function of the extension; its name is that of the function without "memory_".
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Operation {
            $($variant,)*
        }

        const NAMES: &[&str] = &[$($name),*];
    };
}

operations! {
    Add => "add",
    AddMany => "add_many",
    AsOf => "as_of",
    AuditAnchor => "audit_anchor",
    AuditExport => "audit_export",
    AuditSeal => "audit_seal",
    AuditVerify => "audit_verify",
    Backup => "backup",
    BackupRotate => "backup_rotate",
    BackupStream => "backup_stream",
    BackupVerify => "backup_verify",
    CheckIntegrity => "check_integrity",
    CleanupOrphans => "cleanup_orphans",
    Consolidate => "consolidate",
    Context => "context",
    Count => "count",
    Curate => "curate",
    Delete => "delete",
    Delta => "delta",
    Deprecate => "deprecate",
    Duplicates => "duplicates",
    Embed => "embed",
    EntityFacts => "entity_facts",
    Expire => "expire",
    Explain => "explain",
    Export => "export",
    FeatureCreate => "feature_create",
    FeatureGet => "feature_get",
    FeatureList => "feature_list",
    FeatureUpdate => "feature_update",
    Forget => "forget",
    Get => "get",
    Grant => "grant",
    Handoff => "handoff",
    Health => "health",
    History => "history",
    Import => "import",
    ImportDocument => "import_document",
    ImportInbox => "import_inbox",
    Init => "init",
    KvAlias => "kv_alias",
    KvDelete => "kv_delete",
    KvGet => "kv_get",
    KvList => "kv_list",
    KvSet => "kv_set",
    List => "list",
    Maintenance => "maintenance",
    MaintenanceHistory => "maintenance_history",
    Metrics => "metrics",
    Migrate => "migrate",
    Playbook => "playbook",
    Progress => "progress",
    Ready => "ready",
    RebuildIndex => "rebuild_index",
    RebuildScript => "rebuild_script",
    RecallCheck => "recall_check",
    Reembed => "reembed",
    Reflect => "reflect",
    Restore => "restore",
    RestoreStream => "restore_stream",
    RestoreVersion => "restore_version",
    Reveal => "reveal",
    Revoke => "revoke",
    RunComplete => "run_complete",
    RunGet => "run_get",
    RunStart => "run_start",
    Scan => "scan",
    Search => "search",
    SecurityCheck => "security_check",
    SessionGet => "session_get",
    SessionList => "session_list",
    SessionStart => "session_start",
    SessionUpdate => "session_update",
    Stats => "stats",
    Timeline => "timeline",
    Touch => "touch",
    Undeprecate => "undeprecate",
    Update => "update",
    ValidateVectors => "validate_vectors",
    Version => "version",
    Vote => "vote",
    Votes => "votes",
}

impl Operation {
    pub const COUNT: usize = NAMES.len();

    /// Its place in the order of the names.
    pub fn place(self) -> usize {
        self as usize
    }

    /// The name at a place; shared memory has places.
    pub fn name_at(place: usize) -> Option<&'static str> {
        NAMES.get(place).copied()
    }

    pub fn names() -> &'static [&'static str] {
        NAMES
    }
}
