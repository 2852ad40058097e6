//! A line into a record.

use std::borrow::Cow;
use std::collections::HashSet;

use super::error::{ErrorKind, LineError, shown};
use super::field::Field;
use super::foreign::metadata;
use super::json::{Kind, Value};
use super::jsonb::JsonObject;
use super::record::{Header, Record, Vote, default_scope};
use super::settle::settle;
use super::validate::validate;
use super::{FORMAT, Line, Options};

/// The member that makes a line a header.
pub(super) const HEADER: &str = "memory_ext_export";

macro_rules! names {
    ($type:ident { $($variant:ident $name:literal)+ }) => {
        #[derive(Clone, Copy)]
        enum $type {
            $($variant),+
        }

        impl $type {
            const NAMES: &[&str] = &[$($name),+];

            fn named(name: &str) -> Option<Self> {
                match name {
                    $($name => Some(Self::$variant),)+
                    _ => None,
                }
            }
        }
    };
}

names! { Column {
    Id "id"
    ProjectId "project_id"
    Namespace "namespace"
    Content "content"
    ContentHash "content_hash"
    AgentId "agent_id"
    UserId "user_id"
    SessionId "session_id"
    EntityId "entity_id"
    Scope "scope"
    SharedWithAgents "shared_with_agents"
    Metadata "metadata"
    MemoryType "memory_type"
    Key "key"
    IsSensitive "is_sensitive"
    ContentFlags "content_flags"
    IsDeduplicated "is_deduplicated"
    Importance "importance"
    CreatedAt "created_at"
    UpdatedAt "updated_at"
    ExpiresAt "expires_at"
    DeletedAt "deleted_at"
    Version "version"
    IsDeprecated "is_deprecated"
    DeprecatedAt "deprecated_at"
    DeprecatedBy "deprecated_by"
    SupersededBy "superseded_by"
    BulletHelpful "bullet_helpful"
    BulletHarmful "bullet_harmful"
    ErrorPattern "error_pattern"
    SourceTrajectoryId "source_trajectory_id"
    Votes "votes"
    Embedding "embedding"
    EmbeddedHash "embedded_hash"
} }

names! { VoteColumn {
    Id "id"
    VoterAgentId "voter_agent_id"
    Vote "vote"
    Context "context"
    TaskId "task_id"
    CreatedAt "created_at"
    UpdatedAt "updated_at"
    MergedFrom "merged_from"
} }

/// The names of the fields of a [`Record`], in the order of the table's columns.
pub const FIELDS: &[&str] = Column::NAMES;

/// The values of an object, by field.
struct Values<'a, const N: usize> {
    object: Value<'a>,
    names: &'static [&'static str],
    values: [Option<Value<'a>>; N],
}

impl<'a, const N: usize> Values<'a, N> {
    fn new(object: Value<'a>, names: &'static [&'static str]) -> Self {
        Self {
            object,
            names,
            values: [None; N],
        }
    }

    fn set(&mut self, place: usize, value: Value<'a>) -> Result<(), LineError> {
        match self.values[place].replace(value) {
            None => Ok(()),
            Some(_) => Err(duplicate(self.names[place], value)),
        }
    }

    /// The value of a field, unless it was left out or is null.
    fn get(&self, place: usize) -> Option<Field<'a, 'static>> {
        self.values[place]
            .filter(|value| !value.is_null())
            .map(|value| Field {
                name: self.names[place],
                value,
            })
    }

    fn required(&self, place: usize) -> Result<Field<'a, 'static>, LineError> {
        self.get(place)
            .ok_or_else(|| missing(self.names[place], self.object))
    }

    fn text(&self, place: usize) -> Result<Option<Cow<'a, str>>, LineError> {
        self.get(place).map(Field::text).transpose()
    }

    fn time(&self, place: usize) -> Result<Option<Cow<'a, str>>, LineError> {
        self.get(place).map(Field::time).transpose()
    }

    fn column(&self, name: &str) -> usize {
        let root = name.split(['.', '[']).next().unwrap_or_default();
        self.names
            .iter()
            .position(|known| *known == root)
            .and_then(|place| self.values[place])
            .map_or(self.object.column, |value| value.column)
    }
}

pub(super) fn missing(name: &str, object: Value<'_>) -> LineError {
    LineError::of_field(ErrorKind::MissingField, object.column, name, "is missing")
}

pub(super) fn duplicate(name: &str, value: Value<'_>) -> LineError {
    let reason = "comes twice in one object";
    LineError::of_field(ErrorKind::DuplicateField, value.column, name, reason)
}

/// Reads one object, a header or a record.
pub(super) fn object<'a>(object: Value<'a>, options: &Options<'_>) -> Result<Line<'a>, LineError> {
    let mut values = Values::<'a, { Column::NAMES.len() }>::new(object, Column::NAMES);
    let mut others: Vec<(Cow<'a, str>, Value<'a>)> = Vec::new();
    let mut header = None;
    object.members(|key, value| {
        match Column::named(&key) {
            Some(column) => return values.set(column as usize, value),
            None if key == HEADER => match header.replace(value) {
                None => {}
                Some(_) => return Err(duplicate(HEADER, value)),
            },
            None if options.unknown_into.is_some() => others.push((key, value)),
            None => return Err(unknown(&key, value)),
        }
        Ok(())
    })?;
    if let Some(value) = header {
        let is_alone = values.values.iter().all(Option::is_none) && others.is_empty();
        return match is_alone {
            true => read_header(value).map(Line::Header),
            false => Err(LineError::of_field(
                ErrorKind::BadValue,
                value.column,
                HEADER,
                "is not alone on its line",
            )),
        };
    }
    let mut record = read(&values)?;
    if let Some(into) = options.unknown_into
        && !others.is_empty()
    {
        let mut seen = HashSet::new();
        for (key, value) in &others {
            if !seen.insert(key.as_ref()) {
                return Err(duplicate(&shown(key), *value));
            }
        }
        record.metadata = metadata::with(values.get(Column::Metadata as usize), into, &others)?;
    }
    settle(&mut record);
    validate(&record).map_err(|invalid| {
        let column = values.column(&invalid.field);
        invalid.at(column)
    })?;
    Ok(Line::Record(Box::new(record)))
}

fn unknown(name: &str, value: Value<'_>) -> LineError {
    // Comparing takes the product of the lengths.
    const LONGEST_COMPARED: usize = 64;
    let nearest = Column::NAMES
        .iter()
        .filter(|_| name.len() <= LONGEST_COMPARED)
        .map(|known| (strsim::osa_distance(name, known), known))
        .min()
        .filter(|(distance, known)| *distance <= known.len() / 2)
        .map_or_else(String::new, |(_, known)| format!(", did you mean {known}"));
    LineError {
        column: value.column,
        field: Some(name.chars().take(40).collect()),
        reason: format!("{} is not a field of a memory{nearest}", shown(name)),
        kind: ErrorKind::UnknownField,
    }
}

fn read<'a, const N: usize>(values: &Values<'a, N>) -> Result<Record<'a>, LineError> {
    let mut record = Record::new(
        values.required(Column::Id as usize)?.text()?,
        values.required(Column::Content as usize)?.text()?,
    );
    let text = |column: Column| values.text(column as usize);
    let time = |column: Column| values.time(column as usize);
    let field = |column: Column| values.get(column as usize);

    record.project_id = text(Column::ProjectId)?;
    if let Some(namespace) = text(Column::Namespace)? {
        record.namespace = namespace;
    }
    record.content_hash = field(Column::ContentHash).map(Field::sha256).transpose()?;
    record.agent_id = text(Column::AgentId)?;
    record.user_id = text(Column::UserId)?;
    record.session_id = text(Column::SessionId)?;
    record.entity_id = text(Column::EntityId)?;
    if let Some(shared) = field(Column::SharedWithAgents) {
        record.shared_with_agents = shared.texts()?;
    }
    record.scope = match text(Column::Scope)? {
        Some(scope) => scope,
        None => default_scope(
            !record.shared_with_agents.is_empty(),
            record.agent_id.is_some(),
        )
        .into(),
    };
    if let Some(metadata) = field(Column::Metadata) {
        record.metadata = JsonObject::read(metadata.value, metadata.name)?;
    }
    if let Some(memory_type) = text(Column::MemoryType)? {
        record.memory_type = memory_type;
    }
    record.key = text(Column::Key)?;
    if let Some(flag) = field(Column::IsSensitive) {
        record.is_sensitive = flag.boolean()?;
    }
    if let Some(flags) = field(Column::ContentFlags) {
        record.content_flags = flags.texts()?;
    }
    if let Some(flag) = field(Column::IsDeduplicated) {
        record.is_deduplicated = flag.boolean()?;
    }
    if let Some(importance) = field(Column::Importance) {
        record.importance = importance.number()?;
    }
    record.created_at = time(Column::CreatedAt)?;
    record.updated_at = time(Column::UpdatedAt)?;
    if let Some(expires_at) = field(Column::ExpiresAt) {
        record.expires_at = expires_at.time_or_never()?;
    }
    record.deleted_at = time(Column::DeletedAt)?;
    if let Some(version) = field(Column::Version) {
        record.version = version.whole_number()?;
    }
    if let Some(flag) = field(Column::IsDeprecated) {
        record.is_deprecated = flag.boolean()?;
    }
    record.deprecated_at = time(Column::DeprecatedAt)?;
    record.deprecated_by = text(Column::DeprecatedBy)?;
    record.superseded_by = text(Column::SupersededBy)?;
    if let Some(count) = field(Column::BulletHelpful) {
        record.bullet_helpful = count.whole_number()?;
    }
    if let Some(count) = field(Column::BulletHarmful) {
        record.bullet_harmful = count.whole_number()?;
    }
    record.error_pattern = text(Column::ErrorPattern)?;
    record.source_trajectory_id = text(Column::SourceTrajectoryId)?;
    record.votes = field(Column::Votes).map(votes).transpose()?;
    record.embedding = field(Column::Embedding).map(Field::vector).transpose()?;
    record.embedded_hash = field(Column::EmbeddedHash).map(Field::sha256).transpose()?;
    Ok(record)
}

fn votes<'a>(field: Field<'a, '_>) -> Result<Vec<Vote<'a>>, LineError> {
    if field.value.kind() != Kind::Array {
        return Err(field.wrong_type("an array of votes"));
    }
    let mut votes = Vec::new();
    field.value.elements(|place, value| {
        votes.push(vote(value).map_err(|error| error.within(&format!("votes[{place}]")))?);
        Ok(())
    })?;
    Ok(votes)
}

fn vote(object: Value<'_>) -> Result<Vote<'_>, LineError> {
    if object.kind() != Kind::Object {
        let reason = format!("a vote is {}, expected an object", object.kind().name());
        return Err(LineError::of_text(
            ErrorKind::WrongType,
            object.column,
            reason,
        ));
    }
    let mut values = Values::<{ VoteColumn::NAMES.len() }>::new(object, VoteColumn::NAMES);
    object.members(|key, value| match VoteColumn::named(&key) {
        Some(column) => values.set(column as usize, value),
        None => Err(LineError {
            column: value.column,
            field: Some(key.chars().take(40).collect()),
            reason: format!("{} is not a field of a vote", shown(&key)),
            kind: ErrorKind::UnknownField,
        }),
    })?;
    Ok(Vote {
        id: values.text(VoteColumn::Id as usize)?,
        voter_agent_id: values.required(VoteColumn::VoterAgentId as usize)?.text()?,
        vote: values.required(VoteColumn::Vote as usize)?.text()?,
        context: values.text(VoteColumn::Context as usize)?,
        task_id: values.text(VoteColumn::TaskId as usize)?,
        created_at: values.time(VoteColumn::CreatedAt as usize)?,
        updated_at: values.time(VoteColumn::UpdatedAt as usize)?,
        merged_from: values.text(VoteColumn::MergedFrom as usize)?,
    })
}

/// The number says what the lines mean; other members that are not known say nothing about that.
fn read_header(object: Value<'_>) -> Result<Header<'_>, LineError> {
    if object.kind() != Kind::Object {
        return Err(Field {
            name: HEADER,
            value: object,
        }
        .wrong_type("an object"));
    }
    let names: &[&str] = &[
        "format",
        "extension_version",
        "exported_at",
        "embedder",
        "dimensions",
        "counted",
        "memories",
    ];
    let mut values = Values::<7>::new(object, names);
    let read = object
        .members(
            |key, value| match names.iter().position(|name| *name == key) {
                Some(place) => values.set(place, value),
                None => Ok(()),
            },
        )
        .and_then(|()| {
            Ok(Header {
                format: format(values.required(0)?)?,
                extension_version: values.text(1)?,
                exported_at: values.time(2)?,
                embedder: values.text(3)?,
                dimensions: values.get(4).map(Field::whole_number).transpose()?,
                is_counted: values
                    .get(5)
                    .map(Field::boolean)
                    .transpose()?
                    .unwrap_or(false),
                memories: values.get(6).map(Field::whole_number).transpose()?,
            })
        });
    read.map_err(|error| error.within(HEADER))
}

fn format(field: Field<'_, '_>) -> Result<u32, LineError> {
    let text = field.value.text;
    let is_newer = match text.parse::<u32>() {
        Ok(0) => return Err(field.bad("is 0, the first format is 1")),
        Ok(format) if format <= FORMAT => return Ok(format),
        Ok(_) => true,
        Err(_) => text.bytes().all(|byte| byte.is_ascii_digit()),
    };
    match is_newer {
        true => Err(LineError::of_field(
            ErrorKind::UnknownFormat,
            field.value.column,
            field.name,
            format_args!("is newer than {FORMAT}, the newest that this version can read"),
        )),
        false => field.whole_number(),
    }
}
