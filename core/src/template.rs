//! Statements with gaps: names that are known only when the statement runs are put in the places of placeholders.

/// Puts each value in the place of its placeholder, in one pass: what a value holds is no placeholder, whatever it looks like.
/// Placeholders begin with `@`, and none is the beginning of another.
pub fn fill(template: &str, values: &[(&str, &str)]) -> String {
    let room: usize = values.iter().map(|(_, value)| value.len()).sum();
    let mut filled = String::with_capacity(template.len() + 2 * room);
    let mut rest = template;
    while let Some(at) = rest.find('@') {
        let (before, from) = rest.split_at(at);
        filled.push_str(before);
        let found = values
            .iter()
            .find_map(|(name, value)| Some((value, from.strip_prefix(name)?)));
        rest = match found {
            Some((value, behind)) => {
                filled.push_str(value);
                behind
            }
            None => {
                filled.push('@');
                from.strip_prefix('@').unwrap_or_default()
            }
        };
    }
    filled.push_str(rest);
    filled
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_take_the_places_of_placeholders() {
        let values = [("@s@", "public"), ("@v@", "\"Vec tor\"")];
        for (template, filled) in [
            ("", ""),
            ("SELECT 1", "SELECT 1"),
            ("@s@.t", "public.t"),
            (
                "x @v@.vector, @s@.t @s@",
                "x \"Vec tor\".vector, public.t public",
            ),
            // Operators, mail addresses, and others' placeholders.
            ("a @> b @@ c @s @ @v @x@", "a @> b @@ c @s @ @v @x@"),
            ("@@s@@v@@", "@public\"Vec tor\"@"),
            ("@s@v@s@", "publicvpublic"),
            ("\u{e9}@s@\u{e9}@", "\u{e9}public\u{e9}@"),
        ] {
            assert_eq!(fill(template, &values), filled, "{template}");
        }
    }

    #[test]
    fn a_value_is_not_looked_into() {
        let values = [("@s@", "\"we@s@@v@\""), ("@v@", "\"@s@\"")];
        assert_eq!(
            fill("@s@.a @v@.b @s@.c", &values),
            "\"we@s@@v@\".a \"@s@\".b \"we@s@@v@\".c"
        );
    }
}
