use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

use anyhow::{Context as _, bail, ensure};

/// Where the programs of a cluster lie.
#[derive(Debug)]
pub(crate) struct Programs {
    folder: PathBuf,
}

/// One program: its module in this folder, its package, and the module whose version it says it has.
struct Program {
    name: &'static str,
    module: &'static str,
    package: &'static str,
    versioned: Option<&'static str>,
}

const PROGRAMS: &[Program] = &[
    Program {
        name: "client",
        module: "client",
        package: ".",
        versioned: None,
    },
    Program {
        name: "etcd",
        module: "etcd",
        package: "go.etcd.io/etcd/server/v3",
        versioned: None,
    },
    Program {
        name: "kube-apiserver",
        module: "kubernetes",
        package: "k8s.io/kubernetes/cmd/kube-apiserver",
        versioned: Some("k8s.io/kubernetes"),
    },
];

impl Programs {
    /// Those that lie in `EGRET_CLUSTER`, or what is built of the modules here into `cache`; what is there already is as good
    /// as its versions say.
    pub(crate) fn get(cache: &Path) -> anyhow::Result<Self> {
        let folder =
            env::var_os("EGRET_CLUSTER").map_or_else(|| cache.to_path_buf(), PathBuf::from);
        fs::create_dir_all(&folder)
            .with_context(|| format!("failed to make `{}`", folder.display()))?;
        // Go runs in other folders.
        let folder = folder
            .canonicalize()
            .with_context(|| format!("failed to find `{}`", folder.display()))?;
        for program in PROGRAMS {
            program.build(&folder)?;
        }
        Ok(Self { folder })
    }

    pub(crate) fn client(&self) -> PathBuf {
        self.folder.join("client")
    }

    pub(crate) fn etcd(&self) -> PathBuf {
        self.folder.join("etcd")
    }

    pub(crate) fn kube_apiserver(&self) -> PathBuf {
        self.folder.join("kube-apiserver")
    }
}

impl Program {
    fn build(&self, folder: &Path) -> anyhow::Result<()> {
        let program = folder.join(self.name);
        let stamp = folder.join(format!("{}.sum", self.name));
        let wanted = self.stamp()?;
        if program.is_file() && fs::read_to_string(&stamp).ok().as_ref() == Some(&wanted) {
            return Ok(());
        }
        if self.versioned.is_some() {
            eprintln!("building kube-apiserver, which takes a quarter of an hour the first time");
        }
        let mut flags = String::from("-s -w");
        if let Some(module) = self.versioned {
            let version = output(self.go(["list", "-m", "-f", "{{.Version}}", module]))?;
            let mut numbers = version.trim_start_matches('v').split('.');
            for (name, value) in [
                ("gitVersion", Some(version.as_str())),
                ("gitMajor", numbers.next()),
                ("gitMinor", numbers.next()),
            ] {
                let value = value.with_context(|| format!("`{version}` is no version"))?;
                flags.push_str(&format!(" -X k8s.io/component-base/version.{name}={value}"));
            }
        }
        let mut build = self.go([
            "build",
            "-mod=readonly",
            "-trimpath",
            "-buildvcs=false",
            "-ldflags",
            &flags,
            "-o",
        ]);
        build.arg(&program).arg(self.package);
        output(build)?;
        fs::write(&stamp, wanted).with_context(|| format!("failed to write `{}`", stamp.display()))
    }

    fn go<const N: usize>(&self, args: [&str; N]) -> Command {
        let mut go = Command::new("go");
        go.args(args)
            .env("CGO_ENABLED", "0")
            .current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join(self.module));
        go
    }

    /// What the program is made of: the compiler, the sums of its modules, and our own source.
    fn stamp(&self) -> anyhow::Result<String> {
        let mut stamp = output(self.go(["version"]))?;
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(self.module);
        for file in ["go.mod", "go.sum", "main.go"] {
            if let Ok(text) = fs::read_to_string(folder.join(file)) {
                stamp.push_str(&text);
            }
        }
        Ok(stamp)
    }
}

/// What a command printed; an error where it failed.
pub(crate) fn output(mut command: Command) -> anyhow::Result<String> {
    let shown = format!("{command:?}");
    let output = command
        .output()
        .with_context(|| format!("failed to start {shown}"))?;
    ensure!(
        output.status.success(),
        "{shown} ended with {}:\n{}",
        output.status,
        String::from_utf8_lossy(&output.stderr)
    );
    let Ok(text) = String::from_utf8(output.stdout) else {
        bail!("{shown} printed what is no text");
    };
    Ok(text.trim_end().to_owned())
}
