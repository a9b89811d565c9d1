use std::path::{Path, PathBuf};
use std::process::Command;

use crate::oracle::Oracle;

/// The Python model that lies beside the clone (`EGRET_SHARED` says where else), if it is there.
pub fn model() -> Option<anyhow::Result<Oracle>> {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let shared = std::env::var_os("EGRET_SHARED")
        .map_or_else(|| here.join("../../../shared"), PathBuf::from);
    let folder = shared.join("tools/model");
    folder.is_dir().then(|| {
        Oracle::start(
            "model",
            Command::new("python3")
                .arg(here.join("model.py"))
                .arg(folder),
        )
    })
}
