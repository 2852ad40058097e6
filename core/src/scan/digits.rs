//! Rows of groups of digits, in which cards, social security numbers and phone numbers are looked
//! for: "4111 1111 1111 1111", "(030) 90 18 20".

use super::context::{char_after, char_before, is_word};
use super::{Finding, card, phone, ssn};

/// What may stand between two groups of one number; no-break space and hyphen too.
const SEPARATORS: &[&str] = &[
    " ", "-", ".", "/", ") ", ")", " (", ")-", "\u{a0}", "\u{202f}", "\u{2011}", " - ",
];

/// A longest row of groups.
pub struct Run<'a> {
    pub text: &'a str,
    /// Start and end of each.
    groups: Vec<(usize, usize)>,
}

pub fn find(text: &str, found: &mut Vec<Finding>) {
    let mut at = 0;
    while let Some(run) = Run::next(text, at) {
        at = run.groups.last().map_or(text.len(), |group| group.1);
        run.find(found);
    }
}

impl<'a> Run<'a> {
    /// The first row at or after `at`.
    fn next(text: &'a str, at: usize) -> Option<Self> {
        let bytes = text.as_bytes();
        let start = at + bytes[at..].iter().position(u8::is_ascii_digit)?;
        let end_of = |start: usize| {
            let digits = bytes[start..].iter().take_while(|b| b.is_ascii_digit());
            start + digits.count()
        };
        let mut groups = vec![(start, end_of(start))];
        let mut end = end_of(start);
        while let Some(separator) = SEPARATORS.iter().find(|separator| {
            text[end..].starts_with(**separator)
                && bytes
                    .get(end + separator.len())
                    .is_some_and(u8::is_ascii_digit)
        }) {
            let start = end + separator.len();
            end = end_of(start);
            groups.push((start, end));
        }
        Some(Self { text, groups })
    }

    fn find(&self, found: &mut Vec<Finding>) {
        let mut first = 0;
        while first < self.count() {
            let number = card::at(self, first)
                .or_else(|| ssn::at(self, first))
                .or_else(|| phone::at(self, first));
            first += match number {
                Some((groups, finding)) => {
                    found.push(finding);
                    groups
                }
                None => 1,
            };
        }
    }

    pub fn count(&self) -> usize {
        self.groups.len()
    }

    /// The number of digits of a group; 0 past the end.
    pub fn len(&self, group: usize) -> usize {
        self.groups.get(group).map_or(0, |(start, end)| end - start)
    }

    pub fn digits(&self, group: usize) -> &'a str {
        self.groups
            .get(group)
            .map_or("", |&(start, end)| &self.text[start..end])
    }

    /// All digits of `count` groups, or none if there are not as many, or more than `most` digits.
    pub fn joined(&self, first: usize, count: usize, most: usize) -> Option<String> {
        let groups = self.groups.get(first..first + count)?;
        let total: usize = groups.iter().map(|(start, end)| end - start).sum();
        (total <= most).then(|| {
            (first..first + count)
                .map(|group| self.digits(group))
                .collect()
        })
    }

    /// Whether `count` groups from `first` have these numbers of digits.
    pub fn has_shape(&self, first: usize, lengths: &[usize]) -> bool {
        lengths
            .iter()
            .enumerate()
            .all(|(place, length)| self.len(first + place) == *length)
    }

    /// What stands before a group in its row.
    pub fn separator(&self, group: usize) -> &'a str {
        match group
            .checked_sub(1)
            .and_then(|before| self.groups.get(before))
        {
            Some(&(_, end)) => self
                .groups
                .get(group)
                .map_or("", |&(start, _)| &self.text[end..start]),
            None => "",
        }
    }

    /// The one separator between `count` groups, if there is but one.
    pub fn common_separator(&self, first: usize, count: usize) -> Option<&'a str> {
        let separator = self.separator(first + 1);
        (first + 1..first + count)
            .all(|group| self.separator(group) == separator)
            .then_some(separator)
    }

    /// Where a number that begins with this group starts: at its plus sign or bracket.
    pub fn start(&self, group: usize) -> usize {
        let mut start = self.groups.get(group).map_or(0, |group| group.0);
        if self.has_bracket(group) {
            start -= 1;
        }
        if self.text[..start].ends_with('+') {
            start -= 1;
        }
        start
    }

    pub fn end(&self, group: usize) -> usize {
        self.groups
            .get(group)
            .map_or(self.text.len(), |group| group.1)
    }

    pub fn has_plus(&self, group: usize) -> bool {
        self.text[self.start(group)..].starts_with('+')
    }

    pub fn has_bracket(&self, group: usize) -> bool {
        self.digits_start(group)
            .is_some_and(|start| self.text[..start].ends_with('('))
            && self.text[self.end(group)..].starts_with(')')
    }

    fn digits_start(&self, group: usize) -> Option<usize> {
        self.groups.get(group).map(|group| group.0)
    }

    /// Whether a number of `count` groups from `first` is no part of a longer number, version,
    /// date, path, amount or identifier.
    pub fn stands_alone(&self, first: usize, count: usize) -> bool {
        let last = first + count - 1;
        self.is_free_before(first) && self.is_free_after(last)
    }

    fn is_free_before(&self, first: usize) -> bool {
        let start = self.start(first);
        if first > 0 && !is_blank(self.separator(first)) && self.separator(first) != " (" {
            return false;
        }
        let Some(c) = char_before(self.text, start) else {
            return true;
        };
        let before = char_before(self.text, start - c.len_utf8());
        match c {
            '-' | '.' | '/' | ',' | '\u{2011}' => !before.is_some_and(char::is_alphanumeric),
            ':' => !before.is_some_and(|c| c.is_ascii_digit()),
            '@' | '$' | '#' | '%' | '\\' | '+' | '\u{20ac}' | '\u{a3}' => false,
            c => !is_word(c),
        }
    }

    fn is_free_after(&self, last: usize) -> bool {
        if last + 1 < self.count() {
            let separator = self.separator(last + 1);
            return is_blank(separator) || separator == " (";
        }
        let end = self.end(last);
        let Some(c) = char_after(self.text, end) else {
            return true;
        };
        let after = char_after(self.text, end + c.len_utf8());
        match c {
            '-' | '/' => !after.is_some_and(char::is_alphanumeric),
            '.' | ',' | ':' => !after.is_some_and(|c| c.is_ascii_digit()),
            // An extension.
            'x' => after.is_some_and(|c| c.is_ascii_digit()),
            '@' | '%' | '\u{20ac}' => false,
            c => !is_word(c),
        }
    }
}

fn is_blank(separator: &str) -> bool {
    matches!(separator, " " | "\u{a0}" | "\u{202f}")
}
