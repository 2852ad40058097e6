//! Secrets with a format of their own.
//!
//! Formats as their issuers publish them: AWS IAM user guide ("IAM identifiers", unique id
//! prefixes), GitHub ("About authentication to GitHub", token formats), GitLab ("GitLab token
//! overview", token prefixes), Slack ("Tokens", "Incoming webhooks"), Stripe ("API keys"), Google
//! Cloud ("API keys", "OAuth client credentials"), npm ("About access tokens"), PyPI ("API tokens"),
//! SendGrid ("API keys"); lengths as gitleaks and the issuers' own scanners have them.

use std::sync::LazyLock;

use regex::Regex;

use super::context::is_whole_word;
use super::entropy;
use super::{Confidence, Finding, compile};

/// What every pattern below begins with.
pub const TRIGGER: &str = concat!(
    "A3T|AKIA|ASIA|ABIA|ACCA|gh[pousr]_|github_pat_|gl[a-z]{2,6}-|xox[a-z]|xapp-|hooks[.]slack[.]com",
    "|[sr]k_(?:live|test|prod)_|whsec_|AIza|GOCSPX-|npm_|pypi-|SG[.]|sk-",
);

const PATTERNS: &[(&str, &str)] = &[
    (
        "aws_access_key_id",
        "(?:A3T[A-Z0-9]|AKIA|ASIA|ABIA|ACCA)[A-Z0-9]{16}",
    ),
    (
        "github_token",
        "gh[pousr]_[A-Za-z0-9]{36,}|github_pat_[A-Za-z0-9]{22}_[A-Za-z0-9]{59}",
    ),
    (
        "gitlab_token",
        r"gl(?:pat|oas|dt|rt|rtr|cbt|ptt|ft|imt|agent|wt|soat|ffct)-[A-Za-z0-9_-]{20,}(?:\.[0-9a-z]{2}\.[0-9a-z]{9})?",
    ),
    (
        "slack_token",
        r"xox[abeoprs](?:\.xox[bp])?-[A-Za-z0-9-]{10,}|xapp-[0-9]-[A-Za-z0-9-]{10,}",
    ),
    (
        "slack_webhook",
        r"hooks\.slack\.com/(?:services|workflows|triggers)/[A-Za-z0-9+/]{40,}",
    ),
    (
        "stripe_key",
        "[sr]k_(?:live|test|prod)_[A-Za-z0-9]{10,}|whsec_[A-Za-z0-9]{32,}",
    ),
    ("google_api_key", "AIza[A-Za-z0-9_-]{35}"),
    ("google_client_secret", "GOCSPX-[A-Za-z0-9_-]{28}"),
    ("npm_token", "npm_[A-Za-z0-9]{36}"),
    ("pypi_token", "pypi-[A-Za-z0-9_-]{50,}"),
    (
        "sendgrid_key",
        r"SG\.[A-Za-z0-9_-]{16,32}\.[A-Za-z0-9_-]{32,64}",
    ),
    (SK_API_KEY, "sk-[A-Za-z0-9_-]{20,}"),
];

/// A prefix that several issuers use, and that words with hyphens may have.
const SK_API_KEY: &str = "sk_api_key";

static TOKENS: LazyLock<Regex> = LazyLock::new(|| {
    let groups: Vec<String> = PATTERNS
        .iter()
        .map(|(_, pattern)| format!("({pattern})"))
        .collect();
    compile(&groups.join("|"))
});

pub fn find(text: &str, found: &mut Vec<Finding>) {
    for token in TOKENS.captures_iter(text) {
        // The group that took part says which pattern it was.
        let which = token
            .iter()
            .skip(1)
            .zip(PATTERNS)
            .find_map(|(group, (kind, _))| group.map(|group| (*kind, group)));
        let Some((kind, token)) = which else {
            continue;
        };
        let is_token = is_whole_word(text, token.start(), token.end())
            && entropy::bits_per_byte(token.as_str()) >= entropy::LEAST_OF_TOKEN
            && (kind != SK_API_KEY || looks_random(token.as_str()));
        if is_token {
            found.push(Finding::secret(
                kind,
                token.start(),
                token.end(),
                Confidence::High,
            ));
        }
    }
}

/// Has letters, digits and a part too long for a word.
fn looks_random(token: &str) -> bool {
    token.bytes().any(|b| b.is_ascii_digit())
        && token
            .split(['-', '_'])
            .any(|part| part.len() >= 12 && part.bytes().any(|b| b.is_ascii_digit()))
}

static AWS_SECRET: LazyLock<Regex> = LazyLock::new(|| {
    compile(concat!(
        r#"(?i)(?:aws[a-z_ .-]{0,20}(?:secret|key)|secret_?access_?key"#,
        r#"|secret access key)[a-z_]{0,8}["']?[\s:=>]{1,6}(?:is )?["']?([a-z0-9/+]{40})"#,
    ))
});

/// Secret access keys of AWS: 40 characters of base 64 beside a word for them.
pub fn find_aws_secret(text: &str, found: &mut Vec<Finding>) {
    for captures in AWS_SECRET.captures_iter(text) {
        let Some(key) = captures.get(1) else {
            continue;
        };
        let goes_on =
            text[key.end()..].starts_with(|c: char| c.is_alphanumeric() || "/+=".contains(c));
        if !goes_on && entropy::bits_per_byte(key.as_str()) >= entropy::LEAST_OF_TOKEN {
            found.push(Finding::secret(
                "aws_secret_key",
                key.start(),
                key.end(),
                Confidence::High,
            ));
        }
    }
}
