//! The command line. Every flag has an environment variable, and `--help` shows both with the default.

use std::path::PathBuf;

use clap::builder::FalseyValueParser;
use clap::{Args, Parser, Subcommand, ValueEnum};

#[derive(Parser)]
#[command(
    name = "memory_bench",
    version,
    about = "memory_ext beside hand-written pgvector SQL"
)]
pub struct Cli {
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Subcommand)]
pub enum Command {
    /// Speed of search, writing, restoring and embedding
    Bench(BenchOptions),
    /// Recall and nDCG of search on LoCoMo
    Quality(QualityOptions),
    /// Memory of one session over many mixed calls: `bench --only memory`
    Soak(SoakOptions),
    /// What a store takes: disk, memory, time of a build and of a search
    Capacity(CapacityOptions),
}

#[derive(Args, Clone)]
pub struct Connection {
    /// Superuser's connection to a server on this machine that has memory_ext and pgvector installed
    #[arg(long, env = "DATABASE_URL", hide_env_values = true)]
    pub url: String,
    /// First part of the names of the databases that are made, and dropped again
    #[arg(long, env = "BENCH_DATABASE", default_value = "memory_bench")]
    pub database: String,
    /// Leave the databases there at the end; a loaded store that no section has written to is used again by the next run of the same sizes
    #[arg(long, env = "BENCH_KEEP", value_parser = FalseyValueParser::new())]
    pub keep: bool,
}

#[derive(Args, Clone)]
pub struct Output {
    /// Also write the table as JSON to this file
    #[arg(long, env = "BENCH_JSON")]
    pub json: Option<PathBuf>,
    /// Exit with status 1 when a target is missed
    #[arg(long, env = "BENCH_STRICT", value_parser = FalseyValueParser::new())]
    pub strict: bool,
}

#[derive(Args, Clone)]
pub struct BenchOptions {
    #[command(flatten)]
    pub connection: Connection,
    #[command(flatten)]
    pub output: Output,
    /// Sections to run [default: all]
    #[arg(long, env = "BENCH_ONLY", value_delimiter = ',')]
    pub only: Vec<Section>,
    /// Folder of real texts and vectors; generated ones are used when it is absent
    #[arg(
        long,
        env = "DIALOGUE_DATA",
        default_value = "../shared/data/dialogue-20k"
    )]
    pub data: PathBuf,
    /// Seed of noise, shuffles and drawings
    #[arg(long, env = "BENCH_SEED", default_value_t = 1)]
    pub seed: u64,
    /// Memories in the store of 384 dimensions
    #[arg(long, env = "BENCH_ROWS", default_value_t = 100_000)]
    pub rows: usize,
    /// Projects that share them
    #[arg(long, env = "BENCH_PROJECTS", default_value_t = 200, value_parser = clap::value_parser!(u16).range(5..=5000))]
    pub projects: u16,
    /// Timed queries at each selectivity
    #[arg(long, env = "BENCH_QUERIES", default_value_t = 200)]
    pub queries: usize,
    /// Queries with which the hand-written candidates are sifted first
    #[arg(long, env = "BENCH_PILOT_QUERIES", default_value_t = 20)]
    pub pilot_queries: usize,
    /// Memories in the store of 1536 dimensions
    #[arg(long, env = "BENCH_WIDE_ROWS", default_value_t = 20_000)]
    pub wide_rows: usize,
    /// Those of them in the project that is searched
    #[arg(long, env = "BENCH_WIDE_PROJECT", default_value_t = 5_000)]
    pub wide_project: usize,
    /// Clients that add at once, one run for each number
    #[arg(
        long,
        env = "BENCH_CLIENTS",
        value_delimiter = ',',
        default_value = "1,8"
    )]
    pub clients: Vec<usize>,
    /// Seconds that each side adds one by one, in turns of two seconds
    #[arg(long, env = "BENCH_WRITE_SECONDS", default_value_t = 30)]
    pub write_seconds: u64,
    /// synchronous_commit of both sides while adding; `on` lets the disk's flush hide what the functions cost
    #[arg(long, env = "BENCH_SYNCHRONOUS_COMMIT", default_value = "off")]
    pub synchronous_commit: String,
    /// Memories of one memory_add_many
    #[arg(long, env = "BENCH_BATCH", default_value_t = 1000)]
    pub batch: usize,
    /// Batches that each side adds, in turns
    #[arg(long, env = "BENCH_BATCHES", default_value_t = 10)]
    pub batches: usize,
    /// Restores and imports of each side, in turns; the fastest counts
    #[arg(long, env = "BENCH_RESTORES", default_value_t = 2)]
    pub restores: usize,
    /// Memories of one file that is imported
    #[arg(long, env = "BENCH_IMPORT_ROWS", default_value_t = 20_000)]
    pub import_rows: usize,
    /// maintenance_work_mem of every index build, on both sides
    #[arg(long, env = "BENCH_MAINTENANCE_WORK_MEM", default_value = "512MB")]
    pub maintenance_work_mem: String,
    /// Texts to embed
    #[arg(long, env = "BENCH_EMBED_TEXTS", default_value_t = 100_000)]
    pub embed_texts: usize,
    #[command(flatten)]
    pub soak: SoakSizes,
}

#[derive(Args, Clone)]
pub struct SoakOptions {
    #[command(flatten)]
    pub connection: Connection,
    #[command(flatten)]
    pub output: Output,
    /// Folder of real texts; generated ones are used when it is absent
    #[arg(
        long,
        env = "DIALOGUE_DATA",
        default_value = "../shared/data/dialogue-20k"
    )]
    pub data: PathBuf,
    /// Seed of the mix of calls
    #[arg(long, env = "BENCH_SEED", default_value_t = 1)]
    pub seed: u64,
    #[command(flatten)]
    pub soak: SoakSizes,
}

#[derive(Args, Clone)]
pub struct CapacityOptions {
    #[command(flatten)]
    pub connection: Connection,
    #[command(flatten)]
    pub output: Output,
    /// Folder of real texts and vectors; generated ones are used when it is absent
    #[arg(
        long,
        env = "DIALOGUE_DATA",
        default_value = "../shared/data/dialogue-20k"
    )]
    pub data: PathBuf,
    /// Seed of noise and shuffles
    #[arg(long, env = "BENCH_SEED", default_value_t = 1)]
    pub seed: u64,
    /// Memories in a store of 384 dimensions, one store for each number
    #[arg(
        long,
        env = "BENCH_CAPACITY_ROWS",
        value_delimiter = ',',
        default_value = "10000,50000,100000"
    )]
    pub rows: Vec<usize>,
    /// Memories in a store of 1536 dimensions, one store for each number
    #[arg(
        long,
        env = "BENCH_CAPACITY_WIDE_ROWS",
        value_delimiter = ',',
        default_value = "10000"
    )]
    pub wide_rows: Vec<usize>,
    /// maintenance_work_mem of every index build
    #[arg(long, env = "BENCH_MAINTENANCE_WORK_MEM", default_value = "512MB")]
    pub maintenance_work_mem: String,
}

#[derive(Args, Clone, Copy)]
pub struct SoakSizes {
    /// Mixed calls in one session whose memory is watched
    #[arg(long, env = "BENCH_SOAK_CALLS", default_value_t = 100_000)]
    pub soak_calls: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Section {
    /// memory_search by vector at selectivities 50, 10, 1 and 0.1 %
    Vector,
    /// memory_search by text and vector
    Hybrid,
    /// what counting a call adds to memory_search
    Counting,
    /// memory_playbook
    Playbook,
    /// memory_check_integrity
    Integrity,
    /// memory_vote
    Vote,
    /// memory_backup and memory_restore
    Backup,
    /// pg_restore of a store
    Restore,
    /// memory_add
    Add,
    /// memory_add_many
    AddMany,
    /// memory_import_inbox of a file
    Import,
    /// memory_search by vector of 1536 dimensions
    Wide,
    /// memory_embed
    Embed,
    /// growth of a session's memory
    Memory,
}

impl BenchOptions {
    pub fn wants(&self, section: Section) -> bool {
        self.only.is_empty() || self.only.contains(&section)
    }

    pub fn wants_any(&self, sections: &[Section]) -> bool {
        sections.iter().any(|section| self.wants(*section))
    }
}

#[derive(Args, Clone)]
pub struct QualityOptions {
    #[command(flatten)]
    pub connection: Connection,
    #[command(flatten)]
    pub output: Output,
    /// Folder of LoCoMo conversations, questions and their vectors
    #[arg(long, env = "LOCOMO_DATA", default_value = "../shared/data/locomo-dev")]
    pub data: PathBuf,
    /// Also show hybrid search at text weights 0.3 to 0.8
    #[arg(long, env = "QUALITY_TEXT_WEIGHTS", value_parser = FalseyValueParser::new())]
    pub text_weights: bool,
}
