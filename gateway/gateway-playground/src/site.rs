//! A place on the internet: a network namespace and a mount namespace, held by one thread.

use std::fs::{self, File};
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output};
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread::{self, JoinHandle};

use nix::errno::Errno;
use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};

/// Where the namespace of the calling thread is found. `self` would be the main thread's.
const OWN_NETNS: &str = "/proc/thread-self/ns/net";

/// A network namespace with a mount namespace of its own, and the thread that lives in it.
///
/// Namespaces belong to threads: whatever is to happen here is handed to the site's thread by
/// [`Site::run`], and a child started from there is born here. Both namespaces end with the last
/// thread, process or descriptor that is in them.
#[derive(Debug)]
pub struct Site {
    /// `None` only while being dropped.
    jobs: Option<SyncSender<Job>>,
    thread: Option<JoinHandle<()>>,
    netns: File,
}

type Job = Box<dyn FnOnce() + Send>;

/// Why a site could not be made or used.
#[derive(Debug, thiserror::Error)]
pub enum SiteError {
    /// The thread could not be started.
    #[error("failed to start the thread of a namespace")]
    Thread(#[source] io::Error),
    /// The process may not make namespaces.
    #[error("making network namespaces needs root (CAP_SYS_ADMIN and CAP_NET_ADMIN)")]
    NotPermitted,
    /// The kernel refused a namespace.
    #[error("failed to make a namespace")]
    Unshare(#[source] Errno),
    /// A file could not be put in place.
    #[error("failed to put a file of our own over `{path}`")]
    File {
        /// The file that was to be covered.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// The namespace's file could not be opened.
    #[error("failed to open the namespace of a thread")]
    Open(#[source] io::Error),
    /// What was run in the site panicked, and took the site's thread with it.
    #[error("the thread of a namespace is gone")]
    Gone,
}

impl Site {
    /// Makes a site whose file system is the host's, but for `files`: each path that exists is
    /// covered by the given text, and one that does not exist is left out.
    ///
    /// # Errors
    /// When the process may not make namespaces, or a file cannot be covered.
    pub fn new(name: &str, files: &[(&str, &str)]) -> Result<Self, SiteError> {
        let (jobs, inbox) = sync_channel::<Job>(1);
        let (ready, readied) = sync_channel(1);
        let files: Vec<(PathBuf, String)> = files
            .iter()
            .map(|(path, text)| (PathBuf::from(path), (*text).to_owned()))
            .collect();
        let thread = thread::Builder::new()
            .name(name.to_owned())
            .spawn(move || {
                let made = enter_new_namespaces(&files);
                let usable = made.is_ok();
                if ready.send(made).is_ok() && usable {
                    while let Ok(job) = inbox.recv() {
                        job();
                    }
                }
            })
            .map_err(SiteError::Thread)?;
        let netns = readied.recv().map_err(|_gone| SiteError::Gone)??;
        Ok(Self {
            jobs: Some(jobs),
            thread: Some(thread),
            netns,
        })
    }

    /// Runs `job` in the site and waits for its result. Sockets it opens stay in the site wherever
    /// they are used later; children it starts stay there too.
    ///
    /// # Errors
    /// When this job, or one before it, panicked.
    pub fn run<T: Send + 'static>(
        &self,
        job: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, SiteError> {
        let (done, result) = sync_channel(1);
        let jobs = self.jobs.as_ref().ok_or(SiteError::Gone)?;
        jobs.send(Box::new(move || {
            // A caller that is gone needs no result.
            drop(done.send(job()));
        }))
        .map_err(|_gone| SiteError::Gone)?;
        result.recv().map_err(|_gone| SiteError::Gone)
    }

    /// Starts `command` in the site.
    ///
    /// # Errors
    /// As [`Command::spawn`], and when the site is gone.
    pub fn spawn(&self, mut command: Command) -> io::Result<Child> {
        self.run(move || command.spawn())
            .map_err(io::Error::other)?
    }

    /// Runs `command` in the site and waits for it, reading what it writes.
    ///
    /// # Errors
    /// As [`Command::output`], and when the site is gone.
    pub fn output(&self, mut command: Command) -> io::Result<Output> {
        use std::process::Stdio;
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        // Waited for outside, so that the site serves others meanwhile.
        self.spawn(command)?.wait_with_output()
    }
}

impl AsFd for Site {
    /// The network namespace, for `setns` and for moving links.
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.netns.as_fd()
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        drop(self.jobs.take());
        if let Some(thread) = self.thread.take() {
            // A job that panicked has already been reported to whoever ran it.
            drop(thread.join());
        }
    }
}

fn enter_new_namespaces(files: &[(PathBuf, String)]) -> Result<File, SiteError> {
    unshare(CloneFlags::CLONE_NEWNET | CloneFlags::CLONE_NEWNS).map_err(|errno| {
        if errno == Errno::EPERM {
            SiteError::NotPermitted
        } else {
            SiteError::Unshare(errno)
        }
    })?;
    // What is mounted on the host later is seen here; what is mounted here is not seen there.
    mount(
        None::<&str>,
        "/",
        None::<&str>,
        MsFlags::MS_REC | MsFlags::MS_SLAVE,
        None::<&str>,
    )
    .map_err(SiteError::Unshare)?;
    cover_files(files)?;
    File::open(OWN_NETNS).map_err(SiteError::Open)
}

/// Puts the texts over the paths, from a tmpfs that only this mount namespace sees.
fn cover_files(files: &[(PathBuf, String)]) -> Result<(), SiteError> {
    if files.is_empty() {
        return Ok(());
    }
    let directory = tempfile::Builder::new()
        .prefix("egret-playground-")
        .tempdir()
        .map_err(|source| SiteError::File {
            path: std::env::temp_dir(),
            source,
        })?;
    let at = |path: &Path, source: io::Error| SiteError::File {
        path: path.to_owned(),
        source,
    };
    mount(
        Some("egret-playground"),
        directory.path(),
        Some("tmpfs"),
        MsFlags::MS_NODEV | MsFlags::MS_NOSUID,
        Some("size=256k,mode=755"),
    )
    .map_err(|errno| at(directory.path(), errno.into()))?;
    for (number, (path, text)) in files.iter().enumerate() {
        // A link (systemd's resolv.conf) is followed: the file that is read is the one to cover.
        let Ok(target) = path.canonicalize() else {
            continue;
        };
        let source = directory.path().join(number.to_string());
        fs::write(&source, text).map_err(|error| at(path, error))?;
        mount(
            Some(&source),
            &target,
            None::<&str>,
            MsFlags::MS_BIND,
            None::<&str>,
        )
        .map_err(|errno| at(path, errno.into()))?;
    }
    // The files live on under the paths they cover.
    nix::mount::umount2(directory.path(), nix::mount::MntFlags::MNT_DETACH)
        .map_err(|errno| at(directory.path(), errno.into()))
}

#[cfg(test)]
mod tests;
