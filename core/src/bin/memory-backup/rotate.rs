//! Putting a backup under a new key.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, fchown};
use std::path::{Path, PathBuf};

use memory_core::container::{ENVELOPE_LEN, Secret, WrapRandomness, rewrap, verify};

use crate::failure::Failure;
use crate::{manifest_path, open, read_manifest};

/// Writes the backup under the new key beside the old one, verifies it as a whole, and puts it in
/// the old one's place; the manifest too, where it names the KDF. A crash leaves the old backup or
/// the new one, with a manifest that fits either. Gives the file's real path.
pub fn rotate(file: &Path, old: &Secret, new: &Secret) -> Result<PathBuf, Failure> {
    // Through links: the file itself is replaced, not a link to it.
    let path = fs::canonicalize(file).map_err(|error| Failure::file(file, error))?;
    let failed = |error| Failure::file(&path, error);
    let refused = |error| Failure::backup(&path, error);

    let mut source = open(&path)?;
    let mut envelope = Vec::new();
    Read::by_ref(&mut source)
        .take(ENVELOPE_LEN as u64)
        .read_to_end(&mut envelope)
        .map_err(failed)?;
    let envelope = rewrap(&envelope, old, new, &wrap_randomness()?).map_err(refused)?;
    let manifest = read_manifest(&path)?;

    let mut backup = Replacement::create(&path)?;
    backup
        .file
        .write_all(&envelope)
        .and_then(|()| io::copy(&mut source, &mut backup.file))
        .map_err(|error| Failure::file(&backup.temporary, error))?;
    backup.sync()?;
    let written = open(&backup.temporary)?;
    let verified = verify(written, new, manifest.as_deref()).map_err(refused)?;
    let new_manifest = verified.manifest.to_json().map_err(refused)?;
    let replaced_manifest = match manifest {
        Some(manifest) if manifest != new_manifest => {
            let mut replacement = Replacement::create(&manifest_path(&path))?;
            let temporary = replacement.temporary.clone();
            replacement
                .file
                .write_all(&new_manifest)
                .map_err(|error| Failure::file(&temporary, error))?;
            replacement.sync()?;
            Some(replacement)
        }
        _ => None,
    };
    backup.put_in_place()?;
    if let Some(replacement) = replaced_manifest {
        replacement.put_in_place()?;
    }
    if let Some(directory) = path.parent() {
        File::open(directory)
            .and_then(|directory| directory.sync_all())
            .map_err(|error| Failure::file(directory, error))?;
    }
    Ok(path)
}

fn wrap_randomness() -> Result<WrapRandomness, Failure> {
    let source = Path::new("/dev/urandom");
    let mut bytes = [0; 28];
    File::open(source)
        .and_then(|mut file| file.read_exact(&mut bytes))
        .map_err(|error| Failure::file(source, error))?;
    Ok(bytes.into())
}

/// A file that is to take another's place. Removed again if it does not come to that.
struct Replacement {
    file: File,
    temporary: PathBuf,
    path: PathBuf,
    in_place: bool,
}

impl Replacement {
    /// Readable by its owner only, who is the owner of the file that it replaces.
    fn create(path: &Path) -> Result<Self, Failure> {
        let mut temporary = path.as_os_str().to_owned();
        temporary.push(".rotating");
        let temporary = PathBuf::from(temporary);
        let file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&temporary)
            .map_err(|error| match error.kind() {
                io::ErrorKind::AlreadyExists => Failure::refused(
                    format!("{}: {error}", temporary.display()),
                    "Another rotation is at work, or was killed: if none is, remove this file.",
                ),
                _ => Failure::file(&temporary, error),
            })?;
        let replacement = Self {
            file,
            temporary,
            path: path.to_owned(),
            in_place: false,
        };
        replacement
            .adopt_owner()
            .map_err(|error| Failure::file(&replacement.temporary, error))?;
        Ok(replacement)
    }

    fn adopt_owner(&self) -> io::Result<()> {
        let (old, new) = (fs::metadata(&self.path)?, self.file.metadata()?);
        match (old.uid(), old.gid()) == (new.uid(), new.gid()) {
            true => Ok(()),
            false => fchown(&self.file, Some(old.uid()), Some(old.gid())),
        }
    }

    fn sync(&self) -> Result<(), Failure> {
        self.file
            .sync_all()
            .map_err(|error| Failure::file(&self.temporary, error))
    }

    fn put_in_place(mut self) -> Result<(), Failure> {
        fs::rename(&self.temporary, &self.path)
            .map_err(|error| Failure::file(&self.path, error))?;
        self.in_place = true;
        Ok(())
    }
}

impl Drop for Replacement {
    fn drop(&mut self) {
        if !self.in_place {
            // Nothing more can be done about a file that cannot be removed.
            let _ = fs::remove_file(&self.temporary);
        }
    }
}
