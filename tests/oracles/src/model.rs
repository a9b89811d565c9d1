use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use anyhow::ensure;
use serde::Deserialize;
use serde_json::Value;

use crate::oracle::Oracle;
use crate::set::{Answer, Flow, Set, Verdicts};

/// The Python model that lies beside the clone with the facts; nothing where it is absent, which is said.
pub fn model() -> Option<anyhow::Result<Oracle>> {
    let mut command = python("ask.py")?;
    Some(Oracle::start("model", &mut command))
}

/// Worlds of the model's own, each with its name and what the model says of it: `named`, or `random SEED COUNT`. Nothing
/// where the model is absent, which is said.
pub fn worlds(which: &[&str]) -> Option<anyhow::Result<Vec<(String, Set, Verdicts)>>> {
    let mut command = python("worlds.py")?;
    command.args(which);
    Some(told(&mut command))
}

/// A program of ours beside the model.
fn python(program: &str) -> Option<Command> {
    let model = facts::path("tools/model")?;
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("model");
    let mut command = Command::new("python3");
    // `-B`: it leaves nothing behind, neither here nor beside the clone.
    command.arg("-B").arg(folder.join(program)).arg(model);
    Some(command)
}

fn told(command: &mut Command) -> anyhow::Result<Vec<(String, Set, Verdicts)>> {
    /// A line of it, beside the verdicts.
    #[derive(Deserialize)]
    struct World {
        name: String,
        objects: Vec<Value>,
        flows: Vec<Flow>,
        verdicts: String,
    }
    let output = command.output()?;
    ensure!(
        output.status.success(),
        "{command:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    let text = String::from_utf8(output.stdout)?;
    text.lines()
        .map(|line| {
            let World {
                name,
                objects,
                flows,
                verdicts,
            } = serde_json::from_str(line)?;
            let set = Set {
                objects,
                names: BTreeMap::new(),
                proposed: false,
                flows,
            };
            let answer =
                Answer::read(&serde_json::json!({"verdicts": verdicts}).to_string(), &set)?;
            Ok((name, set, answer.verdicts))
        })
        .collect()
}
