//! Values that the text itself calls a secret: `password=...`, `"api_key": "..."`, "the token is ...".
//!
//! A value counts when it is long enough, no placeholder, not made of words, and random enough (see
//! [`entropy`](super::entropy)):
//!
//! | named | least bytes | least entropy |
//! |---|---|---|
//! | password, passphrase, passcode | 6 | 2.0 |
//! | secret, credential | 8 | 2.5 |
//! | token, key | 16 | 2.8 |
//!
//! So passwords of letters only, or of several words, are not found: "password: required" is the commoner text.

use std::sync::LazyLock;

use regex::Regex;

use super::entropy::{self, bits_per_byte};
use super::{Confidence, FILL, Finding, compile};

pub const PASSWORD: &str = "password";
pub const SECRET_VALUE: &str = "secret_value";
pub const AUTHORIZATION: &str = "authorization";

const MAX_QUOTED: usize = 512;
/// Names that are looked at within one word: enough for `option=password=value`, and few enough for
/// linear time.
const MAX_NESTED: usize = 4;

/// Name and assignment. What comes before the name may belong to it: DB_PASSWORD, clientSecret.
static NAME: LazyLock<Regex> = LazyLock::new(|| {
    compile(concat!(
        r#"(?i)(?:(pass(?:word|wd|wort|phrase|code)|pwd|kennwort|mot de passe|contrase(?:n"#,
        r#"|(?u-i:\x{f1}))a)|(secret|credentials?)|(token|(?:api|access|auth|secret|private"#,
        r#"|signing|encryption|account|shared"#,
        r#"|license)[ _-]?key(?:[_-]?base)?))[\\"'`\]]{0,3}(?:\s{0,4}(?::=|=>|={1,3}|:)\s{0,4}"#,
        r#"|\s{1,3}(?:is|was|ist|lautet|est|es)(?: now| set to| changed to)?:?\s{1,3}"#,
        r#"|\s{1,3}(?:changed|set) to\s{1,3})"#,
    ))
});

#[derive(Clone, Copy)]
enum Named {
    Password,
    Secret,
    Token,
}

impl Named {
    fn least_bytes(self) -> usize {
        match self {
            Self::Password => 6,
            Self::Secret => 8,
            Self::Token => 16,
        }
    }

    fn least_entropy(self) -> f64 {
        match self {
            Self::Password => entropy::LEAST_OF_PASSWORD,
            Self::Secret => entropy::LEAST_OF_SECRET,
            Self::Token => entropy::LEAST_OF_TOKEN,
        }
    }

    /// What of a word without quotes is the value, not the sentence or the code around it.
    fn value_in(self, word: &str) -> &str {
        let word = match self {
            Self::Password => word,
            Self::Secret | Self::Token => word
                .split(['(', ')', '[', ']', '{', '}'])
                .next()
                .unwrap_or_default(),
        };
        word.trim_end_matches(['.', ':', ')', ']', '}', '\\'])
    }

    fn kind(self) -> &'static str {
        match self {
            Self::Password => PASSWORD,
            Self::Secret | Self::Token => SECRET_VALUE,
        }
    }
}

pub fn find(text: &str, found: &mut Vec<Finding>) {
    // Where the bare word ends that was read last, and how many names stood in it already.
    let (mut bare_end, mut names) = (0, 0);
    for captures in NAME.captures_iter(text) {
        let Some(name) = captures.get(0) else {
            continue;
        };
        let named = match (captures.get(1), captures.get(2)) {
            (Some(_), _) => Named::Password,
            (_, Some(_)) => Named::Secret,
            _ => Named::Token,
        };
        // In JSON inside of JSON the quote is escaped.
        let at = match text[name.end()..].starts_with("\\\"") {
            true => name.end() + 1,
            false => name.end(),
        };
        let (start, end) = match quoted(text, at) {
            Some(span) => span,
            None => {
                names += 1;
                if at > bare_end {
                    bare_end = at + bare_length(&text[at..]);
                    names = 0;
                }
                if names > MAX_NESTED {
                    continue;
                }
                let word = &text[at..bare_end.max(at)];
                (at, at + named.value_in(word).len())
            }
        };
        if let Some(confidence) = judge(named, &text[start..end]) {
            found.push(Finding::secret(named.kind(), start, end, confidence));
        }
    }
}

static AUTHORIZATION_VALUE: LazyLock<Regex> = LazyLock::new(|| {
    compile(
        r#"(?i)(?:\bbearer\s{1,3}|\bauthorization["']?\s{0,3}[:=]\s{0,3}["']?basic\s{1,3})([a-z0-9._~+/-]{8,}={0,2})"#,
    )
});

/// Values of HTTP's Authorization header (RFC 6750, RFC 7617).
pub fn find_authorization(text: &str, found: &mut Vec<Finding>) {
    for captures in AUTHORIZATION_VALUE.captures_iter(text) {
        let Some(value) = captures.get(1) else {
            continue;
        };
        let is_basic = captures
            .get(0)
            .is_some_and(|whole| whole.as_str().to_ascii_lowercase().starts_with("auth"));
        let named = if is_basic {
            Named::Secret
        } else {
            Named::Token
        };
        if let Some(confidence) = judge(named, value.as_str()) {
            found.push(Finding::secret(
                AUTHORIZATION,
                value.start(),
                value.end(),
                confidence,
            ));
        }
    }
}

/// The span between quotes that open here.
fn quoted(text: &str, at: usize) -> Option<(usize, usize)> {
    let rest = &text[at..];
    let quote = rest
        .chars()
        .next()
        .filter(|c| matches!(c, '"' | '\'' | '`'))?;
    let mut end = at + 1;
    for c in text[end..].chars() {
        if c == quote {
            let value = text[at + 1..end].trim_end_matches('\\');
            return Some((at + 1, at + 1 + value.len()));
        }
        end += c.len_utf8();
        if c == '\n' || c == char::from(FILL) || end - at > MAX_QUOTED {
            return None;
        }
    }
    None
}

/// How long the word without quotes is.
fn bare_length(text: &str) -> usize {
    let mut length = 0;
    for (at, c) in text.char_indices() {
        let ends = c.is_whitespace()
            || c == char::from(FILL)
            || "\"'`,;<>|".contains(c)
            // The next parameter of a query; an ampersand alone may be of a password.
            || (c == '&' && is_parameter(&text[at + 1..]));
        if ends {
            return length;
        }
        length = at + c.len_utf8();
    }
    length
}

fn is_parameter(text: &str) -> bool {
    let name = text
        .bytes()
        .take(32)
        .take_while(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-'))
        .count();
    name > 0 && text.as_bytes().get(name) == Some(&b'=')
}

fn judge(named: Named, value: &str) -> Option<Confidence> {
    if value.len() < named.least_bytes() || is_placeholder(value) || is_code(value) {
        return None;
    }
    let bits = bits_per_byte(value);
    if bits < named.least_entropy() || !is_mixed(named, value) {
        return None;
    }
    Some(match value.len() >= 20 && bits >= 3.5 {
        true => Confidence::High,
        false => Confidence::Medium,
    })
}

/// Whether the value is of more than words: of letters with digits or signs, or of digits for a
/// password.
fn is_mixed(named: Named, value: &str) -> bool {
    let has_letter = value.chars().any(char::is_alphabetic);
    let has_digit = value.bytes().any(|b| b.is_ascii_digit());
    let has_sign = value.bytes().any(|b| b"!@#$%^&*+=?~".contains(&b));
    let has_space = value.chars().any(char::is_whitespace);
    match named {
        Named::Password => match (has_letter, has_digit, has_sign) {
            (true, true, _) => !is_words(value) && !has_space,
            (true, false, true) => !has_space && !value.ends_with(['!', '?', '*', '=']),
            (false, true, _) => value.bytes().all(|b| b.is_ascii_digit()) || has_sign,
            _ => false,
        },
        Named::Secret | Named::Token => has_letter && has_digit && !has_space && !is_words(value),
    }
}

/// Two or more words, versions and small numbers: access_token_v2, see-section-4.
fn is_words(value: &str) -> bool {
    let is_word = |part: &str| {
        let digits = part.trim_start_matches(|c: char| c.is_alphabetic());
        digits.is_empty()
            || (digits.len() <= 2
                && digits.bytes().all(|b| b.is_ascii_digit())
                && (part.len() - digits.len() != 1 || part.starts_with('v'))
                && part.len() <= 12)
            || part.parse::<u8>().is_ok()
    };
    let parts = value.split(['-', '_', '.', '/', ' ', ':']);
    parts.clone().count() > 1 && parts.into_iter().all(is_word)
}

/// An expression whose value the secret is, or its type: a call, a path, a member, a reference.
fn is_code(value: &str) -> bool {
    static CODE: LazyLock<Regex> = LazyLock::new(|| {
        compile(concat!(
            r"^(?:[A-Za-z_][A-Za-z0-9_]{0,40}(?:(?:\.|::|->)[A-Za-z_][A-Za-z0-9_]{0,40}){0,6}[(\[]",
            r"|[A-Za-z_][A-Za-z_]{0,40}(?:(?:\.|::|->)[A-Za-z_][A-Za-z0-9_]{0,24}){1,6}$",
            r"|[a-z][a-z0-9+.-]{1,20}://|(?:\.{0,2}|~)/[A-Za-z0-9._-]{1,40}/|[A-Za-z]:\\|--",
            r"|[*&:]{1,2}[A-Za-z_:])",
        ))
    });
    CODE.is_match(value)
}

/// Names of algorithms and formats, which letters and digits mix too.
const NO_SECRETS: &[&str] = &[
    "aes128",
    "aes256",
    "argon2",
    "argon2i",
    "argon2id",
    "base32",
    "base64",
    "base64url",
    "bcrypt",
    "blake2b",
    "blake3",
    "ed25519",
    "es256",
    "hs256",
    "hs512",
    "oauth2",
    "oauth2.0",
    "pbkdf2",
    "rs256",
    "rsa2048",
    "rsa4096",
    "scrypt",
    "sha-1",
    "sha-256",
    "sha-512",
    "sha1",
    "sha256",
    "sha3",
    "sha384",
    "sha512",
    "utf-8",
    "utf8",
    "uuid4",
    "uuidv4",
    "x25519",
];

const PLACEHOLDERS: &[&str] = &[
    "change_me",
    "change-me",
    "changeme",
    "changeit",
    "dummy",
    "enter_",
    "example",
    "fake",
    "hidden",
    "insert",
    "masked",
    "not_set",
    "placeholder",
    "redacted",
    "removed",
    "replace",
    "sample",
    "xxx",
    "yyyy",
    "your",
    "***",
    "...",
    "_here",
    "-here",
    "\u{2022}",
];

/// Stands for a value that somebody is to put in, or has taken out.
fn is_placeholder(value: &str) -> bool {
    let lower = value.to_ascii_lowercase();
    is_template(value)
        || NO_SECRETS.contains(&lower.as_str())
        // Long values can hold such a word by chance, or are real ones with a telling prefix.
        || (value.len() < 40 && PLACEHOLDERS.iter().any(|word| lower.contains(word)))
        || is_sequence(value)
}

/// `${VAR}`, `$VAR`, `{{ name }}`, `<your-key>`, `%(name)s`, `%NAME%`, `[name]`: filled in elsewhere.
pub fn is_template(value: &str) -> bool {
    static TEMPLATE: LazyLock<Regex> = LazyLock::new(|| {
        compile(
            r"^(?:\$\{|\$\(|\{|<|%\(|\[|\$[A-Z_][A-Z0-9_]*$|\$[a-z_]+$|%[A-Za-z_]+%|@[A-Za-z_]+@$|:[a-z_]+$|\*+$|[xX]+$|\.+$|#+$|_+$|-+$|(?u:\x{2022}+)$)",
        )
    });
    TEMPLATE.is_match(value)
}

/// 12345678, abcdefgh, 00000000.
fn is_sequence(value: &str) -> bool {
    let mut steps = value
        .as_bytes()
        .windows(2)
        .map(|pair| i16::from(pair[1]) - i16::from(pair[0]));
    let Some(step) = steps.next() else {
        return true;
    };
    (-1..=1).contains(&step) && steps.all(|other| other == step)
}
