use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, bail, ensure};

use crate::oracle::Oracle;

/// A Go program of ours in this folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Program {
    KubeNetworkPolicies,
    Cyclonus,
    /// Reads YAML as `kubectl` does; it judges nothing.
    Yaml,
    /// Says what Go's `regexp` refuses, which Cilium compiles expressions with; it judges nothing either.
    Regexp,
}

impl Program {
    pub const fn folder(self) -> &'static str {
        match self {
            Self::KubeNetworkPolicies => "kube-network-policies",
            Self::Cyclonus => "cyclonus",
            Self::Yaml => "yaml",
            Self::Regexp => "regexp",
        }
    }

    /// Builds it, unless that was done already, and starts it.
    pub fn start(self) -> anyhow::Result<Oracle> {
        Oracle::start(self.folder(), &mut Command::new(self.build()?))
    }

    /// The same, but its answers say how long a flow takes.
    pub fn start_to_measure(self) -> anyhow::Result<Oracle> {
        Oracle::start(self.folder(), Command::new(self.build()?).arg("-time"))
    }

    /// The program's path. It is built anew only where its sources or the compiler are others.
    fn build(self) -> anyhow::Result<PathBuf> {
        let go = go().context("Go is not installed")?;
        let place = target()?.join("oracles");
        fs::create_dir_all(&place)?;
        // Tests run side by side, in threads and in processes.
        let lock = fs::File::create(place.join("lock"))?;
        lock.lock()?;
        let program = place.join(self.folder());
        let stamp = place.join(format!("{}.stamp", self.folder()));
        let wanted = self.stamp(&go)?;
        if program.is_file() && fs::read_to_string(&stamp).ok().as_ref() == Some(&wanted) {
            return Ok(program);
        }
        let built = Command::new("go")
            .args(["build", "-mod=readonly", "-buildvcs=false", "-o"])
            .arg(&program)
            .arg(".")
            .current_dir(root().join(self.folder()))
            .output()?;
        ensure!(
            built.status.success(),
            "building {}: {}",
            self.folder(),
            String::from_utf8_lossy(&built.stderr)
        );
        fs::write(&stamp, wanted)?;
        Ok(program)
    }

    /// What the program is made of, and by whom.
    fn stamp(self, go: &str) -> anyhow::Result<String> {
        let mut hasher = DefaultHasher::new();
        for folder in ["protocol", self.folder()] {
            let mut files: Vec<PathBuf> = fs::read_dir(root().join(folder))?
                .map(|entry| entry.map(|entry| entry.path()))
                .collect::<Result<_, _>>()?;
            files.sort();
            for file in files {
                file.hash(&mut hasher);
                fs::read(&file)?.hash(&mut hasher);
            }
        }
        Ok(format!("{go} {:016x}\n", hasher.finish()))
    }
}

/// The version of the Go that is installed, if one is.
pub fn go() -> Option<String> {
    let told = Command::new("go").arg("version").output().ok()?;
    told.status
        .success()
        .then(|| String::from_utf8_lossy(&told.stdout).trim().to_owned())
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Cargo's target directory, which this very program lies in.
fn target() -> anyhow::Result<PathBuf> {
    let program = std::env::current_exe()?;
    let Some(target) = program
        .ancestors()
        .find(|folder| folder.join("CACHEDIR.TAG").is_file())
    else {
        bail!("{} lies in no target directory", program.display());
    };
    Ok(target.to_owned())
}
