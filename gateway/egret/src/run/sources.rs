//! Where the policies of a run are read from after its start, when the command may already try to write its own.

use std::collections::BTreeSet;
use std::fs::File;
use std::path::{Path, PathBuf};

use gateway_sandbox::{Prepared, ProtectError, Reach};
use nix::fcntl::{AT_FDCWD, OFlag, OpenHow, ResolveFlag, openat2};

use crate::policy_files::{self, PolicyFile, PolicyFileError};

/// What is read when policies have changed, and what the command may not have to do with it.
#[derive(Debug)]
pub(super) struct Sources {
    sources: Vec<Source>,
    reach: Reach,
}

/// One of the files and folders that policies come from.
#[derive(Debug)]
enum Source {
    /// A pipe: what was read at the start is all there is.
    Text(PolicyFile),
    Path {
        /// As its user calls it.
        shown: PathBuf,
        /// Where that led at the start, without links.
        target: PathBuf,
        /// Where links on the way are out of the command's reach, they are followed anew, as a ConfigMap's must be.
        follows: bool,
    },
}

impl Sources {
    /// Settles what a later read may find, and protects it from the command: the folders that were named, and files. A
    /// glob, or a folder that the command works in, stands for the files found now and no later one.
    ///
    /// # Errors
    ///
    /// Where one of them is gone again.
    pub(super) fn settle(
        named: &[PathBuf],
        found: &[PolicyFile],
        prepared: &mut Prepared,
    ) -> Result<Self, ProtectError> {
        let working = std::env::current_dir().unwrap_or_default();
        let (folders, others): (Vec<&PathBuf>, Vec<&PathBuf>) = named.iter().partition(|path| {
            path.is_dir()
                && path
                    .canonicalize()
                    .is_ok_and(|path| !working.starts_with(path))
        });
        for folder in &folders {
            prepared.protect(folder)?;
        }
        for file in found.iter().filter(|file| file.path.is_file()) {
            prepared.protect(&file.path)?;
        }
        let reach = prepared.reach();
        let in_folder = |file: &&PolicyFile| {
            folders.iter().any(|folder| file.path.starts_with(folder))
                && !others.contains(&&file.path)
        };
        let folders = folders.iter().map(|folder| Source::of(folder, &reach));
        let files = found.iter().filter(|file| !in_folder(file)).map(|file| {
            if file.path.is_file() {
                Source::of(&file.path, &reach)
            } else {
                Source::Text(file.clone())
            }
        });
        let sources = folders.chain(files).collect();
        Ok(Self { sources, reach })
    }

    /// What will not be read again as its user may expect, a line each.
    pub(super) fn warnings(&self, found: &[PolicyFile]) -> Vec<String> {
        let mut lines = Vec::new();
        for source in &self.sources {
            if let Source::Path {
                shown,
                target,
                follows: false,
            } = source
            {
                lines.push(format!(
                    "`{}` leads through a link that the command could replace: it means `{}` for the whole run",
                    shown.display(),
                    target.display()
                ));
            }
        }
        for file in found.iter().filter(|file| file.path.is_file()) {
            let other_name = file
                .path
                .metadata()
                .is_ok_and(|about| self.reach.may_write_elsewhere(&about));
            if other_name {
                let path = file.path.clone();
                let error = PolicyFileError::OtherName { path };
                lines.push(format!(
                    "{error}: no change of the policies is read while it has"
                ));
            }
        }
        lines
    }

    /// Everything whose change may change the policies: files, folders, and the links on the way, each where it lies.
    pub(super) fn watched(&self) -> Vec<PathBuf> {
        let mut watched = BTreeSet::new();
        for source in &self.sources {
            let Source::Path { shown, target, .. } = source else {
                continue;
            };
            watched.insert(target.clone());
            let way = self.reach.follow(shown);
            let files = way
                .iter()
                .filter(|way| way.target.is_dir())
                .filter_map(|way| policy_files::files_in(&way.target).ok())
                .flatten()
                .filter(|file| file.is_symlink())
                .filter_map(|file| self.reach.follow(&file).ok())
                .collect::<Vec<_>>();
            for way in way.into_iter().chain(files) {
                watched.extend(way.links);
                watched.insert(way.target);
            }
        }
        watched.into_iter().collect()
    }

    /// Reads everything again, and says of links that are not followed where they lead now.
    pub(super) fn load(&self) -> (Vec<PolicyFile>, Vec<PolicyFileError>, Vec<String>) {
        let mut reading = Reading {
            reach: &self.reach,
            files: Vec::new(),
            errors: Vec::new(),
            seen: BTreeSet::new(),
        };
        let mut strayed = Vec::new();
        for source in &self.sources {
            match source {
                Source::Text(file) => reading.files.push(file.clone()),
                Source::Path {
                    shown,
                    target,
                    follows,
                } => {
                    if *follows {
                        reading.path(shown, shown);
                        continue;
                    }
                    if let Ok(now) = shown.canonicalize()
                        && now != *target
                    {
                        strayed.push(format!(
                            "`{}` leads to `{}` now; it is read as `{}` still, since the command could have done that",
                            shown.display(),
                            now.display(),
                            target.display()
                        ));
                    }
                    reading.path(shown, target);
                }
            }
        }
        (reading.files, reading.errors, strayed)
    }
}

impl Source {
    fn of(shown: &Path, reach: &Reach) -> Self {
        // What is gone by now is an error of the first reload.
        let (target, follows) = match reach.follow(shown) {
            Ok(way) => (way.target, way.loose.is_none()),
            Err(_) => (shown.to_path_buf(), true),
        };
        Self::Path {
            shown: shown.to_path_buf(),
            target,
            follows,
        }
    }
}

struct Reading<'a> {
    reach: &'a Reach,
    files: Vec<PolicyFile>,
    errors: Vec<PolicyFileError>,
    seen: BTreeSet<PathBuf>,
}

impl Reading<'_> {
    /// Reads a file or a folder; `shown` is what it is called.
    fn path(&mut self, shown: &Path, path: &Path) {
        let read = self.target(shown, path).and_then(|target| {
            if !target.is_dir() {
                return self.file(shown, &target);
            }
            for file in policy_files::files_in(&target)? {
                let below = file.strip_prefix(&target).unwrap_or(&file);
                let shown = shown.join(below);
                self.target(&shown, &file)
                    .and_then(|target| self.file(&shown, &target))?;
            }
            Ok(())
        });
        if let Err(error) = read {
            self.errors.push(error);
        }
    }

    /// Where a path leads, if the command has no hand in it.
    fn target(&self, shown: &Path, path: &Path) -> Result<PathBuf, PolicyFileError> {
        let way = self
            .reach
            .follow(path)
            .map_err(|source| PolicyFileError::Read {
                path: shown.to_path_buf(),
                source,
            })?;
        match way.loose {
            None => Ok(way.target),
            Some(through) => Err(PolicyFileError::Loose {
                path: shown.to_path_buf(),
                through,
            }),
        }
    }

    /// Reads a file that only others than the command can have written.
    fn file(&mut self, shown: &Path, target: &Path) -> Result<(), PolicyFileError> {
        if !self.seen.insert(target.to_path_buf()) {
            return Ok(());
        }
        let path = shown.to_path_buf();
        let failed = |source| PolicyFileError::Read {
            path: shown.to_path_buf(),
            source,
        };
        // A link that stands here by now was not looked at.
        let how = OpenHow::new()
            .flags(policy_files::OPENING | OFlag::O_RDONLY | OFlag::O_CLOEXEC)
            .resolve(ResolveFlag::RESOLVE_NO_SYMLINKS);
        let file = openat2(AT_FDCWD, target, how).map_err(|errno| failed(errno.into()))?;
        let file = File::from(file);
        let about = file.metadata().map_err(failed)?;
        if self.reach.may_write_elsewhere(&about) {
            return Err(PolicyFileError::OtherName { path });
        }
        if self.reach.may_write(target, &about) {
            return Err(PolicyFileError::Writable { path });
        }
        self.files.push(PolicyFile {
            name: shown.display().to_string(),
            text: policy_files::text_of(shown, file)?,
            path,
        });
        Ok(())
    }
}
