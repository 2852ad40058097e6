use proptest::prelude::*;

use super::*;

type Line = Result<Vec<Option<String>>, CopyTextError>;

fn decoded(line: &[u8]) -> Line {
    fields(line)
        .map(|field| field.map(|text| text.map(Cow::into_owned)))
        .collect()
}

fn encoded(fields: &[Option<&str>]) -> Vec<u8> {
    let mut line = Vec::new();
    encode(fields.iter().copied(), &mut line);
    line
}

/// Lines that COPY TO of PostgreSQL 18 writes for these values.
#[test]
fn lines_of_copy_to_are_written_and_read() {
    for (fields, line) in [
        (&[Some("a"), Some("b")][..], &b"a\tb\n"[..]),
        (&[Some("")], b"\n"),
        (&[None], b"\\N\n"),
        (&[None, Some(""), None], b"\\N\t\t\\N\n"),
        (&[Some(r"\N")], b"\\\\N\n"),
        (&[Some(r"\.")], b"\\\\.\n"),
        (&[Some(".")], b".\n"),
        (
            &[Some("tab\tnewline\nreturn\r")],
            b"tab\\tnewline\\nreturn\\r\n",
        ),
        (&[Some("\u{8}\u{b}\u{c}")], b"\\b\\v\\f\n"),
        // Other control characters stay as they are.
        (&[Some("\u{1}\u{7f}\u{1b}")], b"\x01\x7f\x1b\n"),
        (
            &[Some(r#"{"path": "C:\\x"}"#)],
            b"{\"path\": \"C:\\\\\\\\x\"}\n",
        ),
        (
            &[Some("gr\u{fc}n \u{1f600}")],
            "gr\u{fc}n \u{1f600}\n".as_bytes(),
        ),
    ] {
        assert_eq!(encoded(fields), line, "{fields:?}");
        let fields: Vec<_> = fields.iter().map(|text| text.map(str::to_owned)).collect();
        assert_eq!(decoded(line), Ok(fields.clone()), "{line:?}");
        let without_newline = line.strip_suffix(b"\n").unwrap();
        assert_eq!(decoded(without_newline), Ok(fields), "{line:?}");
    }
}

/// The table of escapes in the documentation of COPY.
#[test]
fn all_escapes_of_copy_from_are_read() {
    for (line, text) in [
        (&br"\b\f\n\r\t\v"[..], "\u{8}\u{c}\n\r\t\u{b}"),
        (br"\101\60\7", "A0\u{7}"),
        (br"\1011", "A1"),
        (br"\418", "!8"),
        (br"\501", "A"),
        (br"\x41\x4a\x4A\x7", "AJJ\u{7}"),
        (br"\x414", "A4"),
        (br"\x4g", "\u{4}g"),
        (br"\xg\x", "xgx"),
        (br"\X41", "X41"),
        (br"\\N", r"\N"),
        (br"\a\z\'", "az'"),
        (br"x\N", "xN"),
        (br"\Nx", "Nx"),
        (b"\\\t|", "\t|"),
        // One character from bytes that are written as numbers.
        (br"\303\274\xc3\xbc", "\u{fc}\u{fc}"),
        ("\\\u{fc}".as_bytes(), "\u{fc}"),
    ] {
        assert_eq!(decoded(line), Ok(vec![Some(text.to_owned())]), "{line:?}");
    }
}

#[test]
fn an_escaped_backslash_does_not_escape_the_tab() {
    assert_eq!(
        decoded(b"a\\\\\tb"),
        Ok(vec![Some("a\\".to_owned()), Some("b".to_owned())])
    );
}

#[test]
fn what_copy_cannot_have_written_is_refused() {
    for (line, ordinal, problem) in [
        (&b"a\\"[..], 1, FieldProblem::Backslash),
        (b"a\tb\\\n", 2, FieldProblem::Backslash),
        (b"a\nb", 1, FieldProblem::LineBreak),
        (b"a\n\n", 1, FieldProblem::LineBreak),
        (b"a\\\nb", 1, FieldProblem::LineBreak),
        (b"a\r\n", 1, FieldProblem::LineBreak),
        (b"ok\t\xff", 2, FieldProblem::NotUtf8),
        (br"\377", 1, FieldProblem::NotUtf8),
        (b"\\.\n", 1, FieldProblem::EndOfData),
        (b"a\tb\\.c", 2, FieldProblem::EndOfData),
        (b"\0", 1, FieldProblem::Nul),
        (br"\0", 1, FieldProblem::Nul),
        (br"\x0", 1, FieldProblem::Nul),
        (br"\400", 1, FieldProblem::Nul),
    ] {
        assert_eq!(
            decoded(line),
            Err(CopyTextError { ordinal, problem }),
            "{line:?}"
        );
    }
}

#[test]
fn nothing_follows_an_error() {
    let mut fields = fields(b"\xff\tb");
    assert!(fields.next().unwrap().is_err());
    assert_eq!(fields.next(), None);
}

#[test]
fn fields_without_escapes_are_not_copied() {
    let mut fields = fields(b"plain\tesc\\tape");
    assert!(matches!(
        fields.next(),
        Some(Ok(Some(Cow::Borrowed("plain"))))
    ));
    assert!(matches!(fields.next(), Some(Ok(Some(Cow::Owned(_))))));
}

#[test]
fn errors_say_where_but_not_what() {
    let message = |line: &[u8]| decoded(line).unwrap_err().to_string();
    assert_eq!(
        message(b"a\tsecret\\"),
        "field 2 ends with a backslash that escapes nothing"
    );
    assert_eq!(message(b"\\."), "field 1 holds the end-of-data marker");
}

#[test]
fn a_long_line_takes_linear_time() {
    // A quadratic decoder would need minutes.
    let long = b"\\\\".repeat(2_000_000);
    assert_eq!(
        decoded(&long).unwrap()[0].as_ref().unwrap().len(),
        2_000_000
    );
    assert_eq!(decoded(&b"\t".repeat(1_000_000)).unwrap().len(), 1_000_001);
}

fn any_text() -> impl Strategy<Value = String> {
    prop_oneof!["[^\\x00]{0,20}", "[\\\\\t\n\r\u{8}\u{b}\u{c}Nx0-9.a]{0,20}",]
}

proptest! {
    #[test]
    fn what_is_written_is_read(
        row in prop::collection::vec(prop::option::of(any_text()), 1..8)
    ) {
        let borrowed: Vec<_> = row.iter().map(Option::as_deref).collect();
        let line = encoded(&borrowed);
        prop_assert_eq!(line.iter().position(|byte| *byte == b'\n'), Some(line.len() - 1));
        prop_assert_eq!(decoded(&line), Ok(row));
    }

    #[test]
    fn any_bytes_are_read_or_refused(line in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = decoded(&line);
    }

    #[test]
    fn what_was_read_means_the_same_when_written(line in "[\\\\\t0-9a-fxNn.]{0,40}") {
        if let Ok(row) = decoded(line.as_bytes()) {
            let borrowed: Vec<_> = row.iter().map(Option::as_deref).collect();
            prop_assert_eq!(decoded(&encoded(&borrowed)), Ok(row));
        }
    }
}
