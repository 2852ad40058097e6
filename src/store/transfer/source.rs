//! Where the lines of an import come from.

use std::ops::ControlFlow;

use pgrx::Array;

use crate::pg::error::Result;

/// Lines, in order. They are gone through more than once: told apart, checked, then written.
pub trait Source {
    /// Calls `work` with the number (from 1) and the text of every line, until it breaks.
    fn each(&self, work: &mut Work<'_>) -> Result<()>;
}

pub type Work<'w> = dyn FnMut(u64, &str) -> Result<ControlFlow<()>> + 'w;

/// An array; a NULL in it is an empty line.
pub struct Listed<'a>(pub Array<'a, &'a str>);

impl Source for Listed<'_> {
    fn each(&self, work: &mut Work<'_>) -> Result<()> {
        for (number, line) in (1..).zip(self.0.iter()) {
            if work(number, line.unwrap_or_default())?.is_break() {
                break;
            }
        }
        Ok(())
    }
}

/// One text.
pub struct Text<'a>(pub &'a str);

impl Source for Text<'_> {
    fn each(&self, work: &mut Work<'_>) -> Result<()> {
        for (number, line) in (1..).zip(self.0.lines()) {
            if work(number, line)?.is_break() {
                break;
            }
        }
        Ok(())
    }
}
