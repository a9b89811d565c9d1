//! Noticing that policy files changed.

use std::collections::BTreeSet;
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
    /// Starts watching files and folders.
    ///
    /// # Errors
    ///
    /// Where the kernel refuses another watch (`fs.inotify.max_user_watches`).
    pub fn start(paths: &[PathBuf]) -> notify::Result<Self> {
        let (sender, changed) = watch::channel(0);
        let mut watched = BTreeSet::new();
        let mut folders = Vec::new();
        for path in paths {
            let (folder, mode) = folder_of(path)?;
            watched.insert(match (mode, path.file_name()) {
                (RecursiveMode::NonRecursive, Some(name)) => folder.join(name),
                (RecursiveMode::NonRecursive | RecursiveMode::Recursive, _) => folder.clone(),
            });
            folders.push((folder, mode));
        }
        let mut watcher =
            notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
                let Ok(event) = event else { return };
                // Reading the files is an access too: only what may change their text counts.
                let concerns =
                    |path: &PathBuf| watched.iter().any(|watched| path.starts_with(watched));
                if !event.kind.is_access() && event.paths.iter().any(concerns) {
                    sender.send_modify(|count| *count += 1);
                }
            })?;
        for (folder, mode) in &folders {
            watcher.watch(folder, *mode)?;
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

/// A folder is watched with all below it; a file by the folder it lies in.
fn folder_of(path: &Path) -> notify::Result<(PathBuf, RecursiveMode)> {
    if path.is_dir() {
        return Ok((path.canonicalize()?, RecursiveMode::Recursive));
    }
    let parent = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        Some(_) | None => Path::new("."),
    };
    Ok((parent.canonicalize()?, RecursiveMode::NonRecursive))
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
