//! Which files a held command can put others in the place of.

use std::collections::VecDeque;
use std::ffi::{OsStr, OsString};
use std::fs::{self, Metadata};
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Component, Path, PathBuf};

use crate::identity::Identity;

/// LIMIT: links followed on the way to one file, as in the kernel.
const MOST_LINKS: usize = 40;

/// What a held command may change of the files that others go by: its user's rights, less what is protected from it.
#[derive(Clone, Debug)]
pub struct Reach {
    identity: Identity,
    protected: Vec<PathBuf>,
}

/// Where a path leads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Way {
    /// Without links.
    pub target: PathBuf,
    /// The links on the way, each where it lies.
    pub links: Vec<PathBuf>,
    /// The first part of the way that the command could replace.
    pub loose: Option<PathBuf>,
}

impl Reach {
    pub(crate) fn new(identity: &Identity, protected: &[PathBuf]) -> Self {
        Self {
            identity: identity.clone(),
            protected: protected.to_vec(),
        }
    }

    /// Follows a path, link by link.
    ///
    /// # Errors
    /// When it leads nowhere, or in a circle.
    pub fn follow(&self, path: &Path) -> io::Result<Way> {
        let mut way = Way {
            target: PathBuf::from("/"),
            links: Vec::new(),
            loose: None,
        };
        let mut parts = parts_of(&std::path::absolute(path)?);
        while let Some(part) = parts.pop_front() {
            if part == ".." {
                way.target.pop();
                continue;
            }
            let entry = way.target.join(&part);
            if way.loose.is_none() && self.may_replace(&way.target, &entry)? {
                way.loose = Some(entry.clone());
            }
            if !fs::symlink_metadata(&entry)?.is_symlink() {
                way.target = entry;
                continue;
            }
            let leads_to = fs::read_link(&entry)?;
            way.links.push(entry);
            if way.links.len() > MOST_LINKS {
                return Err(io::Error::from_raw_os_error(libc::ELOOP));
            }
            if leads_to.is_absolute() {
                way.target = PathBuf::from("/");
            }
            for part in parts_of(&leads_to).into_iter().rev() {
                parts.push_front(part);
            }
        }
        Ok(way)
    }

    /// Whether the command may write into a file: its own user's, and not protected. `path` is one without links.
    pub fn may_write(&self, path: &Path, about: &Metadata) -> bool {
        !self.is_protected(path) && may_write(about, &self.identity)
    }

    /// Whether the command's user may write the file under another name, if it has one.
    pub fn may_write_elsewhere(&self, about: &Metadata) -> bool {
        about.is_file() && about.nlink() > 1 && may_write(about, &self.identity)
    }

    fn may_replace(&self, directory: &Path, entry: &Path) -> io::Result<bool> {
        // What is protected is a mount point, and so are the directories above it: no mount point can be replaced.
        let held = self.is_protected(directory)
            || self.protected.iter().any(|path| path.starts_with(entry));
        Ok(!held && may_write(&fs::metadata(directory)?, &self.identity))
    }

    fn is_protected(&self, path: &Path) -> bool {
        self.protected
            .iter()
            .any(|protected| path.starts_with(protected))
    }
}

/// Whether a user may write a file or directory, by its mode. An access list that gives more is not seen here.
pub(crate) fn may_write(about: &Metadata, identity: &Identity) -> bool {
    const GROUP: u32 = 0o020;
    const OTHERS: u32 = 0o002;
    // The owner may give the right to itself.
    if identity.is_root() || about.uid() == identity.uid {
        return true;
    }
    let is_member = about.gid() == identity.gid || identity.groups.contains(&about.gid());
    about.mode() & OTHERS != 0 || (is_member && about.mode() & GROUP != 0)
}

/// The names in a path, with `..`.
fn parts_of(path: &Path) -> VecDeque<OsString> {
    path.components()
        .filter_map(|component| match component {
            Component::Normal(name) => Some(name.to_owned()),
            Component::ParentDir => Some(OsStr::new("..").to_owned()),
            Component::RootDir | Component::CurDir | Component::Prefix(_) => None,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    fn root(protected: &[PathBuf]) -> Reach {
        let identity = Identity {
            uid: 0,
            gid: 0,
            groups: Vec::new(),
            environment: None,
        };
        Reach::new(&identity, protected)
    }

    /// `pol/a.yaml` leads over `pol/..data` to `pol/..1/a.yaml`, `out/b.yaml` to `pol/a.yaml`.
    fn folder() -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().expect("a temporary directory");
        let path = folder.path().canonicalize().expect("it is there");
        fs::create_dir_all(path.join("pol/..1")).expect("ours");
        fs::create_dir(path.join("out")).expect("ours");
        fs::write(path.join("pol/..1/a.yaml"), "").expect("ours");
        symlink("..1", path.join("pol/..data")).expect("ours");
        symlink("..data/a.yaml", path.join("pol/a.yaml")).expect("ours");
        symlink("../pol/a.yaml", path.join("out/b.yaml")).expect("ours");
        (folder, path)
    }

    #[test]
    fn links_in_a_protected_directory_hold() {
        let (_folder, path) = folder();
        let way = root(&[path.join("pol")])
            .follow(&path.join("pol/a.yaml"))
            .expect("it leads somewhere");
        assert_eq!(
            way,
            Way {
                target: path.join("pol/..1/a.yaml"),
                links: vec![path.join("pol/a.yaml"), path.join("pol/..data")],
                loose: None,
            }
        );
    }

    #[test]
    fn a_link_elsewhere_does_not_although_its_target_is_protected() {
        let (_folder, path) = folder();
        let way = root(&[path.join("pol")])
            .follow(&path.join("out/b.yaml"))
            .expect("it leads somewhere");
        assert_eq!(way.target, path.join("pol/..1/a.yaml"));
        // The first part that is: the folder around it.
        assert_eq!(way.loose, Some(path.join("out")));
    }

    #[test]
    fn a_circle_is_an_error() {
        let (_folder, path) = folder();
        symlink("circle", path.join("circle")).expect("ours");
        let error = root(&[]).follow(&path.join("circle"));
        assert_eq!(
            error.expect_err("it never ends").raw_os_error(),
            Some(libc::ELOOP)
        );
    }

    #[test]
    fn another_name_counts_although_this_one_is_protected() {
        let (_folder, path) = folder();
        let file = path.join("pol/..1/a.yaml");
        let reach = root(&[path.join("pol")]);
        let about = |path: &Path| path.metadata().expect("it is there");
        assert!(!reach.may_write_elsewhere(&about(&file)));
        fs::hard_link(&file, path.join("out/c.yaml")).expect("ours");
        assert!(reach.may_write_elsewhere(&about(&file)));
        assert!(!reach.may_write(&file, &about(&file)));
    }
}
