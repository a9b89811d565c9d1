//! A real `kube-apiserver`, held beside our readers: what it says of an object, and what we say of it.
//!
//! It is built from its Go module, which takes a quarter of an hour the first time, and runs with an `etcd` in a network
//! namespace of its own. So this is a job of its own, `cargo xtask apiserver`, and no part of the test command. What it finds
//! becomes a case among the tests of the reader, where no server is needed.
#![forbid(unsafe_code)]
#![expect(
    clippy::print_stderr,
    reason = "a task talks to a person at a terminal"
)]

mod api_server;
mod client;
mod compare;
mod definition;
mod definitions;
mod known;
mod programs;
mod random;
mod rules;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, bail, ensure};
use policy_engine::testing::{Random, seed};

use crate::api_server::ApiServer;
use crate::compare::Comparison;
use crate::programs::Programs;

/// Random objects of each kind.
const OBJECTS: usize = 2_000;

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    match run(&args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(args: &[String]) -> anyhow::Result<()> {
    let (cache, seed) = match args {
        [cache] => (cache, seed()),
        [cache, number] => (
            cache,
            number
                .parse()
                .with_context(|| format!("`{number}` is no seed"))?,
        ),
        _ => bail!("a folder for what is built, and perhaps a seed"),
    };
    let programs = Programs::get(Path::new(cache))?;
    let server = ApiServer::start(programs)?;
    let mut client = server.client()?;
    eprintln!("the API server is ready; EGRET_SEED={seed}");

    let mut native = Vec::new();
    for file in yaml_files(&root().join("deploy/crds"))? {
        let installed = definitions::install(&file, &mut client)?;
        ensure!(
            installed.warnings.is_empty(),
            "the API server warns of `{}`: {:?}",
            file.display(),
            installed.warnings
        );
        native.extend(installed.definitions);
    }
    eprintln!(
        "{} definitions of ours are served, without a warning",
        native.len()
    );
    rules::each_refuses(&native, &mut client)?;

    let mut random = Random::new(seed);
    let mut comparison = Comparison::default();
    for definition in &native {
        comparison.at_random(definition, OBJECTS, &mut random, &mut client)?;
    }
    comparison.files(&root(), &native, &mut client)?;
    let mut foreign = vec![definition::network_policy(&mut client)?];
    for folder in [
        "network-policy-api",
        "calico/crd-projectcalico.org-v3",
        "calico/crd-crd.projectcalico.org-v1",
    ] {
        let Some(folder) = facts::path(&format!("crds/{folder}")) else {
            continue;
        };
        for file in yaml_files(&folder)? {
            // The experimental ones hold what the standard ones do.
            if !file.to_string_lossy().contains("-standard") {
                foreign.extend(definitions::install(&file, &mut client)?.definitions);
            }
        }
    }
    for definition in &foreign {
        comparison.at_random(definition, OBJECTS, &mut random, &mut client)?;
    }
    comparison
        .tell(|line| eprintln!("{line}"))
        .with_context(|| format!("EGRET_SEED={seed}"))
}

/// In the order of their names.
fn yaml_files(folder: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let mut files: Vec<PathBuf> = std::fs::read_dir(folder)
        .with_context(|| format!("failed to read `{}`", folder.display()))?
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<Result<_, _>>()?;
    files.retain(|file| file.extension().is_some_and(|kind| kind == "yaml"));
    files.sort();
    Ok(files)
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}
