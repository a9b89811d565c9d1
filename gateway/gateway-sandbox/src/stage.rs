//! The hidden stages: this executable, started again by itself.

mod init;
mod keep;

use std::ffi::OsString;
use std::process::ExitCode;

use crate::orders::{STAGE_INIT, STAGE_KEEP};

/// Runs a hidden stage if `arguments` (all of them, the program's name first) ask for one.
///
/// Call it first in `main`, before any thread exists and before anything reads the command line, and return what it
/// gives. `None`: this is an ordinary start.
pub fn stage_main(arguments: &[OsString]) -> Option<ExitCode> {
    let stage = arguments.get(1)?;
    let rest = arguments.get(2..).unwrap_or_default();
    if stage == STAGE_KEEP {
        Some(keep::main(rest))
    } else if stage == STAGE_INIT {
        Some(init::main(rest))
    } else {
        None
    }
}
