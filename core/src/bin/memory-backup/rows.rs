//! Rows as JSON objects.

use std::fmt;
use std::io::{self, Write};

use memory_core::container::{Column, Section};
use memory_core::copy_text::{self, CopyTextError};
use serde_json::Value;

/// How the values of a column are printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Shape {
    Boolean,
    Number,
    Json,
    Vector,
    Text,
}

impl Shape {
    /// By the type's name as `format_type` prints it, with or without schema and modifier.
    fn of(type_name: &str) -> Self {
        if type_name.ends_with(']') {
            return Self::Text;
        }
        let name = type_name.split('(').next().unwrap_or_default();
        match name.rsplit('.').next().unwrap_or_default().trim() {
            "boolean" | "bool" => Self::Boolean,
            "smallint" | "integer" | "bigint" | "int2" | "int4" | "int8" | "real"
            | "double precision" | "float4" | "float8" => Self::Number,
            "json" | "jsonb" => Self::Json,
            "vector" => Self::Vector,
            _ => Self::Text,
        }
    }

    /// None if the text is not such a value, like the numbers NaN and Infinity, which JSON does not
    /// have: then it is printed as a string.
    fn value(self, text: &str) -> Option<Value> {
        let parsed = || serde_json::from_str(text).ok();
        match self {
            Self::Boolean => match text {
                "t" => Some(true.into()),
                "f" => Some(false.into()),
                _ => None,
            },
            Self::Number => parsed().filter(Value::is_number),
            Self::Json => parsed(),
            Self::Vector => parsed().filter(|value| match value {
                Value::Array(elements) => elements.iter().all(Value::is_number),
                _ => false,
            }),
            Self::Text => None,
        }
    }
}

#[derive(Debug)]
pub enum RowError {
    Output(io::Error),
    Row(RowProblem),
}

/// Which row of an authentic backup is not one. Holds nothing of the row.
#[derive(Debug, PartialEq, Eq)]
pub struct RowProblem {
    table: String,
    /// Counted from 1.
    row: u64,
    problem: Problem,
}

#[derive(Debug, PartialEq, Eq)]
enum Problem {
    CopyText(CopyTextError),
    Fields { got: usize, expected: usize },
}

impl fmt::Display for RowProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "row {} of table {:?}: ", self.row, self.table)?;
        match &self.problem {
            Problem::CopyText(error) => write!(f, "{error}"),
            Problem::Fields { got, expected } => {
                write!(f, "has {got} fields, expected {expected}")
            }
        }
    }
}

/// Prints the rows of a table.
pub struct RowWriter {
    table: String,
    columns: Vec<(String, Shape)>,
    row: u64,
    /// The object that is being made: a row is printed as a whole or not at all.
    object: Vec<u8>,
}

impl RowWriter {
    pub fn new(section: &Section) -> Self {
        let shaped = |column: &Column| (column.name.clone(), Shape::of(&column.type_name));
        Self {
            table: section.table.clone(),
            columns: section.columns.iter().map(shaped).collect(),
            row: 0,
            object: Vec::new(),
        }
    }

    /// Prints a line of COPY text as a line of JSON.
    pub fn write(&mut self, line: &[u8], output: &mut impl Write) -> Result<(), RowError> {
        self.row += 1;
        let problem = |problem| {
            RowError::Row(RowProblem {
                table: self.table.clone(),
                row: self.row,
                problem,
            })
        };
        let object = &mut self.object;
        object.clear();
        object.extend(b"{\"table\":");
        write_json(object, &self.table)?;
        let mut got = 0;
        for field in copy_text::fields(line) {
            let field = field.map_err(|error| problem(Problem::CopyText(error)))?;
            if let Some((name, shape)) = self.columns.get(got) {
                object.push(b',');
                write_json(object, name)?;
                object.push(b':');
                match field.map(|text| shape.value(&text).ok_or(text)) {
                    None => write_json(object, &Value::Null)?,
                    Some(Ok(value)) => write_json(object, &value)?,
                    Some(Err(text)) => write_json(object, &text)?,
                }
            }
            got += 1;
        }
        let expected = self.columns.len();
        if got != expected {
            return Err(problem(Problem::Fields { got, expected }));
        }
        object.extend(b"}\n");
        output.write_all(object).map_err(RowError::Output)
    }
}

fn write_json(
    output: &mut Vec<u8>,
    value: &(impl serde::Serialize + ?Sized),
) -> Result<(), RowError> {
    serde_json::to_writer(output, value).map_err(|error| RowError::Output(error.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn section(columns: &[(&str, &str)]) -> Section {
        let column = |&(name, type_name): &(&str, &str)| Column {
            name: name.to_owned(),
            type_name: type_name.to_owned(),
        };
        Section {
            table: "t".to_owned(),
            columns: columns.iter().map(column).collect(),
        }
    }

    fn printed(type_name: &str, text: &str) -> String {
        let mut output = Vec::new();
        RowWriter::new(&section(&[("c", type_name)]))
            .write(text.as_bytes(), &mut output)
            .unwrap();
        let line = String::from_utf8(output).unwrap();
        let value = line.strip_prefix(r#"{"table":"t","c":"#).unwrap();
        value.strip_suffix("}\n").unwrap().to_owned()
    }

    #[test]
    fn values_are_printed_by_the_type_of_their_column() {
        for (type_name, text, json) in [
            ("boolean", "t", "true"),
            ("boolean", "f", "false"),
            ("bigint", "-9223372036854775808", "-9223372036854775808"),
            ("integer", "0", "0"),
            ("real", "0.1", "0.1"),
            ("real", "1e-05", "1e-05"),
            (
                "double precision",
                "1.7976931348623157e+308",
                "1.7976931348623157e+308",
            ),
            ("real", "NaN", "\"NaN\""),
            ("real", "-Infinity", "\"-Infinity\""),
            ("text", "12", "\"12\""),
            ("text", "t", "\"t\""),
            ("text", r#"say \\ \n ""#, r#""say \\ \n \"""#),
            (
                "jsonb",
                r#"{"b": [1, null], "n": 12345678901234567890.50}"#,
                r#"{"b":[1,null],"n":12345678901234567890.50}"#,
            ),
            ("jsonb", r#"{"s": "a\\nb"}"#, r#"{"s":"a\nb"}"#),
            ("json", "null", "null"),
            ("jsonb", "not json", "\"not json\""),
            ("vector(3)", "[1,0.25,-3e-05]", "[1,0.25,-3e-05]"),
            ("public.vector(3)", "[1,2,3]", "[1,2,3]"),
            ("vector", "[\"a\"]", r#""[\"a\"]""#),
            ("vector(3)[]", "{}", "\"{}\""),
            ("text[]", "{a,b}", "\"{a,b}\""),
            ("integer[]", "{1,2}", "\"{1,2}\""),
            ("bytea", r"\\x00ff", r#""\\x00ff""#),
            ("numeric(10,2)", "1.50", "\"1.50\""),
            (
                "timestamp with time zone",
                "2026-11-23 10:00:00+00",
                "\"2026-11-23 10:00:00+00\"",
            ),
            ("boolean", r"\N", "null"),
            ("text", r"\N", "null"),
            ("jsonb", r"\N", "null"),
            ("text", "", "\"\""),
        ] {
            assert_eq!(printed(type_name, text), json, "{type_name} {text}");
        }
    }

    #[test]
    fn json_that_is_nested_too_deep_for_a_parser_is_a_string() {
        let deep = format!("{}{}", "[".repeat(1000), "]".repeat(1000));
        assert_eq!(printed("jsonb", &deep), format!("\"{deep}\""));
    }

    #[test]
    fn a_row_that_does_not_fit_its_table_is_refused() {
        let mut writer = RowWriter::new(&section(&[("a", "text"), ("b", "text")]));
        let mut output = Vec::new();
        writer.write(b"1\t2\n", &mut output).unwrap();
        let mut problem = |line: &[u8]| match writer.write(line, &mut output) {
            Err(RowError::Row(problem)) => problem.to_string(),
            _ => panic!("expected a problem"),
        };
        assert_eq!(
            problem(b"1\n"),
            "row 2 of table \"t\": has 1 fields, expected 2"
        );
        assert_eq!(
            problem(b"1\t2\t3\n"),
            "row 3 of table \"t\": has 3 fields, expected 2"
        );
        assert_eq!(
            problem(b"1\t\xff\n"),
            "row 4 of table \"t\": field 2 is not UTF-8"
        );
        assert_eq!(output, b"{\"table\":\"t\",\"a\":\"1\",\"b\":\"2\"}\n");
    }
}
