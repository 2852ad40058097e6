//! What `quality` measures: whether search finds the turns of a conversation that answer a question.

mod locomo;
mod metrics;
mod reference;

use pgvector::Vector;
use postgres::Client;

use crate::corpus::DIMENSIONS;
use crate::options::QualityOptions;
use crate::report::{Line, Report, Target};
use crate::server::{Database, Server};
use crate::{Result, progress, store};
use locomo::Locomo;
use metrics::Metrics;

/// Results of one search.
const K: usize = 10;
/// recall@10 to reach.
const TEXT_RECALL: f64 = 0.60;
const HYBRID_RECALL: f64 = 0.63;

/// Metrics of one store's three modes.
struct Modes {
    text: Metrics,
    vector: Metrics,
    hybrid: Metrics,
}

pub fn run(options: &QualityOptions) -> Result<Option<Report>> {
    let Some(data) = Locomo::open(&options.data)? else {
        println!(
            "no LoCoMo data in {}: nothing was measured (LOCOMO_DATA names another folder)",
            options.data.display()
        );
        return Ok(None);
    };
    let server = Server::new(&options.connection)?;
    let mut report = Report::default();
    server.describe(&mut report)?;
    report.describe(
        "data",
        format!(
            "LoCoMo ({}): {} questions about {} turns of {} conversations, each searched in its own",
            options.data.display(),
            data.questions.len(),
            data.turns.len(),
            data.conversations().len()
        ),
    );

    let hash = filled(&server, &data, Embedder::Hash)?;
    let external = filled(&server, &data, Embedder::External)?;
    let (mut hash, mut external) = (hash.connect()?, external.connect()?);
    progress("ranking outside the database");
    let rankings = reference::rankings(&mut hash, &data)?;
    let evidence = evidence(&data);
    let [bm25, cosine, fused] = [&rankings.bm25, &rankings.cosine, &rankings.fused]
        .map(|ranking| Metrics::of(ranking, &evidence));

    let with_hash = modes(&mut hash, &data, Embedder::Hash)?;
    let with_minilm = modes(&mut external, &data, Embedder::External)?;
    add_lines(
        &mut report,
        "text",
        with_hash.text,
        Some(("BM25", bm25)),
        Some(Target::AtLeast(TEXT_RECALL)),
    );
    add_lines(&mut report, "vector, hash", with_hash.vector, None, None);
    add_lines(&mut report, "hybrid, hash", with_hash.hybrid, None, None);
    add_lines(
        &mut report,
        "text, MiniLM store",
        with_minilm.text,
        Some(("BM25", bm25)),
        Some(Target::AtLeast(TEXT_RECALL)),
    );
    add_lines(
        &mut report,
        "vector, MiniLM",
        with_minilm.vector,
        Some(("cosine", cosine)),
        None,
    );
    let fusion = Some(("BM25 and cosine, min-max", fused));
    add_lines(
        &mut report,
        "hybrid, MiniLM",
        with_minilm.hybrid,
        fusion,
        Some(Target::AtLeast(HYBRID_RECALL)),
    );

    let better_arm = with_minilm.text.recall_10.max(with_minilm.vector.recall_10);
    report.add(
        Line::new(
            "hybrid, MiniLM: recall@10 beside its better arm",
            "",
            with_minilm.hybrid.recall_10,
        )
        .beside(better_arm)
        .target(Target::RatioAbove(1.0)),
    );
    report.add(
        Line::new(
            "hybrid, hash: recall@10 beside its text arm",
            "",
            with_hash.hybrid.recall_10,
        )
        .beside(with_hash.text.recall_10)
        .target(Target::RatioAtLeast(1.0)),
    );
    if options.text_weights {
        for tenths in 3..=8 {
            let weight = f64::from(tenths) / 10.0;
            for (name, client, embedder) in [
                ("hash", &mut hash, Embedder::Hash),
                ("MiniLM", &mut external, Embedder::External),
            ] {
                let metrics = measure(client, &data, "hybrid", embedder, Some(weight))?;
                add_lines(
                    &mut report,
                    &format!("hybrid, {name}, text_weight {weight}"),
                    metrics,
                    None,
                    None,
                );
            }
        }
    }
    Ok(Some(report))
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Embedder {
    /// The built-in default.
    Hash,
    /// Vectors come with the data.
    External,
}

impl Embedder {
    fn name(self) -> &'static str {
        match self {
            Self::Hash => "hash",
            Self::External => "external",
        }
    }
}

/// A store with one project for each conversation and one memory for each turn.
fn filled<'s>(server: &'s Server, data: &Locomo, embedder: Embedder) -> Result<Database<'s>> {
    progress(format_args!(
        "loading {} turns, embedder {}",
        data.turns.len(),
        embedder.name()
    ));
    let purpose = format!("quality_{}", embedder.name());
    let database = store::create(server, &purpose, DIMENSIONS, embedder.name())?;
    let mut client = database.connect()?;
    for conversation in data.conversations() {
        let items: Vec<serde_json::Value> = data
            .turns_of(conversation)
            .iter()
            .map(|turn| {
                let mut item = serde_json::json!({
                    "id": format!("{conversation}/{}", turn.id),
                    "content": turn.text,
                    // People repeat themselves, and each turn is one that can be asked for.
                    "on_duplicate": "new",
                });
                if embedder == Embedder::External {
                    item["embedding"] = serde_json::json!(turn.vector);
                }
                item
            })
            .collect();
        let items = serde_json::Value::Array(items);
        client.query(
            "SELECT * FROM memory_add_many($1, project_id => $2)",
            &[&items, &conversation],
        )?;
    }
    client.batch_execute("VACUUM (ANALYZE) memories")?;
    Ok(database)
}

fn modes(client: &mut Client, data: &Locomo, embedder: Embedder) -> Result<Modes> {
    progress(format_args!("searching, embedder {}", embedder.name()));
    Ok(Modes {
        text: measure(client, data, "text", embedder, None)?,
        vector: measure(client, data, "vector", embedder, None)?,
        hybrid: measure(client, data, "hybrid", embedder, None)?,
    })
}

fn measure(
    client: &mut Client,
    data: &Locomo,
    mode: &str,
    embedder: Embedder,
    text_weight: Option<f64>,
) -> Result<Metrics> {
    let search = client.prepare(&format!(
        "SELECT id FROM memory_search($1, k => {K}, mode => $2, embedding => $3, text_weight => $4, project_id => $5)"
    ))?;
    let mut rankings = Vec::with_capacity(data.questions.len());
    for question in &data.questions {
        let vector = (embedder == Embedder::External && mode != "text")
            .then(|| Vector::from(question.vector.clone()));
        let found = client.query(
            &search,
            &[
                &question.text,
                &mode,
                &vector,
                &text_weight,
                &question.conversation,
            ],
        )?;
        let prefix = question.conversation.len() + 1;
        rankings.push(
            found
                .iter()
                .map(|row| row.get::<_, String>(0)[prefix..].to_owned())
                .collect(),
        );
    }
    Ok(Metrics::of(&rankings, &evidence(data)))
}

fn evidence(data: &Locomo) -> Vec<&[String]> {
    data.questions
        .iter()
        .map(|question| question.evidence.as_slice())
        .collect()
}

/// The four metrics; the target is recall@10's.
fn add_lines(
    report: &mut Report,
    name: &str,
    ours: Metrics,
    baseline: Option<(&str, Metrics)>,
    target: Option<Target>,
) {
    type Metric = (&'static str, fn(&Metrics) -> f64);
    const METRICS: [Metric; 4] = [
        ("recall@5", |metrics| metrics.recall_5),
        ("recall@10", |metrics| metrics.recall_10),
        ("hit@10", |metrics| metrics.hit_10),
        ("nDCG@10", |metrics| metrics.ndcg_10),
    ];
    for (metric, value) in METRICS {
        let mut line = Line::new(format!("{name}: {metric}"), "", value(&ours));
        if let Some((baseline, metrics)) = &baseline {
            line = line
                .beside(value(metrics))
                .note(format!("baseline: {baseline}"));
        }
        if let (Some(target), "recall@10") = (target, metric) {
            line = line.target(target);
        }
        report.add(line);
    }
}
