//! Files of the server: which of them a role may name, and new ones that get their name only when they are whole.

use std::cell::{Cell, RefCell};
use std::ffi::{OsStr, OsString, c_int};
use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Read, Write};
use std::os::fd::AsRawFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Component, Path, PathBuf};

use pgrx::{PgSqlErrorCode, pg_sys};

use super::error::{Error, Result};
use super::{guc, system};

/// What is to be done with a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Use {
    Read,
    /// It must not be there yet.
    Create,
    /// It is there, and another is put in its place.
    Replace,
}

impl Use {
    /// Whether a role may do this with any file that the server can reach.
    fn is_free_for(self, role: pg_sys::Oid) -> bool {
        let member = |of: u32| system::has_rights_of(role, pg_sys::Oid::from(of));
        let (reads, writes) = (
            pg_sys::ROLE_PG_READ_SERVER_FILES,
            pg_sys::ROLE_PG_WRITE_SERVER_FILES,
        );
        system::is_superuser(role)
            || match self {
                Use::Read => member(reads),
                Use::Create => member(writes),
                Use::Replace => member(reads) && member(writes),
            }
    }

    fn role(self) -> &'static str {
        match self {
            Use::Read => "pg_read_server_files",
            Use::Create => "pg_write_server_files",
            Use::Replace => "pg_read_server_files and pg_write_server_files",
        }
    }
}

/// A file's place: a directory without links in its path, and a name in it.
#[derive(Clone, Debug)]
pub struct Place {
    directory: PathBuf,
    name: OsString,
    /// As the caller wrote it, for messages.
    shown: String,
}

impl Place {
    pub fn path(&self) -> PathBuf {
        self.directory.join(&self.name)
    }

    pub fn shown(&self) -> &str {
        &self.shown
    }

    /// The place of the file beside it whose name ends with this.
    pub fn beside(&self, suffix: &str) -> Place {
        let mut name = self.name.clone();
        name.push(suffix);
        Place {
            directory: self.directory.clone(),
            name,
            shown: format!("{}{suffix}", self.shown),
        }
    }

    /// Refuses a name that something has, be it a link that leads nowhere.
    pub fn refuse_existing(&self) -> Result<()> {
        match fs::symlink_metadata(self.path()) {
            Ok(_) => Err(exists(&self.shown)),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
            Err(error) => Err(failure("create file", &self.shown, &error)),
        }
    }

    /// Refuses a directory that the server may not make files in.
    pub fn refuse_unwritable(&self) -> Result<()> {
        let path = std::ffi::CString::new(self.directory.as_os_str().as_bytes())
            .map_err(|_| Error::argument("a path has a NUL character in it"))?;
        // SAFETY: the string outlives the call.
        match unsafe { libc::access(path.as_ptr(), libc::W_OK | libc::X_OK) } {
            0 => Ok(()),
            _ => Err(failure(
                "create file",
                &self.shown,
                &io::Error::last_os_error(),
            )),
        }
    }
}

/// The place of a file that `role` names. Inside memory_ext.backup_directory everybody may, who may call the function at all;
/// outside it, members of the role that PostgreSQL has for this.
pub fn locate(path: &str, role: pg_sys::Oid, use_of_it: Use) -> Result<Place> {
    let given = Path::new(path);
    let names_none = || {
        Error::argument(format!("path {path:?} names no file"))
            .hint("It ends with the file's name, and starts at memory_ext.backup_directory, or at / for an absolute path.")
    };
    let (Some(parent), Some(name)) = (given.parent(), given.file_name()) else {
        return Err(names_none());
    };
    if path.ends_with('/') || path.ends_with("/.") {
        return Err(names_none());
    }
    if given.components().any(|part| part == Component::ParentDir) {
        return Err(Error::argument(format!("path {path:?} has a .. in it"))
            .hint("Name the file by the directories that it is in."));
    }
    let free = use_of_it.is_free_for(role);
    let configured = guc::backup_directory();
    let base = match &configured {
        None => None,
        Some(directory) => Some(base_directory(directory)?),
    };
    if base.is_none() && (given.is_relative() || !free) {
        let problem = match given.is_relative() {
            true => "memory_ext.backup_directory is not set, which a relative path starts from",
            false => {
                "memory_ext.backup_directory is not set, and this role may name no other files"
            }
        };
        let error = match free {
            true => Error::state(problem),
            false => Error::denied(problem),
        };
        return Err(error.hint(format!(
            "A superuser can set it: ALTER SYSTEM, or ALTER DATABASE, SET memory_ext.backup_directory. Members of {} may name any file by its absolute path.",
            use_of_it.role()
        )));
    }
    let outside = || {
        Error::denied(format!(
            "path {path:?} leads out of memory_ext.backup_directory"
        ))
        .hint(format!(
            "Members of {} may name other files.",
            use_of_it.role()
        ))
    };
    // Before the file system is asked, so that nobody learns what else there is.
    let is_within = |path: &Path| base.as_ref().is_some_and(|base| path.starts_with(base));
    let named_within = configured
        .iter()
        .any(|directory| given.starts_with(directory));
    if !free && given.is_absolute() && !is_within(given) && !named_within {
        return Err(outside());
    }
    let directory = base.clone().unwrap_or_default().join(parent);
    let directory =
        fs::canonicalize(&directory).map_err(|error| failure(use_of_it.action(), path, &error))?;
    if !free && !is_within(&directory) {
        return Err(outside());
    }
    let mut place = Place {
        directory,
        name: name.to_owned(),
        shown: path.to_owned(),
    };
    if use_of_it == Use::Create {
        place.refuse_existing()?;
        return Ok(place);
    }
    // The file may be a link itself.
    let real = fs::canonicalize(place.path())
        .map_err(|error| failure(use_of_it.action(), path, &error))?;
    if !free && !is_within(&real) {
        return Err(outside());
    }
    if let (Some(directory), Some(name)) = (real.parent(), real.file_name()) {
        place.directory = directory.to_owned();
        place.name = name.to_owned();
    }
    Ok(place)
}

impl Use {
    fn action(self) -> &'static str {
        match self {
            Use::Read => "open file",
            Use::Create => "create file",
            Use::Replace => "replace file",
        }
    }
}

fn base_directory(directory: &str) -> Result<PathBuf> {
    if !Path::new(directory).is_absolute() {
        return Err(Error::state(format!(
            "memory_ext.backup_directory is {directory:?}, expected an absolute path"
        )));
    }
    let base = fs::canonicalize(directory)
        .map_err(|error| failure("open memory_ext.backup_directory", directory, &error))?;
    match base.is_dir() {
        true => Ok(base),
        false => Err(Error::state(format!(
            "memory_ext.backup_directory is {directory:?}, which is no directory"
        ))),
    }
}

/// Opens a file to read it. What is no ordinary file is refused, and not waited for.
pub fn open(place: &Place) -> Result<File> {
    open_path(&place.path(), &place.shown)
}

/// The same; `None` where there is none.
pub fn open_if_there(place: &Place) -> Result<Option<File>> {
    match fs::symlink_metadata(place.path()) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        _ => open(place).map(Some),
    }
}

fn open_path(path: &Path, shown: &str) -> Result<File> {
    let failed = |error| failure("open file", shown, &error);
    let file = OpenOptions::new()
        .read(true)
        .custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK | libc::O_NOCTTY)
        .open(path)
        .map_err(failed)?;
    match file.metadata().map_err(failed)?.is_file() {
        true => Ok(file),
        false => Err(Error::coded(
            PgSqlErrorCode::ERRCODE_WRONG_OBJECT_TYPE,
            format!("{shown:?} is no ordinary file"),
        )
        .hint("Directories, pipes and devices are not read: name a file.")),
    }
}

/// All of a small file, or its first `limit` + 1 bytes: whoever asks refuses what is over the limit.
pub fn read(place: &Place, limit: u64) -> Result<Vec<u8>> {
    read_all(open(place)?, &place.shown, limit)
}

pub fn read_all(file: File, shown: &str, limit: u64) -> Result<Vec<u8>> {
    let mut content = Vec::new();
    file.take(limit + 1)
        .read_to_end(&mut content)
        .map_err(|error| failure("read file", shown, &error))?;
    Ok(content)
}

/// All of a small file that a superuser has named in a setting, whose value is told to nobody else.
pub fn read_configured(setting: &str, path: &str, limit: u64) -> Result<Vec<u8>> {
    if !Path::new(path).is_absolute() {
        return Err(Error::state(format!("{setting} is not an absolute path")));
    }
    // A link is as good as a file here: secrets are often mounted that way.
    let real = fs::canonicalize(path).map_err(|error| failure("open file", setting, &error))?;
    read_all(open_path(&real, setting)?, setting, limit)
}

/// A file that is read with an ear for whoever wants the call to end.
pub struct Interruptible<'a>(pub &'a File);

impl Read for Interruptible<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        system::check_for_interrupts();
        self.0.read(buffer)
    }
}

/// A file that is being written under a temporary name, readable by the server's user only. Unless it is put in place, it goes:
/// when it is dropped, be it by an error, and when the session is terminated.
pub struct NewFile {
    file: File,
    temporary: Temporary,
    place: Place,
}

impl NewFile {
    pub fn create(place: &Place) -> Result<Self> {
        loop {
            let mut name = OsString::from(".");
            name.push(&place.name);
            let number = u64::from_ne_bytes(system::random());
            name.push(format!("{TEMPORARY}{number:016x}"));
            let temporary = Temporary::note(place.directory.join(name));
            let failed = |error| failure("create file", &place.shown, &error);
            let file = OpenOptions::new()
                .write(true)
                .create_new(true)
                .mode(0o600)
                .open(&temporary.0)
                .map_err(failed)?;
            // Whoever sweeps at this moment may have taken it for a dead process's.
            if lock(&file) != Lock::Anothers && file.metadata().map_err(failed)?.nlink() > 0 {
                return Ok(NewFile {
                    file,
                    temporary,
                    place: place.clone(),
                });
            }
        }
    }

    /// For reading back what was written.
    pub fn reopen(&self) -> Result<File> {
        open_path(&self.temporary.0, &self.place.shown)
    }

    pub fn write_whole(&mut self, content: &[u8]) -> Result<()> {
        self.write_all(content)
            .map_err(|error| failure("write file", &self.place.shown, &error))
    }

    fn sync(&self) -> Result<()> {
        self.file
            .sync_all()
            .map_err(|error| failure("write file", &self.place.shown, &error))
    }

    /// Gives the file its name, which nothing may have.
    fn name(&self) -> Result<()> {
        let path = self.place.path();
        match fs::hard_link(&self.temporary.0, &path) {
            Ok(()) => Ok(()),
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {
                Err(exists(&self.place.shown))
            }
            // A file system without hard links. Two backups of one name at once are not told apart there.
            Err(error) if is_unsupported(&error) => {
                self.place.refuse_existing()?;
                fs::rename(&self.temporary.0, &path)
                    .map_err(|error| failure("create file", &self.place.shown, &error))
            }
            Err(error) => Err(failure("create file", &self.place.shown, &error)),
        }
    }

    /// Puts the file in the place of one that is there.
    fn rename(&self) -> Result<()> {
        fs::rename(&self.temporary.0, self.place.path())
            .map_err(|error| failure("replace file", &self.place.shown, &error))
    }
}

impl Write for NewFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        system::check_for_interrupts();
        self.file.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// In a temporary name, between the name that the file is to get and a number of 16 digits.
const TEMPORARY: &str = ".tmp-";

/// Removes what processes have left in the directory of a place that did not come to their end: killed, or cut off with the
/// power. A file that is being written is locked by who writes it, and a lock ends with its process, however that ends.
pub fn sweep(place: &Place) {
    // Nothing here is worth an error of the backup that is to be made.
    let Ok(entries) = fs::read_dir(&place.directory) else {
        return;
    };
    for entry in entries.flatten() {
        system::check_for_interrupts();
        if is_temporary(&entry.file_name()) && is_abandoned(&entry.path()) {
            remove(&entry.path());
            system::log_for_operators(format!(
                "memory_ext: removed {:?}, which a process that is gone has left unfinished",
                entry.path()
            ));
        }
    }
}

fn is_temporary(name: &OsStr) -> bool {
    const DIGITS: usize = 16;
    let name = name.as_bytes();
    let Some(at) = name.len().checked_sub(TEMPORARY.len() + DIGITS) else {
        return false;
    };
    let (front, number) = (&name[..at], &name[at + TEMPORARY.len()..]);
    front.len() > 1
        && front[0] == b'.'
        && &name[at..at + TEMPORARY.len()] == TEMPORARY.as_bytes()
        && number
            .iter()
            .all(|digit| matches!(digit, b'0'..=b'9' | b'a'..=b'f'))
}

/// Whether it is a file of the server's user that nobody has locked.
fn is_abandoned(path: &Path) -> bool {
    let file = OpenOptions::new()
        .read(true)
        .write(true)
        .custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK | libc::O_NOCTTY)
        .open(path);
    let Ok(file) = file else {
        return false;
    };
    // SAFETY: asks who this process is.
    let own = unsafe { libc::geteuid() };
    file.metadata()
        .is_ok_and(|metadata| metadata.is_file() && metadata.uid() == own)
        && lock(&file) == Lock::Ours
}

#[derive(PartialEq, Eq)]
enum Lock {
    Ours,
    Anothers,
    /// The file system has no locks: nothing is known.
    Unknown,
}

/// Locks a file for as long as it is open, if nobody has.
fn lock(file: &File) -> Lock {
    // SAFETY: the descriptor is the open file's.
    match unsafe { libc::flock(file.as_raw_fd(), libc::LOCK_EX | libc::LOCK_NB) } {
        0 => Lock::Ours,
        _ if io::Error::last_os_error().kind() == ErrorKind::WouldBlock => Lock::Anothers,
        _ => Lock::Unknown,
    }
}

/// Gives a file and the one beside it their names, on disk, both or none.
pub fn publish(file: NewFile, companion: NewFile) -> Result<()> {
    file.sync()?;
    companion.sync()?;
    file.name()?;
    let rest = companion.name().and_then(|()| {
        let synced = sync_directory(&file.place);
        if synced.is_err() {
            remove(&companion.place.path());
        }
        synced
    });
    if rest.is_err() {
        remove(&file.place.path());
    }
    rest
}

/// Puts new files in the places of old ones, one after the other.
pub fn replace(files: Vec<NewFile>) -> Result<()> {
    for file in &files {
        file.sync()?;
    }
    for file in &files {
        file.rename()?;
    }
    files
        .first()
        .map_or(Ok(()), |file| sync_directory(&file.place))
}

fn sync_directory(place: &Place) -> Result<()> {
    File::open(&place.directory)
        .and_then(|directory| directory.sync_all())
        .map_err(|error| failure("write file", &place.shown, &error))
}

/// Nothing more can be done about a file that cannot be removed.
fn remove(path: &Path) {
    let _ = fs::remove_file(path);
}

/// Whether others than the owner of a file and its group may read it.
pub fn is_open_to_all(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|metadata| metadata.mode() & 0o004 != 0)
}

thread_local! {
    /// Names of files that are not in place yet.
    static UNFINISHED: RefCell<Vec<PathBuf>> = const { RefCell::new(Vec::new()) };
    static REGISTERED: Cell<bool> = const { Cell::new(false) };
}

/// A temporary name: whatever has it is removed when this is dropped. A terminated session drops nothing, so the server is
/// told of it as well.
struct Temporary(PathBuf);

impl Temporary {
    fn note(path: PathBuf) -> Self {
        if !REGISTERED.replace(true) {
            // SAFETY: the callback is a function of a library that is never unloaded; registered once a backend, because the
            // number of slots is fixed.
            unsafe { pg_sys::before_shmem_exit(Some(remove_unfinished), pg_sys::Datum::from(0)) };
        }
        UNFINISHED.with_borrow_mut(|unfinished| unfinished.push(path.clone()));
        Temporary(path)
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        remove(&self.0);
        UNFINISHED.with_borrow_mut(|unfinished| unfinished.retain(|path| *path != self.0));
    }
}

#[pgrx::pg_guard]
unsafe extern "C-unwind" fn remove_unfinished(_code: c_int, _argument: pg_sys::Datum) {
    UNFINISHED.with(|unfinished| {
        if let Ok(unfinished) = unfinished.try_borrow() {
            unfinished.iter().for_each(|path| remove(path));
        }
    });
}

fn exists(shown: &str) -> Error {
    Error::coded(
        PgSqlErrorCode::ERRCODE_DUPLICATE_FILE,
        format!("file {shown:?} exists already"),
    )
    .hint("Nothing is ever overwritten: choose another name, or remove the file.")
}

fn is_unsupported(error: &io::Error) -> bool {
    let code = error.raw_os_error().unwrap_or_default();
    [libc::EPERM, libc::ENOTSUP, libc::ENOSYS, libc::EMLINK].contains(&code)
}

/// What the file system said, with PostgreSQL's code for it.
pub fn failure(action: &str, shown: &str, error: &io::Error) -> Error {
    use PgSqlErrorCode as Code;
    let code = match error.raw_os_error().unwrap_or_default() {
        libc::EACCES | libc::EPERM | libc::EROFS => Code::ERRCODE_INSUFFICIENT_PRIVILEGE,
        libc::ENOENT | libc::ENOTDIR => Code::ERRCODE_UNDEFINED_FILE,
        libc::EEXIST => Code::ERRCODE_DUPLICATE_FILE,
        libc::EISDIR | libc::ELOOP | libc::ENXIO => Code::ERRCODE_WRONG_OBJECT_TYPE,
        libc::ENOSPC | libc::EDQUOT | libc::EFBIG => Code::ERRCODE_DISK_FULL,
        libc::EMFILE | libc::ENFILE => Code::ERRCODE_INSUFFICIENT_RESOURCES,
        libc::ENAMETOOLONG | libc::EINVAL => Code::ERRCODE_INVALID_PARAMETER_VALUE,
        libc::ENOMEM => Code::ERRCODE_OUT_OF_MEMORY,
        _ if error.kind() == ErrorKind::OutOfMemory => Code::ERRCODE_OUT_OF_MEMORY,
        _ => Code::ERRCODE_IO_ERROR,
    };
    let reason = error.to_string();
    let reason = reason.split(" (os error").next().unwrap_or(&reason);
    let failed = Error::coded(code, format!("could not {action} {shown:?}: {reason}"));
    match advice(action, error) {
        Some(hint) => failed.hint(hint),
        None => failed,
    }
}

/// What to do about an error that has mostly to do with the path.
fn advice(action: &str, error: &io::Error) -> Option<&'static str> {
    let creates = action == Use::Create.action();
    Some(match error.raw_os_error()? {
        libc::ENOENT | libc::ENOTDIR if creates => {
            "The directory has to be there already, on the server's machine."
        }
        libc::ENOENT | libc::ENOTDIR => {
            "It is looked for on the server's machine; a relative path starts at memory_ext.backup_directory."
        }
        libc::ENAMETOOLONG => {
            "Most file systems take a name of up to 219 bytes here: .manifest.json and a temporary ending come behind it."
        }
        libc::EACCES | libc::EPERM | libc::EROFS => {
            "It is the server's user who reads and writes, not the client's."
        }
        libc::ENOSPC | libc::EDQUOT => "Make room, or choose another file system.",
        _ => return None,
    })
}
