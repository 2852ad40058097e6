//! Public IP addresses.

use std::net::{Ipv4Addr, Ipv6Addr};
use std::sync::LazyLock;

use regex::Regex;

use super::context::{after, before, char_before, is_word};
use super::{Confidence, Finding, compile};

pub const KIND: &str = "ip_address";

static V4: LazyLock<Regex> = LazyLock::new(|| compile(r"[0-9]{1,3}(?:\.[0-9]{1,3}){3}"));
static V6: LazyLock<Regex> =
    LazyLock::new(|| compile(r"(?i)[0-9a-f]{1,4}:[0-9a-f:]{1,38}(?:\.[0-9]{1,3}){0,3}"));

/// Four numbers with dots between are as often a version.
static VERSION_BEFORE: LazyLock<Regex> = LazyLock::new(|| {
    compile(concat!(
        r"(?i)(?:\b(?:versions?|ver|v|releases?|rev|builds?|firmware|drivers?|sections?",
        r"|chapter|clause|patch|oid|kernel)[ :=.v(]{0,3}|\b(?:up|down)grad(?:e|ed",
        r"|ing)\b(?u-i:[^\n]{0,24})|\b(?:updated|bumped)\b(?u-i:[^\n]{0,24})|(?:[<>~^]=?",
        r"|==) ?v?)$",
    ))
});
static ADDRESS_BEFORE: LazyLock<Regex> = LazyLock::new(|| {
    compile(concat!(
        r"(?i)\b(?:ip|ips|ipv4|ipv6|address|addr|host|hosts|server|client|ping|ssh|login",
        r"|logged in|peer|remote|dns|gateway|connect|connected|connection|traceroute|whitelist",
        r"|allowlist|firewall)\b",
    ))
});
static PORT_OR_PREFIX_AFTER: LazyLock<Regex> =
    LazyLock::new(|| compile(r"^(?::[0-9]{2,5}|/[0-9]{1,2})(?:(?u:[^0-9A-Za-z.])|$)"));

pub fn find_v4(text: &str, found: &mut Vec<Finding>) {
    for candidate in V4.find_iter(text) {
        let (start, end) = (candidate.start(), candidate.end());
        let Ok(address) = candidate.as_str().parse::<Ipv4Addr>() else {
            continue;
        };
        if !is_public_v4(address) || !stands_alone(text, start, end) {
            continue;
        }
        let context = before(text, start, 40);
        if VERSION_BEFORE.is_match(context) {
            continue;
        }
        let is_address =
            ADDRESS_BEFORE.is_match(context) || PORT_OR_PREFIX_AFTER.is_match(after(text, end, 8));
        let confidence = match is_address {
            true => Confidence::High,
            // 4.2.1.10 is rather a section or a version.
            false if address.octets()[..3].iter().all(|number| *number < 10) => continue,
            false => Confidence::Medium,
        };
        found.push(Finding::pii(KIND, start, end, confidence));
    }
}

pub fn find_v6(text: &str, found: &mut Vec<Finding>) {
    for candidate in V6.find_iter(text) {
        let start = candidate.start();
        // A colon that ends a clause is not of the address, two are.
        let address = match candidate.as_str().strip_suffix(':') {
            Some(without) if !without.ends_with(':') => without,
            _ => candidate.as_str(),
        };
        let end = start + address.len();
        let groups = address.split(':').filter(|group| !group.is_empty()).count();
        let Ok(address) = address.parse::<Ipv6Addr>() else {
            continue;
        };
        // a::b is also how names are qualified.
        if groups >= 3 && is_public_v6(address) && stands_alone(text, start, end) {
            found.push(Finding::pii(KIND, start, end, Confidence::High));
        }
    }
}

/// Whether the span is not part of a longer name, version or number.
fn stands_alone(text: &str, start: usize, end: usize) -> bool {
    let joins_before = |c: char| is_word(c) || matches!(c, '.' | '-' | ':');
    if char_before(text, start).is_some_and(joins_before) {
        // "ip:1.2.3.4" and "ip=..." are fine, "10:1.2.3.4" is not.
        let colon = text[..start].strip_suffix(':');
        if !colon.is_some_and(|head| head.ends_with(|c: char| c.is_alphabetic() || c == ' ')) {
            return false;
        }
    }
    let mut rest = text[end..].chars();
    match rest.next() {
        Some(c) if is_word(c) => false,
        Some('.' | '-' | '+') => !rest.next().is_some_and(char::is_alphanumeric),
        next => next != Some('@'),
    }
}

/// Globally reachable, per the IANA special-purpose registry (RFC 6890 and its successors).
fn is_public_v4(address: Ipv4Addr) -> bool {
    let [a, b, c, _] = address.octets();
    let is_special = address.is_private()
        || address.is_loopback()
        || address.is_link_local()
        || address.is_documentation()
        || a == 0
        || (a == 100 && (64..128).contains(&b))
        || (a == 192 && b == 0 && c == 0)
        || (a == 198 && (18..20).contains(&b))
        // Multicast, reserved, broadcast.
        || a >= 224;
    !is_special
}

/// In 2000::/3, where global unicast addresses are (RFC 4291), and not documentation (RFC 3849, RFC 9637).
fn is_public_v6(address: Ipv6Addr) -> bool {
    let [first, second, ..] = address.segments();
    let is_documentation =
        (first == 0x2001 && second == 0xdb8) || (first == 0x3fff && second < 0x1000);
    first & 0xe000 == 0x2000 && !is_documentation
}
