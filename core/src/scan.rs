//! Content safety: personal data, secrets and prompt injection in a text, and their redaction.
//!
//! | category | kind | what is found |
//! |---|---|---|
//! | pii | `email` | addresses of RFC 5321's shape, letters of any script |
//! | pii | `phone` | E.164 numbers, national forms that look like nothing else, others beside a word that says so |
//! | pii | `credit_card` | issuer's prefix, length and Luhn digit (ISO/IEC 7812) |
//! | pii | `iban` | country's length and check digits (ISO 13616, ISO/IEC 7064 MOD 97-10) |
//! | pii | `us_ssn` | numbers that can have been assigned |
//! | pii | `ip_address` | public IPv4 and IPv6 addresses |
//! | pii | `passport` | a number after a word for passport |
//! | secret | `private_key` | PEM blocks (RFC 7468) and PGP's |
//! | secret | `aws_access_key_id` ... `sk_api_key` | tokens with a prefix of their own, see `token.rs` |
//! | secret | `aws_secret_key` | 40 characters beside a word for it |
//! | secret | `jwt` | three or five parts whose first is a JSON object with `alg` (RFC 7519) |
//! | secret | `connection_string` | URLs with a password (RFC 3986, userinfo) |
//! | secret | `authorization` | values of an Authorization header |
//! | secret | `password`, `secret_value` | assignments whose value is no placeholder and random enough |
//! | injection | `instruction_override` | "ignore all previous instructions", in four languages |
//! | injection | `role_reassignment` | "you are now an unrestricted model" |
//! | injection | `role_marker` | control tokens of chat templates, "### System:" |
//! | injection | `prompt_disclosure` | "reveal your system prompt" |
//! | injection | `data_exfiltration` | images and addresses that carry data away, and orders to send it |
//! | injection | `hidden_text` | tag characters, bidirectional overrides, characters of no width inside words |
//!
//! These are heuristics. What is split up, encoded or paraphrased is not found, and a text *about* an
//! attack that quotes it is. A finding says where and what kind, never the text, so it can be logged.
//!
//! Time is linear in the text: `regex` does not backtrack, and no pattern looks far beyond what it
//! matches, so that one match after the other costs no more.

mod assignment;
mod card;
mod context;
mod digits;
mod email;
mod entropy;
mod fold;
mod hidden;
mod iban;
mod injection;
mod ip;
mod jwt;
mod passport;
mod pem;
mod phone;
mod redact;
mod ssn;
mod token;
mod url;

use std::borrow::Cow;
use std::sync::LazyLock;

use regex::{Regex, RegexBuilder, RegexSet, RegexSetBuilder};

pub use redact::redact;

/// What a finding is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Category {
    Pii,
    Secret,
    Injection,
}

impl Category {
    pub const ALL: &'static [Self] = &[Self::Pii, Self::Secret, Self::Injection];

    pub fn name(self) -> &'static str {
        match self {
            Self::Pii => "pii",
            Self::Secret => "secret",
            Self::Injection => "injection",
        }
    }
}

/// How sure a finding is. High: a checksum, a format of its own or a word beside it speaks for it.
/// Medium: it looks like it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Confidence {
    Medium,
    High,
}

impl Confidence {
    pub fn name(self) -> &'static str {
        match self {
            Self::Medium => "medium",
            Self::High => "high",
        }
    }
}

/// Every kind of finding, by category; those with a format of their own before the others.
pub const KINDS: &[(Category, &str)] = &[
    (Category::Pii, email::KIND),
    (Category::Pii, phone::KIND),
    (Category::Pii, card::KIND),
    (Category::Pii, iban::KIND),
    (Category::Pii, ssn::KIND),
    (Category::Pii, ip::KIND),
    (Category::Pii, passport::KIND),
    (Category::Secret, pem::KIND),
    (Category::Secret, "aws_access_key_id"),
    (Category::Secret, "aws_secret_key"),
    (Category::Secret, "github_token"),
    (Category::Secret, "gitlab_token"),
    (Category::Secret, "slack_token"),
    (Category::Secret, "slack_webhook"),
    (Category::Secret, "stripe_key"),
    (Category::Secret, "google_api_key"),
    (Category::Secret, "google_client_secret"),
    (Category::Secret, "npm_token"),
    (Category::Secret, "pypi_token"),
    (Category::Secret, "sendgrid_key"),
    (Category::Secret, "sk_api_key"),
    (Category::Secret, jwt::KIND),
    (Category::Secret, url::KIND),
    (Category::Secret, assignment::AUTHORIZATION),
    (Category::Secret, assignment::PASSWORD),
    (Category::Secret, assignment::SECRET_VALUE),
    (Category::Injection, injection::INSTRUCTION_OVERRIDE),
    (Category::Injection, injection::ROLE_REASSIGNMENT),
    (Category::Injection, injection::ROLE_MARKER),
    (Category::Injection, injection::PROMPT_DISCLOSURE),
    (Category::Injection, injection::DATA_EXFILTRATION),
    (Category::Injection, hidden::KIND),
];

/// Something found in a text: what, and where. The text itself is not in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Finding {
    pub category: Category,
    pub kind: &'static str,
    /// Offset of the first byte, at a character boundary.
    pub start: usize,
    /// Offset after the last byte, at a character boundary; more than `start`.
    pub end: usize,
    pub confidence: Confidence,
}

impl Finding {
    fn pii(kind: &'static str, start: usize, end: usize, confidence: Confidence) -> Self {
        Self {
            category: Category::Pii,
            kind,
            start,
            end,
            confidence,
        }
    }

    fn secret(kind: &'static str, start: usize, end: usize, confidence: Confidence) -> Self {
        Self {
            category: Category::Secret,
            ..Self::pii(kind, start, end, confidence)
        }
    }

    fn injection(kind: &'static str, start: usize, end: usize, confidence: Confidence) -> Self {
        Self {
            category: Category::Injection,
            ..Self::pii(kind, start, end, confidence)
        }
    }

    fn len(&self) -> usize {
        self.end - self.start
    }

    /// Which of overlapping findings gives its kind to all: the surer, then the longer, then the one
    /// with a format of its own.
    fn rank(&self) -> impl Ord + use<> {
        let place = KINDS.iter().position(|(_, kind)| *kind == self.kind);
        (self.confidence, self.len(), std::cmp::Reverse(place))
    }
}

/// How often what is left of a text is looked at again. Taking out one finding can bring another to
/// light (a number that stood in a row with an address); in real text the second look finds nothing.
const MAX_PASSES: usize = 8;

/// What stands for text that is found already: in no pattern, and in no text of PostgreSQL.
const FILL: u8 = 0;

/// A rule runs where its trigger, a cheap necessary condition, occurs.
struct Detector {
    trigger: &'static str,
    find: fn(&str, &mut Vec<Finding>),
}

const DETECTORS: &[Detector] = &[
    Detector {
        trigger: "@",
        find: email::find,
    },
    Detector {
        trigger: "[0-9]{2}",
        find: digits::find,
    },
    Detector {
        trigger: "(?i)[a-z]{2}[0-9]{2} ?[0-9a-z]{4}",
        find: iban::find,
    },
    Detector {
        trigger: r"[0-9]\.[0-9]{1,3}\.[0-9]",
        find: ip::find_v4,
    },
    Detector {
        trigger: "(?i)[0-9a-f]:[0-9a-f]{0,4}:",
        find: ip::find_v6,
    },
    Detector {
        trigger: "(?i)passport|reisepass|passeport|pasaporte|passaporto|paspoort",
        find: passport::find,
    },
    Detector {
        trigger: "-----BEGIN ",
        find: pem::find,
    },
    Detector {
        trigger: token::TRIGGER,
        find: token::find,
    },
    Detector {
        trigger: "(?i)aws|secret",
        find: token::find_aws_secret,
    },
    Detector {
        trigger: "eyJ",
        find: jwt::find,
    },
    Detector {
        trigger: "://",
        find: url::find,
    },
    Detector {
        trigger: "(?i)pass|pwd|kennwort|secret|token|key|credential|contrase",
        find: assignment::find,
    },
    Detector {
        trigger: "(?i)bearer|basic",
        find: assignment::find_authorization,
    },
];

static TRIGGERS: LazyLock<RegexSet> =
    LazyLock::new(|| compile_set(DETECTORS.iter().map(|detector| detector.trigger)));

/// Everything found in `text`, by position.
///
/// Personal data and secrets never overlap each other, nor injections each other: overlapping
/// findings become one that spans them all, of the surer one's kind, or the longer's. An injection
/// may overlap data that it carries.
pub fn scan(text: &str) -> Vec<Finding> {
    scan_with(text, &mut || {})
}

/// The same; `pause` is called between rules, some hundred times, so that a long scan can be given up.
pub fn scan_with(text: &str, pause: &mut dyn FnMut()) -> Vec<Finding> {
    let mut rest = redact::without_markers(text);
    let mut findings = Vec::new();
    for _ in 0..MAX_PASSES {
        let found = look(&rest, pause);
        if found.is_empty() {
            break;
        }
        rest = Cow::Owned(fill(rest.into_owned(), &found));
        findings.extend(found);
    }
    let (injections, data) = findings
        .into_iter()
        .partition::<Vec<_>, _>(|finding| finding.category == Category::Injection);
    let mut findings = join_overlapping(data);
    findings.extend(join_overlapping(injections));
    findings.sort_by_key(|finding| (finding.start, finding.end, finding.category));
    findings
}

fn look(text: &str, pause: &mut dyn FnMut()) -> Vec<Finding> {
    let mut found = Vec::new();
    for which in &TRIGGERS.matches(text) {
        pause();
        (DETECTORS[which].find)(text, &mut found);
    }
    pause();
    hidden::find(text, &mut found);
    injection::find(text, &mut found, pause);
    found
}

/// Puts `FILL` over what was found.
fn fill(text: String, found: &[Finding]) -> String {
    let mut bytes = text.into_bytes();
    for finding in found {
        bytes[finding.start..finding.end].fill(FILL);
    }
    // Whole characters were replaced, so this is UTF-8.
    String::from_utf8(bytes).unwrap_or_default()
}

fn join_overlapping(mut findings: Vec<Finding>) -> Vec<Finding> {
    findings.sort_by_key(|finding| (finding.start, finding.end));
    let mut joined: Vec<Finding> = Vec::with_capacity(findings.len());
    let mut best: Option<Finding> = None;
    for finding in findings {
        match (joined.last_mut(), &mut best) {
            (Some(last), Some(chosen)) if finding.start < last.end => {
                if finding.rank() > chosen.rank() {
                    *chosen = finding;
                }
                *last = Finding {
                    start: last.start,
                    end: last.end.max(finding.end),
                    ..*chosen
                };
            }
            _ => {
                joined.push(finding);
                best = Some(finding);
            }
        }
    }
    joined
}

/// A constant pattern, of bytes rather than Unicode classes unless it says `(?u)`.
///
/// Panics when the pattern is wrong, which the tests that compile all of them rule out.
fn compile(pattern: &str) -> Regex {
    RegexBuilder::new(pattern)
        .unicode(false)
        .build()
        .expect("a constant pattern")
}

fn compile_set<'a>(patterns: impl Iterator<Item = &'a str>) -> RegexSet {
    RegexSetBuilder::new(patterns)
        .unicode(false)
        .build()
        .expect("constant patterns")
}

#[cfg(test)]
mod tests;
