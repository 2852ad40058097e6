//! The JSON filter language on metadata, compiled to one SQL/JSON path predicate.
//!
//! ```json
//! {"team": "search", "stats.uses": {"$gte": 3}, "$or": [{"tag": {"$in": ["a", "b"]}}, {"draft": {"$exists": false}}]}
//! ```
//!
//! A filter is an object; all its members must hold. A member is a path with a value (equality) or
//! with an object of operators, all of which must hold, or a logical operator.
//!
//! | operator | operand | holds when |
//! |---|---|---|
//! | `$eq` | string, number, boolean, null | the value there, or an element of the array there, is equal |
//! | `$gt` `$gte` `$lt` `$lte` | string, number | likewise, compared as numbers, or as strings by code point |
//! | `$in` | list of scalars | `$eq` one of them; an empty list: never |
//! | `$exists` | boolean | the path is there (with any value, null too), or is not |
//! | `$ne` `$nin` | as `$eq` `$in` | that does not hold: also where the path is missing or has another type |
//! | `$not` | object of operators (under a path), filter (elsewhere) | it does not hold |
//! | `$and` `$or` `$nor` | list of filters, not empty | all, any, none hold |
//!
//! A path is keys with dots between; each step also looks into the elements of an array. Values of
//! different types are never equal, null is equal to null only.
//!
//! The predicate is in lax mode, where a comparison of different types is *unknown*. Negation is
//! pushed down to the comparisons, where `is unknown` counts as false; above them only `&&` and
//! `||` remain, which are true exactly when they would be with every unknown false.

mod error;

use serde_json::{Map, Value};

pub use error::FilterError;

/// How deep `$and`, `$or`, `$nor` and `$not` may be nested.
pub const MAX_DEPTH: usize = 32;
/// How many comparisons a filter may hold; every element of an `$in` is one.
pub const MAX_CONDITIONS: usize = 1000;

const LOGICAL_OPERATORS: &[&str] = &["$and", "$or", "$nor", "$not"];
const FIELD_OPERATORS: &[&str] = &[
    "$eq", "$ne", "$gt", "$gte", "$lt", "$lte", "$in", "$nin", "$exists", "$not",
];

/// Compiles a filter to the text of a `jsonpath` to be used with the operator `@@`:
/// `metadata @@ $1::jsonpath`. `{}` holds always.
///
/// Strings and keys are written as quoted literals and numbers with their own digits, so nothing of
/// the filter's text can become syntax.
pub fn compile(json: &str) -> Result<String, FilterError> {
    let filter = serde_json::from_str(json).map_err(|e| FilterError::Malformed(e.to_string()))?;
    let mut compiler = Compiler { conditions: 0 };
    compiler.filter("the filter", &filter, Sense::Plain, 0)
}

/// Whether what is compiled has to hold or must not hold.
#[derive(Clone, Copy, PartialEq)]
enum Sense {
    Plain,
    Negated,
}

impl Sense {
    fn flipped(self) -> Self {
        match self {
            Self::Plain => Self::Negated,
            Self::Negated => Self::Plain,
        }
    }
}

struct Compiler {
    conditions: usize,
}

impl Compiler {
    /// A filter object; `place` names it in errors.
    fn filter(
        &mut self,
        place: &str,
        filter: &Value,
        sense: Sense,
        depth: usize,
    ) -> Result<String, FilterError> {
        let Value::Object(members) = filter else {
            return Err(FilterError::NotAnObject {
                place: place.to_owned(),
                got: kind(filter),
            });
        };
        if depth > MAX_DEPTH {
            return Err(FilterError::TooDeep);
        }
        let parts = members
            .iter()
            .map(|(key, operand)| match key.strip_prefix('$') {
                Some(_) => self.logical(key, operand, sense, depth),
                None => self.field(key, operand, sense, depth),
            })
            .collect::<Result<Vec<_>, _>>()?;
        Ok(all_of(parts, sense))
    }

    fn logical(
        &mut self,
        operator: &str,
        operand: &Value,
        sense: Sense,
        depth: usize,
    ) -> Result<String, FilterError> {
        match operator {
            "$and" => Ok(all_of(
                self.filters(operator, operand, sense, depth)?,
                sense,
            )),
            "$or" => Ok(any_of(
                self.filters(operator, operand, sense, depth)?,
                sense,
            )),
            "$nor" => {
                let sense = sense.flipped();
                Ok(any_of(
                    self.filters(operator, operand, sense, depth)?,
                    sense,
                ))
            }
            "$not" => self.filter(operator, operand, sense.flipped(), depth + 1),
            _ => Err(FilterError::UnknownOperator {
                operator: operator.to_owned(),
                path: None,
                allowed: LOGICAL_OPERATORS,
            }),
        }
    }

    fn filters(
        &mut self,
        operator: &str,
        operand: &Value,
        sense: Sense,
        depth: usize,
    ) -> Result<Vec<String>, FilterError> {
        let Value::Array(filters) = operand else {
            return Err(wrong_operand(operator, None, "a list of filters", operand));
        };
        if filters.is_empty() {
            return Err(FilterError::EmptyList {
                operator: operator.to_owned(),
            });
        }
        let place = format!("an element of {operator}");
        filters
            .iter()
            .map(|filter| self.filter(&place, filter, sense, depth + 1))
            .collect()
    }

    /// A path with a value or with operators.
    fn field(
        &mut self,
        path: &str,
        operand: &Value,
        sense: Sense,
        depth: usize,
    ) -> Result<String, FilterError> {
        let accessor = accessor(path)?;
        let field = Field {
            path,
            accessor: &accessor,
        };
        match operand {
            Value::Object(operators) => self.operators(&field, operators, sense, depth),
            value => self.comparison(&field, "$eq", value, sense),
        }
    }

    fn operators(
        &mut self,
        field: &Field,
        operators: &Map<String, Value>,
        sense: Sense,
        depth: usize,
    ) -> Result<String, FilterError> {
        if depth > MAX_DEPTH {
            return Err(FilterError::TooDeep);
        }
        if operators.is_empty() {
            return Err(FilterError::NoOperator {
                path: field.path.to_owned(),
            });
        }
        let parts = operators
            .iter()
            .map(|(operator, operand)| self.operator(field, operator, operand, sense, depth))
            .collect::<Result<Vec<_>, _>>()?;
        Ok(all_of(parts, sense))
    }

    fn operator(
        &mut self,
        field: &Field,
        operator: &str,
        operand: &Value,
        sense: Sense,
        depth: usize,
    ) -> Result<String, FilterError> {
        match operator {
            "$eq" | "$gt" | "$gte" | "$lt" | "$lte" => {
                self.comparison(field, operator, operand, sense)
            }
            "$ne" => self.comparison(field, operator, operand, sense.flipped()),
            "$in" => self.membership(field, operator, operand, sense),
            "$nin" => self.membership(field, operator, operand, sense.flipped()),
            "$exists" => self.existence(field, operand, sense),
            "$not" => match operand {
                Value::Object(operators) => {
                    self.operators(field, operators, sense.flipped(), depth + 1)
                }
                _ => Err(wrong_operand(
                    operator,
                    Some(field),
                    "an object of operators",
                    operand,
                )),
            },
            _ if operator.starts_with('$') => Err(FilterError::UnknownOperator {
                operator: operator.to_owned(),
                path: Some(field.path.to_owned()),
                allowed: FIELD_OPERATORS,
            }),
            key => Err(FilterError::NestedObject {
                path: field.path.to_owned(),
                key: key.to_owned(),
            }),
        }
    }

    fn comparison(
        &mut self,
        field: &Field,
        operator: &str,
        operand: &Value,
        sense: Sense,
    ) -> Result<String, FilterError> {
        self.count()?;
        let (symbol, is_ordering) = match operator {
            "$gt" => (">", true),
            "$gte" => (">=", true),
            "$lt" => ("<", true),
            "$lte" => ("<=", true),
            _ => ("==", false),
        };
        let literal = match operand {
            Value::Null if !is_ordering => "null".to_owned(),
            Value::Bool(value) if !is_ordering => value.to_string(),
            Value::Number(number) => number_literal(field, &number.to_string())?,
            Value::String(string) => string_literal(field.path, string)?,
            _ => {
                let expected = match is_ordering {
                    true => "a string or a number",
                    false => "a string, a number, a boolean or null",
                };
                return Err(wrong_operand(operator, Some(field), expected, operand));
            }
        };
        let predicate = format!("({} {symbol} {literal})", field.accessor);
        Ok(match sense {
            Sense::Plain => predicate,
            Sense::Negated => format!("(!{predicate} || {predicate} is unknown)"),
        })
    }

    fn membership(
        &mut self,
        field: &Field,
        operator: &str,
        operand: &Value,
        sense: Sense,
    ) -> Result<String, FilterError> {
        let Value::Array(values) = operand else {
            let expected = "a list of strings, numbers, booleans or nulls";
            return Err(wrong_operand(operator, Some(field), expected, operand));
        };
        let parts = values
            .iter()
            .map(|value| self.comparison(field, operator, value, sense))
            .collect::<Result<Vec<_>, _>>()?;
        Ok(any_of(parts, sense))
    }

    fn existence(
        &mut self,
        field: &Field,
        operand: &Value,
        sense: Sense,
    ) -> Result<String, FilterError> {
        self.count()?;
        let Value::Bool(wanted) = operand else {
            return Err(wrong_operand(
                "$exists",
                Some(field),
                "true or false",
                operand,
            ));
        };
        let not = if *wanted == (sense == Sense::Plain) {
            ""
        } else {
            "!"
        };
        Ok(format!("({not}exists({}))", field.accessor))
    }

    fn count(&mut self) -> Result<(), FilterError> {
        self.conditions += 1;
        if self.conditions > MAX_CONDITIONS {
            return Err(FilterError::TooManyConditions);
        }
        Ok(())
    }
}

struct Field<'a> {
    path: &'a str,
    accessor: &'a str,
}

/// Parts compiled in `sense`, joined so that the whole says "all hold" in that sense.
fn all_of(parts: Vec<String>, sense: Sense) -> String {
    match sense {
        Sense::Plain => join(parts, " && ", true),
        Sense::Negated => join(parts, " || ", false),
    }
}

/// Parts compiled in `sense`, joined so that the whole says "any holds" in that sense.
fn any_of(parts: Vec<String>, sense: Sense) -> String {
    match sense {
        Sense::Plain => join(parts, " || ", false),
        Sense::Negated => join(parts, " && ", true),
    }
}

fn join(mut parts: Vec<String>, connective: &str, when_empty: bool) -> String {
    match parts.len() {
        // jsonpath has no predicate that is just true.
        0 if when_empty => "(1 == 1)".to_owned(),
        0 => "(1 == 0)".to_owned(),
        1 => parts.swap_remove(0),
        _ => format!("({})", parts.join(connective)),
    }
}

fn accessor(path: &str) -> Result<String, FilterError> {
    let mut accessor = "$".to_owned();
    for key in path.split('.') {
        if key.is_empty() {
            return Err(FilterError::EmptyKey {
                path: path.to_owned(),
            });
        }
        accessor.push('.');
        accessor.push_str(&string_literal(path, key)?);
    }
    Ok(accessor)
}

/// A jsonpath string literal. JSON's escapes are a subset of jsonpath's, but for NUL, which no
/// jsonb holds.
fn string_literal(path: &str, string: &str) -> Result<String, FilterError> {
    if string.contains('\0') {
        return Err(FilterError::NulCharacter {
            path: path.to_owned(),
        });
    }
    Ok(Value::from(string).to_string())
}

/// A jsonpath number literal, if PostgreSQL's numeric can hold it.
fn number_literal(field: &Field, number: &str) -> Result<String, FilterError> {
    const MAX_DIGITS_BEFORE_POINT: i64 = 131_072;
    const MAX_DIGITS_AFTER_POINT: i64 = 16_383;
    let (mantissa, exponent) = number.split_once(['e', 'E']).unwrap_or((number, "0"));
    let (before, after) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let before = before.trim_start_matches('-').len() as i64;
    let after = after.len() as i64;
    let fits = exponent.parse::<i32>().is_ok_and(|exponent| {
        before + i64::from(exponent) <= MAX_DIGITS_BEFORE_POINT
            && after - i64::from(exponent) <= MAX_DIGITS_AFTER_POINT
    });
    if fits {
        Ok(number.to_owned())
    } else {
        Err(FilterError::NumberOutOfRange {
            path: field.path.to_owned(),
        })
    }
}

fn wrong_operand(
    operator: &str,
    field: Option<&Field>,
    expected: &'static str,
    operand: &Value,
) -> FilterError {
    FilterError::WrongOperand {
        operator: operator.to_owned(),
        path: field.map(|field| field.path.to_owned()),
        expected,
        got: kind(operand),
    }
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}

#[cfg(test)]
mod tests;
