//! E-mail addresses.

use super::context::{char_after, char_before};
use super::{Confidence, Finding};

pub const KIND: &str = "email";

/// RFC 5321, 4.5.3.1.
const MAX_LOCAL_BYTES: usize = 64;
const MAX_DOMAIN_BYTES: usize = 255;
const MAX_LABEL_BYTES: usize = 63;

/// Last labels of file names, units and the like: no top-level domains.
const NOT_TOP_LEVEL: &[&str] = &[
    "bmp", "conf", "css", "csv", "device", "gif", "gz", "html", "ico", "jpeg", "jpg", "js", "json",
    "jsx", "local", "lock", "mount", "path", "png", "service", "slice", "socket", "svg", "target",
    "timer", "toml", "ts", "tsx", "txt", "webp", "xml", "yaml", "yml",
];

pub fn find(text: &str, found: &mut Vec<Finding>) {
    for (at, _) in text.match_indices('@') {
        if let Some((start, end)) = address(text, at) {
            found.push(Finding::pii(KIND, start, end, Confidence::High));
        }
    }
}

/// The span of the address around the `@`.
fn address(text: &str, at: usize) -> Option<(usize, usize)> {
    let start = start_of_local(text, at)?;
    let local = &text[start..at];
    let domain = domain(&text[at + 1..])?;
    let end = at + 1 + domain.len();
    // git@host:path is a remote, and what follows // is the user of a URL.
    let is_remote = matches!(local, "git" | "hg") || char_before(text, start) == Some('/');
    (!is_remote && char_after(text, end) != Some('_')).then_some((start, end))
}

fn start_of_local(text: &str, at: usize) -> Option<usize> {
    let is_local = |c: char| c.is_alphanumeric() || "._%+-".contains(c);
    let mut start = at;
    for c in text[..at].chars().rev() {
        if !is_local(c) {
            break;
        }
        start -= c.len_utf8();
        if at - start > MAX_LOCAL_BYTES {
            return None;
        }
    }
    let local = &text[start..at];
    let trimmed = local.trim_start_matches(['.', '-', '%', '+']);
    (!trimmed.is_empty() && !trimmed.ends_with('.')).then_some(at - trimmed.len())
}

fn domain(text: &str) -> Option<&str> {
    let mut end = 0;
    for c in text.chars() {
        if !(c.is_alphanumeric() || c == '.' || c == '-') {
            break;
        }
        end += c.len_utf8();
        if end > MAX_DOMAIN_BYTES {
            return None;
        }
    }
    let domain = text[..end].trim_end_matches(['.', '-']);
    let (_, last) = domain.rsplit_once('.')?;
    let is_label = |label: &str| {
        !label.is_empty()
            && label.len() <= MAX_LABEL_BYTES
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    let is_top_level = last.starts_with("xn--")
        || (last.chars().all(char::is_alphabetic)
            && (2..=24).contains(&last.chars().count())
            && !NOT_TOP_LEVEL.contains(&last.to_ascii_lowercase().as_str()));
    (is_top_level && domain.split('.').all(is_label)).then_some(domain)
}
