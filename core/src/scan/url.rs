//! URLs that carry a password: `postgres://user:password@host/database`.

use std::sync::LazyLock;

use regex::Regex;

use super::assignment::is_template;
use super::{Confidence, FILL, Finding, compile};

pub const KIND: &str = "connection_string";

const MAX_AUTHORITY: usize = 1024;
const MAX_REST: usize = 4096;

static SCHEME: LazyLock<Regex> = LazyLock::new(|| compile(r"(?i)\b[a-z][a-z0-9+.-]{1,30}://"));

pub fn find(text: &str, found: &mut Vec<Finding>) {
    for scheme in SCHEME.find_iter(text) {
        let rest = &text[scheme.end()..];
        let length = length(rest, MAX_AUTHORITY, |c| "/?#\"'`<>\\".contains(c));
        let authority = &rest[..length];
        // The last one: passwords that are not percent-encoded hold more.
        let Some((user, host)) = authority.rsplit_once('@') else {
            continue;
        };
        let Some((_, password)) = user.split_once(':') else {
            continue;
        };
        if password.is_empty() || host.is_empty() || is_template(password) {
            continue;
        }
        let is_default = matches!(
            password.to_ascii_lowercase().as_str(),
            "password" | "pass" | "passwd" | "pwd" | "secret" | "changeme"
        );
        let confidence = if is_default {
            Confidence::Medium
        } else {
            Confidence::High
        };
        let host_end = scheme.end() + length;
        let path = &text[host_end..];
        let end = host_end + self::length(path, MAX_REST, |c| "\"'`<>\\)]},;".contains(c));
        let url = text[..end].trim_end_matches(['.', ':', '!', '?']);
        found.push(Finding::secret(KIND, scheme.start(), url.len(), confidence));
    }
}

/// How many bytes there are before white space, redacted text or what `ends` it.
fn length(text: &str, most: usize, ends: impl Fn(char) -> bool) -> usize {
    let mut length = 0;
    for c in text.chars() {
        if c.is_whitespace() || c == char::from(FILL) || ends(c) || length + c.len_utf8() > most {
            break;
        }
        length += c.len_utf8();
    }
    length
}
