//! Redaction: markers in place of what was found.

use std::borrow::Cow;
use std::sync::LazyLock;

use regex::Regex;

use super::{FILL, Finding, compile};

static MARKER: LazyLock<Regex> = LazyLock::new(|| compile(r"\[REDACTED:[a-z][a-z0-9_]{0,39}\]"));

/// `text` with every span of `findings` replaced by `[REDACTED:kind]`, overlapping ones by one
/// marker of the surer or longer one's kind.
///
/// Scanning the result finds nothing where all findings of a scan were given. A span that is not in
/// the text, or not at character boundaries, is left out.
pub fn redact(text: &str, findings: &[Finding]) -> String {
    let mut findings: Vec<&Finding> = findings
        .iter()
        .filter(|finding| {
            text.get(finding.start..finding.end)
                .is_some_and(|span| !span.is_empty())
        })
        .collect();
    findings.sort_by_key(|finding| (finding.start, finding.end));
    let mut redacted = String::with_capacity(text.len());
    let mut done = 0;
    let mut rest = findings.into_iter().peekable();
    while let Some(first) = rest.next() {
        let mut end = first.end;
        let mut best = first;
        while let Some(next) = rest.next_if(|next| next.start < end) {
            end = end.max(next.end);
            if next.rank() > best.rank() {
                best = next;
            }
        }
        redacted.push_str(&text[done..first.start]);
        redacted.push_str("[REDACTED:");
        redacted.push_str(best.kind);
        redacted.push(']');
        done = end;
    }
    redacted.push_str(&text[done..]);
    redacted
}

/// `text` with markers overwritten: what is redacted is neither found again nor a context of
/// anything.
pub(super) fn without_markers(text: &str) -> Cow<'_, str> {
    if !text.contains("[REDACTED:") {
        return Cow::Borrowed(text);
    }
    let mut bytes = text.as_bytes().to_vec();
    for marker in MARKER.find_iter(text) {
        bytes[marker.range()].fill(FILL);
    }
    // A marker is ASCII, so this is still UTF-8.
    Cow::Owned(String::from_utf8(bytes).unwrap_or_default())
}
