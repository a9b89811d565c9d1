use std::fs::{File, OpenOptions, TryLockError};
use std::os::unix::fs::{FileTypeExt as _, OpenOptionsExt as _};
use std::path::Path;

use nix::fcntl::{FcntlArg, OFlag, fcntl};

use super::ReportError;

/// Opens what a report is written to: a file, which is emptied, a pipe that somebody reads, or a terminal.
pub(super) fn open(path: &Path) -> Result<File, ReportError> {
    let create = |source| ReportError::Create {
        path: path.to_owned(),
        source,
    };
    // Without O_NONBLOCK, opening a pipe waits for a reader, for ever.
    let opened = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .custom_flags((OFlag::O_NONBLOCK | OFlag::O_NOCTTY).bits())
        .open(path);
    let file = match opened {
        Ok(file) => file,
        Err(error) if error.raw_os_error() == Some(nix::libc::ENXIO) && is_pipe(path) => {
            return Err(ReportError::NoReader {
                path: path.to_owned(),
            });
        }
        Err(error) => return Err(create(error)),
    };
    let kind = file.metadata().map_err(create)?.file_type();
    if kind.is_file() {
        empty(&file, path)?;
    } else if kind.is_fifo() || kind.is_char_device() {
        // From here on a slow reader is waited for; the thread that writes is made for that.
        fcntl(&file, FcntlArg::F_SETFL(OFlag::empty())).map_err(|errno| create(errno.into()))?;
    } else {
        return Err(ReportError::NotAFile {
            path: path.to_owned(),
        });
    }
    Ok(file)
}

/// Empties a file that no other report is written to.
fn empty(file: &File, path: &Path) -> Result<(), ReportError> {
    let create = |source| ReportError::Create {
        path: path.to_owned(),
        source,
    };
    match file.try_lock() {
        Ok(()) => file.set_len(0).map_err(create),
        Err(TryLockError::WouldBlock) => Err(ReportError::InUse {
            path: path.to_owned(),
        }),
        Err(TryLockError::Error(source)) => Err(create(source)),
    }
}

fn is_pipe(path: &Path) -> bool {
    path.metadata()
        .is_ok_and(|about| about.file_type().is_fifo())
}
