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
    // Where the text around a scheme ends does not depend on the scheme, and is looked for once.
    let mut authorities = Ends::new(text, "/?#\"'`<>\\");
    let mut urls = Ends::new(text, "\"'`<>\\)]},;");
    for scheme in SCHEME.find_iter(text) {
        let host_end = authorities.after(scheme.end(), MAX_AUTHORITY);
        let authority = &text[scheme.end()..host_end];
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
        let end = urls.after(host_end, MAX_REST);
        let url = text[..end].trim_end_matches(['.', ':', '!', '?']);
        found.push(Finding::secret(KIND, scheme.start(), url.len(), confidence));
    }
}

/// Where white space, redacted text or one of some characters comes, for places that ascend.
struct Ends<'a> {
    text: &'a str,
    of: &'static str,
    next: usize,
}

impl<'a> Ends<'a> {
    fn new(text: &'a str, of: &'static str) -> Self {
        Self { text, of, next: 0 }
    }

    /// The first at or after `from`, but not more than `most` bytes after it.
    fn after(&mut self, from: usize, most: usize) -> usize {
        if self.next < from {
            let rest = &self.text[from..];
            let is_end =
                |c: char| c.is_whitespace() || c == char::from(FILL) || self.of.contains(c);
            self.next = from + rest.find(is_end).unwrap_or(rest.len());
        }
        self.text.floor_char_boundary(self.next.min(from + most))
    }
}
