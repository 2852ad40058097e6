//! Which memory takes the place of which: who follows superseded_by has to come to an end.

use std::collections::{HashMap, HashSet};

use super::batch::Item;
use super::decide::Imagined;
use super::refusal::{Place, of_field};
use crate::pg::error::Result;
use crate::pg::planner::LookUps;
use crate::store::access::Call;

/// The successors of the memories that were written, and where each stands.
#[derive(Default)]
pub struct Successions {
    written: HashMap<String, (String, Place)>,
}

impl Successions {
    /// Notes what an item that is written says; of one that comes again the later line counts.
    pub fn note(&mut self, item: &Item) {
        match &item.record.superseded_by {
            Some(next) => {
                let successor = (next.to_string(), item.place);
                self.written.insert(item.id().to_owned(), successor);
            }
            None => {
                self.written.remove(item.id());
            }
        }
    }

    /// Refuses a circle that what was written has closed, be it with memories that were there before.
    pub fn check(&self, call: &Call, imagined: Option<&Imagined>) -> Result<()> {
        let there = self.there(call, imagined);
        let next = |id: &str| -> Option<&str> {
            match self.written.get(id) {
                Some((next, _)) => Some(next),
                None => there.get(id).map(String::as_str),
            }
        };
        let mut first: Option<(Place, &str)> = None;
        let mut ended: HashSet<&str> = HashSet::new();
        for start in self.written.keys() {
            let mut way: Vec<&str> = Vec::new();
            let mut at = Some(start.as_str());
            while let Some(id) = at.filter(|id| !ended.contains(id)) {
                ended.insert(id);
                way.push(id);
                at = next(id);
            }
            // The walk has met itself, unless it met another one or came to an end.
            let around = at.and_then(|met| way.iter().position(|id| *id == met));
            for id in way.drain(around.unwrap_or(way.len())..) {
                // A circle that was there before has no line.
                if let Some((_, place)) = self.written.get(id) {
                    first = first.into_iter().chain([(*place, id)]).min();
                }
            }
        }
        let Some((place, id)) = first else {
            return Ok(());
        };
        let reason =
            "leads back to the memory itself, so that in the end none would take its place";
        Err(of_field(place, id, "superseded_by", reason)
            .hint("Leave it out in the line of the memory that is to stay."))
    }

    /// What the store says of those that were not written, as far as it is reached from what was.
    fn there(&self, call: &Call, imagined: Option<&Imagined>) -> HashMap<String, String> {
        let beyond: HashSet<&str> = self
            .written
            .values()
            .map(|(next, _)| next.as_str())
            .filter(|next| !self.written.contains_key(*next))
            .collect();
        if beyond.is_empty() {
            return HashMap::new();
        }
        let sql = call.store.sql(
            "WITH RECURSIVE reached (id, next) AS (
                 SELECT m.id, m.superseded_by FROM unnest($2) AS b (id) JOIN @s@.memories m ON m.id = b.id AND m.project_id = $1
                 WHERE m.superseded_by IS NOT NULL
                 UNION
                 SELECT m.id, m.superseded_by FROM reached r JOIN @s@.memories m ON m.id = r.next AND m.project_id = $1
                 WHERE m.superseded_by IS NOT NULL)
             SELECT id, next FROM reached",
        );
        let beyond: Vec<Option<&str>> = beyond.into_iter().map(Some).collect();
        call.sql(|session| {
            let _plan = LookUps::enforce();
            let rows = session.write_planned_anew(&sql, &[call.project().into(), beyond.into()]);
            (0..rows.len())
                .map(|row| (rows.required::<String>(row, 1), rows.required(row, 2)))
                // A dry run has not taken away what a line leaves out.
                .filter(|(id, _)| !imagined.is_some_and(|imagined| imagined.has(id)))
                .collect()
        })
    }
}
