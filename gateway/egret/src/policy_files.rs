//! Which files a list of paths means, and their text: files, folders and globs.

use std::collections::BTreeSet;
use std::fs::{File, OpenOptions};
use std::io::{self, Read as _};
use std::os::fd::AsFd as _;
use std::os::unix::fs::{FileTypeExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use nix::fcntl::OFlag;
use nix::poll::{PollFd, PollFlags, poll};

/// LIMIT: bytes read of one file. Above what the reader of policies accepts, so that its own error names the limit.
const MOST_BYTES: u64 = 64 << 20;

/// LIMIT: levels of folders below one that was named.
const MOST_LEVELS: usize = 32;

/// LIMIT: milliseconds to wait for each part of what is written to a pipe.
const PATIENCE: u16 = 30_000;

/// One file of policies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PolicyFile {
    /// As places in it are printed.
    pub name: String,
    pub path: PathBuf,
    pub text: String,
}

/// Why a path gave no text.
#[derive(Debug, thiserror::Error)]
pub enum PolicyFileError {
    #[error("`{pattern}` matches no file")]
    NoMatch { pattern: String },
    #[error("`{pattern}` is not a glob")]
    Pattern {
        pattern: String,
        #[source]
        source: glob::PatternError,
    },
    #[error("`{}` holds no .yaml, .yml or .json file", path.display())]
    EmptyFolder { path: PathBuf },
    /// A pipe, socket or device, which may never end. Named by itself it is read: a shell's `<(command)` is one.
    #[error("`{}` is called like a policy file, and is no file", path.display())]
    NotAFile { path: PathBuf },
    #[error("`{}` is not text: byte {at} is not UTF-8", path.display())]
    NotText {
        path: PathBuf,
        /// Counted from 0.
        at: usize,
    },
    /// Under `egret run`, of changed policies only.
    #[error("`{}` leads through `{}`, which the command could replace", path.display(), through.display())]
    Loose { path: PathBuf, through: PathBuf },
    /// Likewise.
    #[error("`{}` has another name (a hard link), by which the command could write it", path.display())]
    OtherName { path: PathBuf },
    /// Likewise.
    #[error("`{}` can be written by the command", path.display())]
    Writable { path: PathBuf },
    #[error("failed to read `{}`", path.display())]
    Read {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
}

impl PolicyFileError {
    /// The path or glob it is about.
    #[must_use]
    pub fn path(&self) -> String {
        match self {
            Self::NoMatch { pattern } | Self::Pattern { pattern, .. } => pattern.clone(),
            Self::EmptyFolder { path }
            | Self::NotAFile { path }
            | Self::NotText { path, .. }
            | Self::Loose { path, .. }
            | Self::OtherName { path }
            | Self::Writable { path }
            | Self::Read { path, .. } => path.display().to_string(),
        }
    }
}

/// Reads the files that `paths` mean, each once, in the order given and by name inside folders and globs.
///
/// What cannot be read does not keep the rest from being read; who calls decides what the errors mean.
#[must_use]
pub fn load(paths: &[PathBuf]) -> (Vec<PolicyFile>, Vec<PolicyFileError>) {
    let mut files = Vec::new();
    let mut errors = Vec::new();
    let mut seen = BTreeSet::new();
    for path in paths {
        let expanded = expand(path).unwrap_or_else(|error| {
            errors.push(error);
            Vec::new()
        });
        for path in expanded {
            let identity = path.canonicalize().unwrap_or_else(|_| path.clone());
            if !seen.insert(identity) {
                continue;
            }
            match read(&path) {
                Ok(text) => files.push(PolicyFile {
                    name: path.display().to_string(),
                    path,
                    text,
                }),
                Err(error) => errors.push(error),
            }
        }
    }
    (files, errors)
}

fn expand(path: &Path) -> Result<Vec<PathBuf>, PolicyFileError> {
    let text = path.to_string_lossy();
    // A file whose name happens to hold a `*` or a `[` is that file.
    let is_glob = text.contains(['*', '?', '[']) && !path.exists();
    if !is_glob {
        return expand_one(path.to_path_buf());
    }
    let options = glob::MatchOptions {
        require_literal_leading_dot: true,
        ..glob::MatchOptions::default()
    };
    let matches = glob::glob_with(&text, options).map_err(|source| PolicyFileError::Pattern {
        pattern: text.to_string(),
        source,
    })?;
    let mut found = Vec::new();
    for path in matches {
        let path = path.map_err(|error| PolicyFileError::Read {
            path: error.path().to_path_buf(),
            source: error.into(),
        })?;
        found.append(&mut expand_one(path)?);
    }
    if found.is_empty() {
        return Err(PolicyFileError::NoMatch {
            pattern: text.to_string(),
        });
    }
    Ok(found)
}

fn expand_one(path: PathBuf) -> Result<Vec<PathBuf>, PolicyFileError> {
    if path.is_dir() {
        files_in(&path)
    } else {
        Ok(vec![path])
    }
}

/// The files that a folder stands for.
///
/// # Errors
///
/// Where the folder, or one below it, cannot be read or has none.
pub fn files_in(folder: &Path) -> Result<Vec<PathBuf>, PolicyFileError> {
    let mut found = Vec::new();
    collect(folder, 0, &mut found)?;
    if found.is_empty() {
        return Err(PolicyFileError::EmptyFolder {
            path: folder.to_path_buf(),
        });
    }
    found.sort();
    Ok(found)
}

fn collect(folder: &Path, level: usize, found: &mut Vec<PathBuf>) -> Result<(), PolicyFileError> {
    let failed = |source| PolicyFileError::Read {
        path: folder.to_path_buf(),
        source,
    };
    for entry in folder.read_dir().map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let path = entry.path();
        if entry.file_name().to_string_lossy().starts_with('.') {
            continue;
        }
        if path.is_dir() {
            // A link may lead back to a folder above it.
            if level < MOST_LEVELS && !path.is_symlink() {
                collect(&path, level + 1, found)?;
            }
        } else if path.extension().is_some_and(|extension| {
            ["yaml", "yml", "json"]
                .iter()
                .any(|known| extension == *known)
        }) {
            if !path.is_file() && path.exists() {
                return Err(PolicyFileError::NotAFile { path });
            }
            found.push(path);
        }
    }
    Ok(())
}

fn read(path: &Path) -> Result<String, PolicyFileError> {
    // Without O_NONBLOCK, opening a pipe waits for a writer.
    let file = OpenOptions::new()
        .read(true)
        .custom_flags(OPENING.bits())
        .open(path)
        .map_err(|source| PolicyFileError::Read {
            path: path.to_path_buf(),
            source,
        })?;
    text_of(path, file)
}

/// How files of policies are opened.
pub const OPENING: OFlag = OFlag::O_NONBLOCK.union(OFlag::O_NOCTTY);

/// Reads an open file.
///
/// # Errors
///
/// Where it is neither a file nor a pipe, cannot be read, or holds no text.
pub fn text_of(path: &Path, file: File) -> Result<String, PolicyFileError> {
    let bytes = read_bytes(file).map_err(|source| PolicyFileError::Read {
        path: path.to_path_buf(),
        source,
    })?;
    String::from_utf8(bytes).map_err(|error| PolicyFileError::NotText {
        path: path.to_path_buf(),
        at: error.utf8_error().valid_up_to(),
    })
}

/// Reads a file, or a pipe that somebody writes to. Nothing else: a terminal or a device may never end, and Egret does not
/// end while a reload waits.
fn read_bytes(file: File) -> io::Result<Vec<u8>> {
    let kind = file.metadata()?.file_type();
    let mut bytes = Vec::new();
    if kind.is_fifo() {
        Patient(file).take(MOST_BYTES).read_to_end(&mut bytes)?;
        if bytes.is_empty() {
            let why = "nobody has written to the pipe";
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, why));
        }
    } else if kind.is_file() {
        file.take(MOST_BYTES).read_to_end(&mut bytes)?;
    } else {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "not a file"));
    }
    Ok(bytes)
}

/// A pipe whose writer may take a while, but not for ever. Without a writer it ends at once.
struct Patient(File);

impl io::Read for Patient {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            match self.0.read(buffer) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                ended => return ended,
            }
            let mut ready = [PollFd::new(self.0.as_fd(), PollFlags::POLLIN)];
            if poll(&mut ready, PATIENCE)? == 0 {
                let why = "its writer writes nothing";
                return Err(io::Error::new(io::ErrorKind::TimedOut, why));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use test_case::test_case;

    use super::*;

    fn folder() -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("more")).unwrap();
        for (name, text) in [
            ("b.yaml", "b"),
            ("a.yml", "a"),
            ("more/c.json", "c"),
            ("readme.md", "no"),
            (".hidden.yaml", "no"),
        ] {
            std::fs::write(folder.path().join(name), text).unwrap();
        }
        folder
    }

    fn texts(paths: &[PathBuf]) -> (Vec<String>, Vec<String>) {
        let (files, errors) = load(paths);
        (
            files.into_iter().map(|file| file.text).collect(),
            errors.iter().map(ToString::to_string).collect(),
        )
    }

    #[test]
    fn a_folder_means_its_policy_files_by_name() {
        let folder = folder();
        let (texts, errors) = texts(&[folder.path().to_path_buf()]);
        assert_eq!(
            (texts, errors),
            (vec!["a".into(), "b".into(), "c".into()], vec![])
        );
    }

    #[test]
    fn a_file_counts_once() {
        let folder = folder();
        let (texts, _) = texts(&[folder.path().join("b.yaml"), folder.path().join("*.y*ml")]);
        assert_eq!(texts, ["b", "a"]);
    }

    #[test]
    fn a_glob_without_a_match_is_an_error_and_the_rest_is_read() {
        let folder = folder();
        let (texts, errors) = texts(&[
            folder.path().join("*.toml"),
            folder.path().join("nothing.yaml"),
            folder.path().join("a.yml"),
        ]);
        assert_eq!(texts, ["a"]);
        assert_eq!(errors.len(), 2);
        assert!(errors[0].ends_with("matches no file"), "{errors:?}");
    }

    fn pipe(folder: &Path) -> PathBuf {
        let pipe = folder.join("pipe.yaml");
        nix::unistd::mkfifo(&pipe, nix::sys::stat::Mode::S_IRWXU).unwrap();
        pipe
    }

    #[test]
    fn a_pipe_is_read_while_somebody_writes() {
        let folder = tempfile::tempdir().unwrap();
        let pipe = pipe(folder.path());
        let mut both = OpenOptions::new()
            .read(true)
            .write(true)
            .open(&pipe)
            .unwrap();
        // Keeps what is written where the writer is gone before the reader comes.
        let _kept = OpenOptions::new()
            .read(true)
            .custom_flags(OFlag::O_NONBLOCK.bits())
            .open(&pipe)
            .unwrap();
        let reader = std::thread::spawn(move || texts(&[pipe]));
        both.write_all(b"text").unwrap();
        drop(both);
        assert_eq!(reader.join().unwrap(), (vec!["text".to_owned()], vec![]));
    }

    #[test]
    fn a_pipe_that_nobody_writes_to_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        let pipe = pipe(folder.path());
        let (files, errors) = load(&[pipe]);
        assert!(files.is_empty());
        assert!(
            matches!(&errors[..], [PolicyFileError::Read { source, .. }] if source.to_string() == "nobody has written to the pipe"),
            "{errors:?}"
        );
    }

    #[test_case("/dev/zero"; "without an end")]
    #[test_case("/dev/null"; "without anything")]
    fn a_device_is_an_error(path: &str) {
        let (texts, errors) = texts(&[path.into()]);
        assert_eq!((texts.len(), errors.len()), (0, 1), "{errors:?}");
    }

    #[test]
    fn a_pipe_in_a_folder_is_an_error_and_is_not_waited_for() {
        let folder = folder();
        let pipe = folder.path().join("more/pipe.yaml");
        nix::unistd::mkfifo(&pipe, nix::sys::stat::Mode::S_IRWXU).unwrap();
        let (texts, errors) = texts(&[folder.path().to_path_buf()]);
        assert_eq!(texts, [""; 0]);
        assert!(errors[0].ends_with("is no file"), "{errors:?}");
    }

    #[test]
    fn what_is_not_text_says_where() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("utf16.yaml");
        std::fs::write(&path, b"a\xff").unwrap();
        let (_, errors) = texts(&[path]);
        assert!(
            errors[0].ends_with("is not text: byte 1 is not UTF-8"),
            "{errors:?}"
        );
    }

    #[test]
    fn a_folder_without_policies_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(texts(&[folder.path().to_path_buf()]).1.len(), 1);
    }
}
