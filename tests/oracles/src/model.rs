use std::path::Path;
use std::process::Command;

use crate::oracle::Oracle;

/// The Python model that lies beside the clone with the facts; nothing where it is absent, which is said.
pub fn model() -> Option<anyhow::Result<Oracle>> {
    let folder = facts::path("tools/model")?;
    let program = Path::new(env!("CARGO_MANIFEST_DIR")).join("model.py");
    Some(Oracle::start(
        "model",
        Command::new("python3").arg(program).arg(folder),
    ))
}
