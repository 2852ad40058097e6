//! Rows that were erased on purpose, and the receipts that say so.

use std::ops::RangeInclusive;

use serde_json::Value;

/// A set of ids, kept as ranges.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct IdRanges {
    /// Ascending, not empty, with a gap between each two.
    ranges: Vec<RangeInclusive<i64>>,
}

impl IdRanges {
    pub fn new(ranges: impl IntoIterator<Item = RangeInclusive<i64>>) -> Self {
        let mut sorted: Vec<_> = ranges
            .into_iter()
            .filter(|range| !range.is_empty())
            .collect();
        sorted.sort_by_key(|range| *range.start());
        let mut ranges: Vec<RangeInclusive<i64>> = Vec::with_capacity(sorted.len());
        for range in sorted {
            match ranges.last_mut() {
                Some(last) if *range.start() <= last.end().saturating_add(1) => {
                    *last = *last.start()..=*last.end().max(range.end());
                }
                _ => ranges.push(range),
            }
        }
        Self { ranges }
    }

    pub fn contains(&self, id: i64) -> bool {
        let after = self.ranges.partition_point(|range| *range.start() <= id);
        after
            .checked_sub(1)
            .and_then(|place| self.ranges.get(place))
            .is_some_and(|range| range.contains(&id))
    }

    /// How many ids of a range are in the set.
    pub fn count_within(&self, first: i64, last: i64) -> u64 {
        let from = self.ranges.partition_point(|range| *range.end() < first);
        self.ranges[from..]
            .iter()
            .take_while(|range| *range.start() <= last)
            .map(|range| {
                let (start, end) = (first.max(*range.start()), last.min(*range.end()));
                end.abs_diff(start).saturating_add(1)
            })
            .fold(0, u64::saturating_add)
    }
}

impl FromIterator<i64> for IdRanges {
    fn from_iter<I: IntoIterator<Item = i64>>(ids: I) -> Self {
        Self::new(ids.into_iter().map(|id| id..=id))
    }
}

/// Ids as the member `history_ids` has them: what follows each other is a pair.
pub fn to_history_ids(mut ids: Vec<i64>) -> Vec<Value> {
    ids.sort_unstable();
    ids.dedup();
    ids.chunk_by(|id, next| id.checked_add(1) == Some(*next))
        .filter_map(|run| match run {
            [id] => Some(Value::from(*id)),
            _ => Some(Value::from(vec![*run.first()?, *run.last()?])),
        })
        .collect()
}

/// The events that erase versions.
pub const ERASING_EVENTS: &[&str] = &["forget", "expire", "cleanup", "restore"];

/// The rows of memory_history that an event says were erased: those of the payload's member
/// `history_ids`, a list of ids and of pairs [first, last], in [`ERASING_EVENTS`]. None for
/// other events and whatever else the member is.
pub fn erased_history(event: &str, payload: &str) -> Vec<RangeInclusive<i64>> {
    if !ERASING_EVENTS.contains(&event) {
        return Vec::new();
    }
    let payload: Value = serde_json::from_str(payload).unwrap_or_default();
    let ids = payload.get("history_ids").and_then(Value::as_array);
    let range = |id: &Value| match id {
        Value::Array(pair) => match pair.as_slice() {
            [first, last] => Some(first.as_i64()?..=last.as_i64()?),
            _ => None,
        },
        id => id.as_i64().map(|id| id..=id),
    };
    ids.into_iter().flatten().filter_map(range).collect()
}
