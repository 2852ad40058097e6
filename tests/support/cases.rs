//! Refusals as a table, and texts that look like something else.

use postgres::Client;

use super::database::store_hash;
use super::refusal::Refusal;

/// Runs every case, a line each: SQLSTATE | parts of the message (what was got, what is expected), by commas | a part of the
/// hint, or nothing where there is no next step to tell | the statement. After each the store has to be as it was before.
pub fn refuse_all(sql: &mut Client, cases: &str) {
    let before = store_hash(sql);
    let mut wrong = Vec::new();
    for case in cases.lines().map(str::trim).filter(|case| !case.is_empty()) {
        let [sqlstate, parts, hint, statement] =
            case.splitn(4, '|').map(str::trim).collect::<Vec<_>>()[..]
        else {
            panic!("four fields: {case}");
        };
        let refusal = match sql.query(statement, &[]) {
            Ok(rows) => {
                wrong.push(format!("{case}\n    not refused, {} rows", rows.len()));
                continue;
            }
            Err(error) => Refusal::of(statement, &error),
        };
        let fits = refusal.sqlstate == sqlstate
            && parts.split(", ").all(|part| refusal.message.contains(part))
            && refusal.hint.contains(hint);
        if !fits {
            wrong.push(format!("{case}\n    got {refusal:?}"));
        } else if sqlstate == "22023" {
            // The server's own errors have a style of their own.
            refusal.well_formed();
        }
        if store_hash(sql) != before {
            wrong.push(format!("{case}\n    refused, but the store has changed"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Short enough for a name, and each of them only text.
pub const FRAGMENTS: &[&str] = &[
    "'; DROP TABLE memories; --",
    "x' OR '1'='1",
    "\"; SELECT pg_sleep(10); --",
    "$1 $2 $$ $tag$ $_$",
    "@s@ @v@ @schema@ @dimensions@",
    "{} {0} {name} %s %d %n %%",
    "\\'; \\\" \\x41 \\0 \\u0000 E'\\x00'",
    "/* comment */ -- comment",
    "../../etc/passwd",
    "<script>alert(1)</script>",
    "NULL",
    "*/ UNION SELECT passwd FROM pg_shadow",
    "a:b & !c | (d <-> e) :* '",
    "$.\"a\" ? (@ > 1)",
    "\u{202e}right to left\u{202c} \u{1f9e0} e\u{301}",
    "line one\nline two\ttab",
];
