//! Noticing that policy files changed.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::Duration;

use notify::{RecursiveMode, Watcher as _};
use tokio::sync::watch;

/// How long a file must be quiet before it is read: editors and `kubectl cp` write in several steps.
const SETTLE: Duration = Duration::from_millis(100);

/// Watches the folders that hold the given files, because editors replace a file rather than write it.
///
/// Dropping it ends the watch.
pub struct PolicyWatch {
    _watcher: notify::RecommendedWatcher,
    changed: watch::Receiver<u64>,
}

impl PolicyWatch {
    /// Starts watching files, folders with all below them, and links (not where they lead). What is not there is waited
    /// for, in the nearest folder above it.
    ///
    /// # Errors
    ///
    /// Where the kernel refuses another watch (`fs.inotify.max_user_watches`).
    pub fn start(paths: &[PathBuf]) -> notify::Result<Self> {
        let (sender, changed) = watch::channel(0);
        let mut watched = BTreeSet::new();
        // A folder, and whether all below it counts as well.
        let mut folders: BTreeMap<PathBuf, bool> = BTreeMap::new();
        for path in paths {
            let (folder, entry) = place_of(path)?;
            folders.entry(folder).or_default();
            if entry.is_dir() && !entry.is_symlink() {
                folders.insert(entry.clone(), true);
            }
            watched.insert(entry);
        }
        let config = notify::Config::default().with_follow_symlinks(false);
        let concerned = move |event: notify::Result<notify::Event>| {
            let Ok(event) = event else { return };
            // Reading the files is an access too: only what may change their text counts.
            let concerns = |path: &PathBuf| watched.iter().any(|watched| path.starts_with(watched));
            if !event.kind.is_access() && event.paths.iter().any(concerns) {
                sender.send_modify(|count| *count += 1);
            }
        };
        let mut watcher = notify::RecommendedWatcher::new(concerned, config)?;
        for (folder, whole) in &folders {
            let mode = if *whole {
                RecursiveMode::Recursive
            } else {
                RecursiveMode::NonRecursive
            };
            watcher.watch(folder, mode)?;
        }
        Ok(Self {
            _watcher: watcher,
            changed,
        })
    }

    /// Waits until something changed and then stayed quiet for a moment. Never returns where nothing is watched.
    pub async fn changed(&mut self) {
        if self.changed.changed().await.is_err() {
            std::future::pending::<()>().await;
        }
        while let Ok(Ok(())) = tokio::time::timeout(SETTLE, self.changed.changed()).await {}
    }
}

/// The folder to watch for a path, and what to look for in it: the path, or the first part of it that is not there.
fn place_of(path: &Path) -> notify::Result<(PathBuf, PathBuf)> {
    let path = std::path::absolute(path)?;
    let mut entry = path.as_path();
    while let Some(folder) = entry.parent() {
        if let Ok(folder) = folder.canonicalize() {
            let name = entry.file_name().unwrap_or_default();
            let entry = folder.join(name);
            return Ok((folder, entry));
        }
        entry = folder;
    }
    Ok((PathBuf::from("/"), path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_file_replaced_by_renaming_is_noticed() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("policy.yaml");
        std::fs::write(&file, "one").unwrap();
        let mut watch = PolicyWatch::start(std::slice::from_ref(&file)).unwrap();
        let new = folder.path().join(".policy.yaml.new");
        std::fs::write(&new, "two").unwrap();
        std::fs::rename(&new, &file).unwrap();
        tokio::time::timeout(Duration::from_secs(10), watch.changed())
            .await
            .expect("noticed");
        assert_eq!(std::fs::read_to_string(&file).unwrap(), "two");
    }
}
