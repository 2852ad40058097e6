//! Phrases that try to take over whoever reads them.
//!
//! Kinds after the attacks of OWASP's "Prompt Injection" (LLM01) and Greshake et al., "Not what
//! you've signed up for" (2023): instructions to override the given ones, to reveal them, to take
//! another role, to carry data away. Phrases are matched on the folded text.

mod phrases;

use std::sync::LazyLock;

use regex::{Regex, RegexSet};

use super::fold::Folded;
use super::{Confidence, Finding, compile, compile_set};
use phrases::RULES;

pub const INSTRUCTION_OVERRIDE: &str = "instruction_override";
pub const ROLE_REASSIGNMENT: &str = "role_reassignment";
pub const ROLE_MARKER: &str = "role_marker";
pub const PROMPT_DISCLOSURE: &str = "prompt_disclosure";
pub const DATA_EXFILTRATION: &str = "data_exfiltration";

/// One phrase. In trigger and pattern a blank stands for white space of the folded text.
struct Rule {
    kind: &'static str,
    confidence: Confidence,
    /// Words of which one is in every match.
    trigger: &'static str,
    pattern: LazyLock<Regex>,
}

impl Rule {
    const fn new(
        kind: &'static str,
        confidence: Confidence,
        trigger: &'static str,
        pattern: fn() -> Regex,
    ) -> Self {
        Self {
            kind,
            confidence,
            trigger,
            pattern: LazyLock::new(pattern),
        }
    }
}

fn phrase(pattern: &str) -> Regex {
    compile(&pattern.replace(' ', "[ \n]"))
}

static TRIGGERS: LazyLock<RegexSet> =
    LazyLock::new(|| compile_set(RULES.iter().map(|rule| rule.trigger)));

pub fn find(text: &str, found: &mut Vec<Finding>, pause: &mut dyn FnMut()) {
    let folded = Folded::new(text);
    for which in &TRIGGERS.matches(&folded.text) {
        pause();
        let rule = &RULES[which];
        for phrase in rule.pattern.find_iter(&folded.text) {
            if rule.kind == INSTRUCTION_OVERRIDE && is_negated(&folded.text, phrase.start()) {
                continue;
            }
            let (start, end) = folded.original_span(phrase.start(), phrase.end());
            found.push(Finding::injection(rule.kind, start, end, rule.confidence));
        }
    }
}

/// "Do not ignore the previous instructions" is the contrary.
fn is_negated(text: &str, at: usize) -> bool {
    let before = text[..at].trim_end_matches([' ', '\n']);
    ["not", "never", "n't", "cannot", "nicht", "niemals"]
        .iter()
        .any(|negation| before.ends_with(negation))
}

#[cfg(test)]
pub(super) fn compile_all() {
    for rule in &RULES {
        LazyLock::force(&rule.pattern);
    }
}
