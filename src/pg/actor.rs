//! Who acts, for the triggers: a function that runs SQL as the tables' owner leaves here on whose behalf, and doing what.

use std::cell::RefCell;

#[derive(Clone, Debug, Default)]
pub struct Actor {
    /// The role that called the function.
    pub role: String,
    pub agent_id: Option<String>,
    /// What the history is to call the change: update, delete, restore, ....
    pub operation: &'static str,
    /// The rows are being erased: no version of them may be kept.
    pub erasing: bool,
    /// The rows come back as they were: they bring their version, times and vector, and no version of what they replace is kept.
    pub restoring: bool,
}

thread_local! {
    static ACTORS: RefCell<Vec<Actor>> = const { RefCell::new(Vec::new()) };
}

/// The actor is in force until this is dropped, be it by a panic on its way through.
pub struct Acting(());

pub fn act(actor: Actor) -> Acting {
    ACTORS.with_borrow_mut(|actors| actors.push(actor));
    Acting(())
}

impl Drop for Acting {
    fn drop(&mut self) {
        ACTORS.with_borrow_mut(|actors| {
            actors.pop();
        });
    }
}

/// What the innermost actor does, `None` for direct SQL.
pub fn operation() -> Option<&'static str> {
    ACTORS.with_borrow(|actors| actors.last().map(|actor| actor.operation))
}

/// The innermost actor, `None` for direct SQL.
pub fn current() -> Option<Actor> {
    ACTORS.with_borrow(|actors| actors.last().cloned())
}
