//! The rules a record has to keep that can be told without a database.

use std::collections::HashSet;

use super::error::{Invalid, shown};
use super::record::{Record, Vote};
use super::timestamp;
use crate::scan;
use crate::text::{content_hash, is_blank};

/// Longest name, as the table's CHECK constraints say.
const MAX_NAME_BYTES: usize = 255;
const MAX_TYPE_BYTES: usize = 64;
/// Every change of a memory takes a version, and an integer ends: half of them are for those to come.
const MAX_VERSION: i32 = 1 << 30;
/// The most dimensions that pgvector's type `vector` can have.
const MAX_DIMENSIONS: usize = 16_000;

/// Refuses what the table would refuse, and what cannot be true of any row.
///
/// Whether the type is known, the dimensions are the store's and an id is free only the database
/// can tell.
pub fn validate(record: &Record<'_>) -> Result<(), Invalid> {
    names(record)?;
    texts(record)?;
    content(record)?;
    vector(record)?;
    if !crate::SCOPES.contains(&record.scope.as_ref()) {
        let reason = format!(
            "is {}, expected one of {}",
            shown(&record.scope),
            crate::SCOPES.join(", ")
        );
        return Err(Invalid::new("scope", reason));
    }
    if record.scope != "global" && record.agent_id.is_none() {
        let reason = format!(
            "is {}, but there is no agent_id: nobody could ever read the memory",
            shown(&record.scope)
        );
        return Err(Invalid::new("scope", reason));
    }
    if !(0.0..=1.0).contains(&record.importance) {
        return Err(Invalid::new("importance", "is not a number from 0 to 1"));
    }
    if record.version < 1 {
        return Err(Invalid::new("version", "is less than 1"));
    }
    if record.version > MAX_VERSION {
        let reason = format!("is over {MAX_VERSION}, which leaves too few for its changes");
        return Err(Invalid::new("version", reason));
    }
    for (field, time) in [
        ("created_at", &record.created_at),
        ("updated_at", &record.updated_at),
        ("expires_at", &record.expires_at),
        ("deleted_at", &record.deleted_at),
        ("deprecated_at", &record.deprecated_at),
    ] {
        check_time(field, time.as_deref())?;
    }
    if let (Some(created_at), Some(updated_at)) = (&record.created_at, &record.updated_at)
        && timestamp::is_long_before(updated_at, created_at)
    {
        return Err(Invalid::new("updated_at", "is before created_at"));
    }
    for (field, count) in [
        ("bullet_helpful", record.bullet_helpful),
        ("bullet_harmful", record.bullet_harmful),
    ] {
        if count < 0 {
            return Err(Invalid::new(field, "is negative"));
        }
    }
    match &record.votes {
        Some(votes) => check_votes(record, votes),
        None => Ok(()),
    }
}

fn names(record: &Record<'_>) -> Result<(), Invalid> {
    for (field, name) in [
        ("id", Some(&record.id)),
        ("project_id", record.project_id.as_ref()),
        ("namespace", Some(&record.namespace)),
        ("agent_id", record.agent_id.as_ref()),
        ("user_id", record.user_id.as_ref()),
        ("session_id", record.session_id.as_ref()),
        ("entity_id", record.entity_id.as_ref()),
        ("key", record.key.as_ref()),
    ] {
        if let Some(name) = name {
            check_name(field, name, MAX_NAME_BYTES)?;
        }
    }
    check_name("memory_type", &record.memory_type, MAX_TYPE_BYTES)?;
    for (field, listed) in [
        ("shared_with_agents", &record.shared_with_agents),
        ("content_flags", &record.content_flags),
    ] {
        for (place, name) in listed.iter().enumerate() {
            if name.is_empty() || name.len() > MAX_NAME_BYTES || name.contains('\0') {
                check_name(&format!("{field}[{place}]"), name, MAX_NAME_BYTES)?;
            }
        }
    }
    for (place, flag) in record.content_flags.iter().enumerate() {
        let is_kind = flag.split_once(':').is_some_and(|(category, kind)| {
            scan::KINDS
                .iter()
                .any(|(of, name)| of.name() == category && *name == kind)
        });
        if !is_kind {
            let reason = "names no kind of finding of this version";
            return Err(Invalid::new(&format!("content_flags[{place}]"), reason));
        }
    }
    Ok(())
}

fn check_name(field: &str, name: &str, most: usize) -> Result<(), Invalid> {
    if name.is_empty() || name.len() > most {
        let reason = format!("has {} bytes, expected 1 to {most}", name.len());
        return Err(Invalid::new(field, reason));
    }
    check_text(field, Some(name))
}

fn check_text(field: &str, text: Option<&str>) -> Result<(), Invalid> {
    match text.is_some_and(|text| text.contains('\0')) {
        true => Err(Invalid::new(field, super::jsonb::NUL)),
        false => Ok(()),
    }
}

fn check_time(field: &str, time: Option<&str>) -> Result<(), Invalid> {
    match time {
        Some(time) if !timestamp::is_normal(time) => {
            Err(Invalid::new(field, super::field::NO_TIME))
        }
        _ => Ok(()),
    }
}

fn texts(record: &Record<'_>) -> Result<(), Invalid> {
    for (field, text) in [
        ("content", Some(&record.content)),
        ("deprecated_by", record.deprecated_by.as_ref()),
        ("superseded_by", record.superseded_by.as_ref()),
        ("error_pattern", record.error_pattern.as_ref()),
        ("source_trajectory_id", record.source_trajectory_id.as_ref()),
    ] {
        check_text(field, text.map(AsRef::as_ref))?;
    }
    Ok(())
}

fn content(record: &Record<'_>) -> Result<(), Invalid> {
    if record.deleted_at.is_none() && is_blank(&record.content) {
        return Err(Invalid::new("content", "is blank"));
    }
    if record
        .content_hash
        .is_some_and(|hash| hash != content_hash(&record.content))
    {
        let reason = "is not the hash of the content: the line is damaged or was edited";
        return Err(Invalid::new("content_hash", reason));
    }
    Ok(())
}

fn vector(record: &Record<'_>) -> Result<(), Invalid> {
    let Some(vector) = &record.embedding else {
        return match record.embedded_hash {
            None => Ok(()),
            Some(_) => Err(Invalid::new(
                "embedded_hash",
                "is given without an embedding",
            )),
        };
    };
    let refuse = |reason: &str| Err(Invalid::new("embedding", reason));
    if record.is_sensitive {
        return refuse("is given for a sensitive memory, which is never embedded");
    }
    if vector.is_empty() || vector.len() > MAX_DIMENSIONS {
        let reason = format!(
            "has {} dimensions, expected 1 to {MAX_DIMENSIONS}",
            vector.len()
        );
        return refuse(&reason);
    }
    match crate::vector::unfit(vector) {
        Some(reason) => refuse(&reason),
        None => Ok(()),
    }
}

fn check_votes(record: &Record<'_>, votes: &[Vote<'_>]) -> Result<(), Invalid> {
    let (mut helpful, mut harmful) = (0_i64, 0_i64);
    let (mut voters, mut ids) = (HashSet::new(), HashSet::new());
    for (place, vote) in votes.iter().enumerate() {
        let name = || format!("votes[{place}]");
        match check_vote(vote).map_err(|invalid| invalid.within(&name()))? {
            true => helpful += 1,
            false => harmful += 1,
        }
        if !voters.insert((vote.voter_agent_id.as_ref(), vote.task_id.as_deref())) {
            let reason = "has a second vote of the same agent for the same task";
            return Err(Invalid::new(&name(), reason));
        }
        if let Some(id) = vote.id.as_deref()
            && !ids.insert(id)
        {
            let reason = "is the id of an earlier vote";
            return Err(Invalid::new("id", reason).within(&name()));
        }
    }
    for (field, count, votes) in [
        ("bullet_helpful", record.bullet_helpful, helpful),
        ("bullet_harmful", record.bullet_harmful, harmful),
    ] {
        // A system that counts votes without keeping them may have begun the count.
        if i64::from(count) < votes {
            let reason = format!("is {count}, but there are {votes} such votes");
            return Err(Invalid::new(field, reason));
        }
    }
    Ok(())
}

/// Whether it is a helpful one.
fn check_vote(vote: &Vote<'_>) -> Result<bool, Invalid> {
    check_name("voter_agent_id", &vote.voter_agent_id, MAX_NAME_BYTES)?;
    if let Some(task) = &vote.task_id {
        check_name("task_id", task, MAX_NAME_BYTES)?;
    }
    for (field, text) in [
        ("id", &vote.id),
        ("context", &vote.context),
        ("merged_from", &vote.merged_from),
    ] {
        check_text(field, text.as_deref())?;
    }
    check_time("created_at", vote.created_at.as_deref())?;
    check_time("updated_at", vote.updated_at.as_deref())?;
    match vote.vote.as_ref() {
        "helpful" => Ok(true),
        "harmful" => Ok(false),
        other => {
            let reason = format!("is {}, expected helpful or harmful", shown(other));
            Err(Invalid::new("vote", reason))
        }
    }
}
