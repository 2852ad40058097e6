//! Content policies: what is looked for in a memory that is written, and what becomes of it.
//!
//! A secret memory is not looked at: it is protected already, and secrets belong in it.

use memory_core::scan::{self, Category, Finding};

use crate::pg::error::{Error, Result};
use crate::pg::guc::{self, ContentPolicy};
use crate::pg::system;

/// Everything found in a text; a cancel is let through meanwhile.
fn scan(text: &str) -> Vec<Finding> {
    scan::scan_with(text, &mut system::check_for_interrupts)
}

fn policy(category: Category) -> ContentPolicy {
    match category {
        Category::Pii => guc::pii_policy(),
        Category::Secret => guc::secret_policy(),
        Category::Injection => guc::injection_policy(),
    }
}

/// Whether anything is looked for at all.
pub fn is_on() -> bool {
    Category::ALL
        .iter()
        .any(|&category| policy(category) != ContentPolicy::Allow)
}

fn under(findings: &[Finding], wanted: ContentPolicy) -> Vec<Finding> {
    findings
        .iter()
        .copied()
        .filter(|finding| policy(finding.category) == wanted)
        .collect()
}

/// A content as the policies let it in.
pub struct Screened {
    pub content: String,
    pub redacted: bool,
}

/// Refuses or redacts a content that is to be written.
pub fn screen(argument: &str, content: String, sensitive: bool) -> Result<Screened> {
    let as_it_is = |content| Screened {
        content,
        redacted: false,
    };
    if sensitive || !is_on() {
        return Ok(as_it_is(content));
    }
    let findings = scan(&content);
    if let Some(refused) = under(&findings, ContentPolicy::Reject).first() {
        return Err(Error::argument(format!(
            "{argument} has {} in it ({}), which the policy {} rejects",
            described(refused.category),
            refused.kind,
            setting_of(refused.category)
        ))
        .detail(format!(
            "It stands at character {}.",
            content[..refused.start].chars().count() + 1
        ))
        .hint("Leave it out, or store it as a sensitive memory. memory_scan() shows everything that is found."));
    }
    let redact = under(&findings, ContentPolicy::Redact);
    if redact.is_empty() {
        return Ok(as_it_is(content));
    }
    Ok(Screened {
        content: scan::redact(&content, &redact),
        redacted: true,
    })
}

fn described(category: Category) -> &'static str {
    match category {
        Category::Pii => "personal data",
        Category::Secret => "a secret",
        Category::Injection => "instructions to a model",
    }
}

fn setting_of(category: Category) -> &'static str {
    match category {
        Category::Pii => "memory_ext.pii_policy",
        Category::Secret => "memory_ext.secret_policy",
        Category::Injection => "memory_ext.injection_policy",
    }
}

/// The same of a text that is kept beside a content, where there is one.
pub fn screen_beside(argument: &str, text: Option<&str>) -> Result<Option<String>> {
    text.map(|text| screen(argument, text.to_owned(), false).map(|screened| screened.content))
        .transpose()
}

/// The kinds of finding that a memory of these texts is to be flagged with, sorted.
pub fn flags(texts: &[String], sensitive: bool) -> Option<Vec<String>> {
    if sensitive || !is_on() {
        return None;
    }
    let mut kinds: Vec<String> = texts
        .iter()
        .flat_map(|text| under(&scan(text), ContentPolicy::Flag))
        .map(|finding| format!("{}:{}", finding.category.name(), finding.kind))
        .collect();
    kinds.sort();
    kinds.dedup();
    (!kinds.is_empty()).then_some(kinds)
}

/// The flags of both, sorted.
pub fn united(these: Option<Vec<String>>, those: Option<Vec<String>>) -> Option<Vec<String>> {
    let mut flags = these.into_iter().chain(those).flatten().collect::<Vec<_>>();
    flags.sort();
    flags.dedup();
    (!flags.is_empty()).then_some(flags)
}

/// Everything that is found in a text, where, and what would become of it; never the found text itself. JSON.
pub fn report(content: &str) -> String {
    use std::fmt::Write;
    let findings = scan(content);
    let mut places = Places::of(content);
    let policies: Vec<_> = Category::ALL
        .iter()
        .map(|&category| (category, policy(category).name()))
        .collect();
    // A long text may have a million findings: they are written as they come.
    let mut report = String::from("{\"findings\":[");
    for (number, finding) in findings.iter().enumerate() {
        system::check_for_interrupts();
        let policy = policies
            .iter()
            .find_map(|(category, name)| (*category == finding.category).then_some(*name));
        // Names of kinds, categories and policies need no escape, and writing to memory does not fail.
        let _ = write!(
            report,
            r#"{}{{"category":"{}","kind":"{}","start":{},"length":{},"confidence":"{}","policy":"{}"}}"#,
            if number > 0 { "," } else { "" },
            finding.category.name(),
            finding.kind,
            places.character(finding.start) + 1,
            content[finding.start..finding.end].chars().count(),
            finding.confidence.name(),
            policy.unwrap_or_default(),
        );
    }
    let redacted = serde_json::Value::from(scan::redact(content, &findings));
    let _ = write!(report, r#"],"redacted":{redacted}}}"#);
    report
}

/// Character places of ascending byte offsets, counted once.
struct Places<'a> {
    content: &'a str,
    byte: usize,
    character: usize,
}

impl<'a> Places<'a> {
    fn of(content: &'a str) -> Self {
        Places {
            content,
            byte: 0,
            character: 0,
        }
    }

    fn character(&mut self, byte: usize) -> usize {
        if byte >= self.byte {
            self.character += self.content[self.byte..byte].chars().count();
            self.byte = byte;
            return self.character;
        }
        self.content[..byte].chars().count()
    }
}
