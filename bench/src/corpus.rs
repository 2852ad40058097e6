//! The memories that are loaded and the questions that are asked.
//!
//! A corpus of N rows takes the source's texts and vectors once as they are, then again and again
//! with small noise on the vector and some words of the text replaced. Projects have nothing to do
//! with topics, which is the hard case for an index that they share.

mod noise;
mod source;

use std::collections::HashSet;

use fastrand::Rng;
use pgvector::Vector;

pub use source::{DIMENSIONS, Source, read_f16};

/// Length of the noise on a vector of unit length: the copy's cosine to its original is about 0.94.
const NOISE: f32 = 0.35;
/// A vector of 1536 dimensions is made of this many of 384.
const BLOCKS: usize = 4;
pub const WIDE_DIMENSIONS: usize = BLOCKS * DIMENSIONS;
/// Words of a question.
const QUERY_WORDS: usize = 8;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Width {
    /// 384 dimensions: the source's vectors.
    Narrow,
    /// 1536 dimensions: four noisy copies of the source's vector, each turned by a rotation of its
    /// own (a fixed shuffle with changed signs), end to end. Cosines, and so neighbourhoods, stay
    /// the source's, up to the noise.
    Wide,
}

impl Width {
    pub fn dimensions(self) -> usize {
        match self {
            Self::Narrow => DIMENSIONS,
            Self::Wide => WIDE_DIMENSIONS,
        }
    }
}

/// A project and how many rows it has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Project {
    pub name: String,
    pub rows: usize,
}

pub struct Row {
    pub project: String,
    pub content: String,
    pub vector: Vec<f32>,
}

/// One question, asked in a project.
pub struct Query {
    pub project: String,
    pub vector: Vector,
    pub text: String,
    /// The words of `text` as websearch_to_tsquery reads them: any of them.
    pub any_word: String,
}

pub struct Corpus<'s> {
    source: &'s Source,
    width: Width,
    seed: u64,
    projects: Vec<Project>,
    /// Project and content of each row.
    rows: Vec<(usize, String)>,
    rotations: Vec<Rotation>,
}

impl<'s> Corpus<'s> {
    pub fn new(source: &'s Source, width: Width, projects: Vec<Project>, seed: u64) -> Self {
        let mut rng = Rng::with_seed(seed);
        let mut places: Vec<usize> = projects
            .iter()
            .enumerate()
            .flat_map(|(place, project)| std::iter::repeat_n(place, project.rows))
            .collect();
        rng.shuffle(&mut places);
        let mut seen = HashSet::with_capacity(places.len());
        let rows = places
            .into_iter()
            .enumerate()
            .map(|(row, project)| {
                let original = &source.texts[row % source.texts.len()];
                let mut content = original.clone();
                while row >= source.texts.len() && !seen.insert(content.clone()) {
                    content = varied(original, &source.texts, &mut rng);
                }
                seen.insert(content.clone());
                (project, content)
            })
            .collect();
        Self {
            source,
            width,
            seed,
            projects,
            rows,
            rotations: Rotation::all(),
        }
    }

    pub fn width(&self) -> Width {
        self.width
    }

    pub fn projects(&self) -> &[Project] {
        &self.projects
    }

    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// What tells this corpus from others, for a database that is kept.
    pub fn label(&self) -> String {
        format!(
            "memory_bench: {} rows of {} dimensions in {} projects, seed {}, {}",
            self.rows.len(),
            self.width.dimensions(),
            self.projects.len(),
            self.seed,
            self.source.origin
        )
    }

    /// Numbers of the rows of each project, in chunks of `size` and in an order that mixes projects.
    pub fn chunks(&self, size: usize) -> Vec<Vec<usize>> {
        let mut of_project = vec![Vec::new(); self.projects.len()];
        for (row, (project, _)) in self.rows.iter().enumerate() {
            of_project[*project].push(row);
        }
        let mut chunks: Vec<Vec<usize>> = of_project
            .iter()
            .flat_map(|rows| rows.chunks(size).map(<[usize]>::to_vec))
            .collect();
        Rng::with_seed(self.seed).shuffle(&mut chunks);
        chunks
    }

    pub fn row(&self, row: usize) -> Row {
        let (project, content) = &self.rows[row];
        let mut rng = self.rng(1, row);
        let base = row % self.source.texts.len();
        let vector = if row < self.source.texts.len() && self.width == Width::Narrow {
            self.source.vector(base).to_vec()
        } else {
            self.near(base, &mut rng)
        };
        Row {
            project: self.projects[*project].name.clone(),
            content: content.clone(),
            vector,
        }
    }

    /// Question `number` for a project: near a row's text and vector, and not one of the rows.
    pub fn query(&self, project: &str, number: usize) -> Query {
        let mut rng = self.rng(2, number);
        let base = rng.usize(..self.source.texts.len());
        let words: Vec<&str> = self.source.texts[base]
            .split(|letter: char| !letter.is_alphanumeric())
            // websearch_to_tsquery takes the word "or" for an operator.
            .filter(|word| !word.is_empty() && !word.eq_ignore_ascii_case("or"))
            .collect();
        let first = rng.usize(..=words.len().saturating_sub(QUERY_WORDS));
        let words = &words[first..words.len().min(first + QUERY_WORDS)];
        Query {
            project: project.to_owned(),
            vector: Vector::from(self.near(base, &mut rng)),
            text: words.join(" "),
            any_word: words.join(" or "),
        }
    }

    /// New rows without end, none of which is in the corpus or in another stream.
    pub fn fresh(&self, stream: usize) -> Fresh<'_, 's> {
        Fresh {
            corpus: self,
            rng: self.rng(3, stream),
            stream,
            number: 0,
        }
    }

    fn near(&self, base: usize, rng: &mut Rng) -> Vec<f32> {
        let original = self.source.vector(base);
        match self.width {
            Width::Narrow => noise::perturbed(original, NOISE, rng),
            Width::Wide => {
                let mut vector: Vec<f32> = self
                    .rotations
                    .iter()
                    .flat_map(|rotation| rotation.apply(&noise::perturbed(original, NOISE, rng)))
                    .collect();
                noise::normalise(&mut vector);
                vector
            }
        }
    }

    /// Random numbers that depend on the seed, the purpose and the number alone.
    fn rng(&self, purpose: u64, number: usize) -> Rng {
        let mut rng = Rng::with_seed(self.seed ^ (purpose << 56) ^ number as u64);
        // The first numbers of neighbouring seeds are alike.
        rng.u64(..);
        rng
    }
}

pub struct Fresh<'c, 's> {
    corpus: &'c Corpus<'s>,
    rng: Rng,
    stream: usize,
    number: usize,
}

impl Fresh<'_, '_> {
    /// The next row; a project is drawn by its share of the corpus.
    pub fn next_row(&mut self) -> Row {
        let corpus = self.corpus;
        let (project, _) = corpus.rows[self.rng.usize(..corpus.rows.len())];
        self.next_row_of(project)
    }

    /// The next `count` rows, all of one project.
    pub fn next_batch(&mut self, count: usize) -> Vec<Row> {
        let (project, _) = self.corpus.rows[self.rng.usize(..self.corpus.rows.len())];
        (0..count).map(|_| self.next_row_of(project)).collect()
    }

    fn next_row_of(&mut self, project: usize) -> Row {
        let source = self.corpus.source;
        let base = self.rng.usize(..source.texts.len());
        self.number += 1;
        let content = varied(&source.texts[base], &source.texts, &mut self.rng);
        Row {
            project: self.corpus.projects[project].name.clone(),
            content: format!("{content} (note {}-{})", self.stream, self.number),
            vector: self.corpus.near(base, &mut self.rng),
        }
    }
}

/// An orthogonal map that is cheap to apply: coordinates shuffled, some of them negated.
struct Rotation(Vec<(usize, f32)>);

impl Rotation {
    fn all() -> Vec<Self> {
        (0..BLOCKS as u64)
            .map(|block| {
                let mut rng = Rng::with_seed(block);
                let mut places: Vec<usize> = (0..DIMENSIONS).collect();
                rng.shuffle(&mut places);
                Self(
                    places
                        .into_iter()
                        .map(|place| (place, if rng.bool() { 1.0 } else { -1.0 }))
                        .collect(),
                )
            })
            .collect()
    }

    fn apply(&self, vector: &[f32]) -> Vec<f32> {
        self.0
            .iter()
            .map(|(place, sign)| sign * vector[*place])
            .collect()
    }
}

/// The shares of all rows that single projects hold, and that searches are timed at.
pub const SHARES: [f64; 4] = [0.5, 0.1, 0.01, 0.001];

pub fn share_name(share: f64) -> String {
    format!("share-{}", share * 100.0)
}

/// `count` projects: one for each of SHARES, the rest of the rows by Zipf's law.
pub fn skewed_projects(rows: usize, count: usize) -> Vec<Project> {
    let mut projects: Vec<Project> = SHARES
        .iter()
        .map(|share| Project {
            name: share_name(*share),
            rows: ((rows as f64 * share).round() as usize).max(1),
        })
        .collect();
    let left = rows.saturating_sub(projects.iter().map(|project| project.rows).sum());
    projects.extend(by_zipf(left, count.saturating_sub(SHARES.len())));
    projects
}

/// One project of `searched` rows, and 30 others that share the rest.
pub fn one_project_among_others(rows: usize, searched: usize) -> Vec<Project> {
    let mut projects = vec![Project {
        name: "searched".to_owned(),
        rows: searched,
    }];
    projects.extend(by_zipf(rows.saturating_sub(searched), 30));
    projects
}

/// `rows` over `count` projects, the n-th of which has a share of 1/n.
fn by_zipf(rows: usize, count: usize) -> Vec<Project> {
    let total: f64 = (1..=count).map(|rank| 1.0 / rank as f64).sum();
    let mut given = 0;
    let mut shares = 0.0;
    (1..=count)
        .map(|rank| {
            shares += 1.0 / rank as f64 / total;
            let until = (shares * rows as f64).round() as usize;
            let project = Project {
                name: format!("tenant-{rank}"),
                rows: until - given,
            };
            given = until;
            project
        })
        .collect()
}

/// `text` with a quarter of its words, and two at least, taken from other texts.
fn varied(text: &str, texts: &[String], rng: &mut Rng) -> String {
    let mut words: Vec<&str> = text.split_whitespace().collect();
    for _ in 0..(words.len() / 4).max(2) {
        let other: Vec<&str> = texts[rng.usize(..texts.len())].split_whitespace().collect();
        let place = rng.usize(..words.len());
        words[place] = other[rng.usize(..other.len())];
    }
    words.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source() -> Source {
        Source::open(std::path::Path::new("no such folder"), 1).expect("generated")
    }

    fn cosine(a: &[f32], b: &[f32]) -> f32 {
        a.iter().zip(b).map(|(x, y)| x * y).sum()
    }

    #[test]
    fn projects_are_skewed_and_complete() {
        let projects = skewed_projects(100_000, 200);
        assert_eq!(projects.len(), 200);
        assert_eq!(
            projects.iter().map(|project| project.rows).sum::<usize>(),
            100_000
        );
        assert_eq!(
            projects[..4]
                .iter()
                .map(|project| project.rows)
                .collect::<Vec<_>>(),
            [50_000, 10_000, 1_000, 100]
        );
        assert_eq!(
            one_project_among_others(20_000, 5_000)
                .iter()
                .map(|project| project.rows)
                .sum::<usize>(),
            20_000
        );
    }

    #[test]
    fn rows_are_distinct_and_the_same_every_time() {
        let source = source();
        let corpus = Corpus::new(&source, Width::Narrow, skewed_projects(45_000, 20), 3);
        let contents: HashSet<&String> = corpus.rows.iter().map(|(_, content)| content).collect();
        assert!(contents.len() > 44_900, "{} distinct texts", contents.len());
        let copies: HashSet<&String> = corpus.rows[source.texts.len()..]
            .iter()
            .map(|(_, content)| content)
            .collect();
        assert_eq!(copies.len(), 25_000);
        let again = Corpus::new(&source, Width::Narrow, skewed_projects(45_000, 20), 3);
        assert_eq!(corpus.row(30_000).content, again.row(30_000).content);
        assert_eq!(corpus.row(30_000).vector, again.row(30_000).vector);
        assert_eq!(
            corpus.chunks(50).iter().map(Vec::len).sum::<usize>(),
            45_000
        );
    }

    #[test]
    fn noise_keeps_neighbourhoods() {
        let source = source();
        for width in [Width::Narrow, Width::Wide] {
            let corpus = Corpus::new(&source, width, skewed_projects(1000, 10), 3);
            let mut rng = Rng::with_seed(1);
            let (a, near_a) = (corpus.near(5, &mut rng), corpus.near(5, &mut rng));
            assert_eq!(a.len(), width.dimensions());
            assert!((cosine(&a, &a) - 1.0).abs() < 1e-4);
            assert!(cosine(&a, &near_a) > 0.8, "{}", cosine(&a, &near_a));
            let expected = cosine(source.vector(5), source.vector(6));
            assert!((cosine(&a, &corpus.near(6, &mut rng)) - expected).abs() < 0.25);
        }
    }

    #[test]
    fn fresh_rows_never_repeat() {
        let source = source();
        let corpus = Corpus::new(&source, Width::Narrow, skewed_projects(1000, 10), 3);
        let (mut one, mut other) = (corpus.fresh(1), corpus.fresh(2));
        let contents: HashSet<String> = (0..200)
            .flat_map(|_| [one.next_row().content, other.next_row().content])
            .collect();
        assert_eq!(contents.len(), 400);
    }
}
