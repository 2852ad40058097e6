//! Putting a backup under another key: its envelope is written anew, the rest stays what it is.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom, Write};

use memory_core::container::{ENVELOPE_LEN, Secret, rewrap};
use serde_json::{Value, json};

use super::read::{self, Checked, FileSource};
use super::{MANIFEST, failure, key};
use crate::pg::error::Result;
use crate::pg::files::{self, Interruptible, NewFile, Place};
use crate::pg::system;
use crate::store::access::Call;
use crate::store::events;

/// A copy of the backup under the new key takes its place, after all of it was verified. A crash leaves the old backup or the
/// new one, and a manifest that fits either.
pub fn rotate(call: &Call, place: &Place, old: &Secret, new: &Secret) -> Result<Value> {
    let file = files::open(place)?;
    let manifest = read::manifest_beside(place)?;
    let failed = |error| files::failure("read file", place.shown(), &error);
    let copy_of_handle = file.try_clone().map_err(failed)?;
    let mut source = FileSource::of(copy_of_handle, manifest.clone(), place.shown());
    let checked = read::check(&mut source, old)?;
    super::rights::refuse_foreign(call, &checked)?;
    let mut written = NewFile::create(place)?;
    copy(&file, &mut written, place, old, new)?;
    let mut again = FileSource::of(written.reopen()?, manifest.clone(), place.shown());
    let rotated = read::check(&mut again, new)?;
    let manifest_now = rotated
        .manifest
        .to_json()
        .map_err(|error| failure::of(error, place.shown()))?;
    let mut replacing = vec![written];
    if manifest.is_some_and(|manifest| manifest != manifest_now) {
        let mut manifest = NewFile::create(&place.beside(MANIFEST))?;
        manifest.write_whole(&manifest_now)?;
        replacing.push(manifest);
    }
    files::replace(replacing)?;
    Ok(record(call, &rotated, place))
}

fn copy(
    file: &File,
    written: &mut NewFile,
    place: &Place,
    old: &Secret,
    new: &Secret,
) -> Result<()> {
    let failed = |error| files::failure("read or write file", place.shown(), &error);
    let mut reader = file;
    reader.seek(SeekFrom::Start(0)).map_err(failed)?;
    let mut envelope = vec![0; ENVELOPE_LEN];
    reader.read_exact(&mut envelope).map_err(failed)?;
    let envelope = rewrap(&envelope, old, new, &key::wrap_randomness())
        .map_err(|error| failure::of(error, place.shown()))?;
    written.write_all(&envelope).map_err(failed)?;
    let mut rest = Interruptible(file);
    let mut buffer = vec![0; 1024 * 1024];
    loop {
        let length = rest.read(&mut buffer).map_err(failed)?;
        if length == 0 {
            return Ok(());
        }
        written.write_all(&buffer[..length]).map_err(failed)?;
    }
}

fn record(call: &Call, checked: &Checked, place: &Place) -> Value {
    let header = &checked.header;
    system::log_for_operators(format!(
        "memory_ext: role {:?} put backup {} (file {:?}) under another key",
        call.access.role,
        header.backup_id,
        place.shown()
    ));
    let payload = json!({
        "backup_id": header.backup_id,
        "includes_sensitive": header.includes_sensitive,
        "path": place.shown(),
        "key": checked.kdf.name(),
    });
    call.sql(|session| events::record(call, session, "rotate", None, &payload));
    json!({
        "backup_id": header.backup_id,
        "path": place.shown(),
        "key": checked.kdf.name(),
        "size": checked.summary.bytes,
        "sha256": checked.summary.sha256,
    })
}
