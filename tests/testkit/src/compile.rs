//! Small clients in C, for what no installed program does.

use std::path::{Path, PathBuf};
use std::process::Command;

/// Which C library a client is linked with.
#[derive(Clone, Copy, Debug)]
pub enum Compiler {
    /// The system's (`cc`), as every Rust toolchain needs it.
    System,
    /// musl, statically (`musl-gcc`): its resolver asks all servers at once from one socket.
    Musl,
}

/// Compiles `source` into `folder`. `None`, and a word about it, where the compiler is not
/// installed; a failure where `CI` is set.
///
/// # Panics
/// When the source does not compile, or the compiler is missing and `CI` is set.
#[expect(clippy::print_stderr, reason = "a test that cannot run says so")]
#[must_use]
pub fn compile(compiler: Compiler, folder: &Path, name: &str, source: &str) -> Option<PathBuf> {
    let (program, options): (&str, &[&str]) = match compiler {
        Compiler::System => ("cc", &["-O1", "-Wall"]),
        Compiler::Musl => ("musl-gcc", &["-O1", "-Wall", "-static"]),
    };
    let (text, target) = (folder.join(format!("{name}.c")), folder.join(name));
    std::fs::write(&text, source).unwrap();
    let mut command = Command::new(program);
    command.args(options).arg("-o").arg(&target).arg(&text);
    match command.output() {
        Ok(output) if output.status.success() => Some(target),
        Ok(output) => panic!("{}", String::from_utf8_lossy(&output.stderr)),
        Err(error) if std::env::var_os("CI").is_none() => {
            eprintln!("NOT RUN: {program}: {error}");
            None
        }
        Err(error) => panic!("{program} is needed where CI is set: {error}"),
    }
}
