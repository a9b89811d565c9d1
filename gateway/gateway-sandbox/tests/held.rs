//! Runs a command behind the walls of `gateway-sandbox` alone, for its tests: no policy, no kernel programs.
//!
//! `gateway-sandbox-held [--caller] [--nested] [--open-sockets] [--protect PATH] [--slot-port N] [--say-run] CMD…`

#![expect(clippy::print_stderr, reason = "a command line")]

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

use gateway_sandbox::{
    HeldSignals, HostSockets, NestedSandboxes, Prepared, RunAs, Spec, stage_main,
};

fn main() -> ExitCode {
    let arguments: Vec<OsString> = std::env::args_os().collect();
    if let Some(code) = stage_main(&arguments) {
        return code;
    }
    match run(arguments) {
        Ok(code) => ExitCode::from(code),
        Err(Failed(code, text)) => {
            eprintln!("held: {text}");
            ExitCode::from(code)
        }
    }
}

struct Failed(u8, String);

fn failed(error: &dyn std::error::Error) -> Failed {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    Failed(125, text)
}

fn run(arguments: Vec<OsString>) -> Result<u8, Failed> {
    let signals = HeldSignals::take().map_err(|error| failed(&error))?;
    let mut spec = Spec::default();
    let mut slot_port = None;
    let mut say_run = false;
    let mut protected: Vec<PathBuf> = Vec::new();
    let mut arguments = arguments.into_iter().skip(1).peekable();
    while let Some(option) =
        arguments.next_if(|argument| argument.to_string_lossy().starts_with("--"))
    {
        match option.to_str() {
            Some("--caller") => spec.run_as = RunAs::Caller,
            Some("--nested") => spec.nested = NestedSandboxes::Allowed,
            Some("--open-sockets") => spec.host_sockets = HostSockets::Open,
            Some("--protect") => protected.extend(arguments.next().map(PathBuf::from)),
            Some("--say-run") => say_run = true,
            Some("--slot-port") => {
                slot_port = arguments
                    .next()
                    .and_then(|port| port.to_str()?.parse().ok());
            }
            _ => return Err(Failed(125, format!("unknown option {}", option.display()))),
        }
    }
    let Some(program) = arguments.next() else {
        return Err(Failed(125, "no command".to_owned()));
    };
    let rest: Vec<OsString> = arguments.collect();
    for leftover in gateway_sandbox::sweep_leftovers().map_err(|error| failed(&error))? {
        leftover.outcome.map_err(|error| failed(&error))?;
    }
    let mut prepared = Prepared::prepare(spec).map_err(|error| failed(&error))?;
    if let Some(port) = slot_port {
        prepared
            .add_slot_route(port)
            .map_err(|error| failed(&error))?;
    }
    for path in &protected {
        prepared.protect(path).map_err(|error| failed(&error))?;
    }
    if say_run {
        eprintln!(
            "{} {}",
            prepared.dir().display(),
            prepared.cgroup().path().display()
        );
    }
    let mut running = prepared.start(&program, &rest, signals).map_err(|error| {
        let Failed(_, text) = failed(&error);
        Failed(error.exit_code(), text)
    })?;
    for notice in running.notices() {
        eprintln!("held: note: {notice}");
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .map_err(|error| failed(&error))?;
    let ended = runtime
        .block_on(running.wait())
        .map_err(|error| failed(&error))?;
    running.close().map_err(|error| failed(&error))?;
    Ok(ended.exit_code())
}
