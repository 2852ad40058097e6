//! What an error has to say.

use postgres::Error;

/// An error that the server raised.
#[derive(Debug)]
pub struct Refusal {
    pub what: String,
    pub sqlstate: String,
    pub message: String,
    pub detail: String,
    pub hint: String,
    pub context: String,
}

impl Refusal {
    pub fn of(what: &str, error: &Error) -> Refusal {
        let Some(error) = error.as_db_error() else {
            panic!("{what}: not refused by the server, but failed: {error:?}")
        };
        Refusal {
            what: what.to_owned(),
            sqlstate: error.code().code().to_owned(),
            message: error.message().to_owned(),
            detail: error.detail().unwrap_or_default().to_owned(),
            hint: error.hint().unwrap_or_default().to_owned(),
            context: error.where_().unwrap_or_default().to_owned(),
        }
    }

    pub fn is(self, sqlstate: &str) -> Self {
        assert_eq!(self.sqlstate, sqlstate, "{self:?}");
        self
    }

    /// The message has this part.
    pub fn says(self, part: &str) -> Self {
        assert!(
            self.message.contains(part),
            "the message does not say {part:?}: {self:?}"
        );
        self
    }

    pub fn hints(self, part: &str) -> Self {
        assert!(
            self.hint.contains(part),
            "the hint does not say {part:?}: {self:?}"
        );
        self
    }

    /// There is a next step, and the hint tells it.
    pub fn helps(self) -> Self {
        assert!(!self.hint.is_empty(), "no hint: {self:?}");
        self
    }

    /// The style of the project's errors: the message starts lower case and has no full stop, DETAIL and HINT are sentences.
    pub fn well_formed(self) -> Self {
        let message = self.message.as_str();
        assert!(
            !message.ends_with('.') && !message.contains('\n'),
            "{self:?}"
        );
        assert!(
            !message.starts_with(|first: char| first.is_uppercase()),
            "{self:?}"
        );
        for sentence in [&self.detail, &self.hint] {
            let complete = sentence.ends_with(['.', ')', '?', '!', ';', '}']);
            assert!(
                sentence.is_empty() || complete,
                "{sentence:?} is no sentence: {self:?}"
            );
        }
        self
    }

    /// No part of what is reported holds the secret.
    pub fn keeps(self, secret: &str) -> Self {
        for part in [&self.message, &self.detail, &self.hint, &self.context] {
            assert!(!part.contains(secret), "{self:?} tells {secret:?}");
        }
        self
    }
}
