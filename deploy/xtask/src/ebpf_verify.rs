//! The kernel programs: building the committed object, and showing that it is what the sources say.

use std::fmt::Write as _;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, bail};

use crate::shell::{self, cargo, root, say};

/// Debian's compiler: its `bpfel` target has a standard library, which stable toolchains from elsewhere have not.
const RUSTC: &str = "/usr/bin/rustc";
const TARGET: &str = "bpfel-unknown-none";
/// Three linker versions have given three objects; this one is what the recorded object was linked with.
const LINKER_VERSION: &str = "0.13.0";
const LLVM: &str = "/usr/lib/llvm-22";
const LLVM_FEATURE: &str = "llvm-22";
const PACKAGES: [&str; 7] = [
    "rustc-web",
    "libstd-rust-web-dev-bpf",
    "rust-web-llvm",
    "llvm-22",
    "llvm-22-dev",
    "libpolly-22-dev",
    "libzstd-dev",
];
/// Instructions the verifier follows best: 32-bit comparisons keep the bounds it has learned (Linux 5.1).
const TARGET_CPU: &str = "v3";

const OBJECT: &str = "ebpf/prebuilt/egret.bpf.o";
const RECORD: &str = "ebpf/prebuilt/egret.bpf.o.toml";
/// The workspace of the programs, and everything the object is made of: its manifest and lock file, and these crates.
const WORKSPACE: &str = "ebpf";
const PARTS: [&str; 4] = [
    "ebpf",
    "ebpf/ebpf-abi",
    "ebpf/ebpf-logic",
    "ebpf/ebpf-programs",
];
const REBUILD: &str = "run `cargo xtask ebpf-build` and commit ebpf/prebuilt";

/// The task's entry, `cargo xtask ebpf-build`: builds the object and writes it with its record.
pub(crate) fn build(_: &[String]) -> anyhow::Result<()> {
    install_toolchain()?;
    let scratch = tempfile::tempdir().context("no temporary directory")?;
    let object = build_in(&scratch.path().join("checkout"))?;
    let record = Record::of(&object)?;
    fs::write(root().join(OBJECT), &object).context("cannot write the object")?;
    fs::write(root().join(RECORD), record.text()).context("cannot write its record")?;
    say(&format!(
        "{OBJECT}: {} bytes, sha256 {}",
        object.len(),
        record.object
    ));
    Ok(())
}

/// The task's entry, `cargo xtask ebpf-verify`: fails unless the committed object is what its sources give.
pub(crate) fn run(_: &[String]) -> anyhow::Result<()> {
    let committed =
        fs::read(root().join(OBJECT)).with_context(|| format!("{OBJECT} is missing: {REBUILD}"))?;
    let text = fs::read_to_string(root().join(RECORD))
        .with_context(|| format!("{RECORD} is missing: {REBUILD}"))?;
    if field(&text, "object-sha256") != Some(sha256(&committed)?.as_str()) {
        bail!("{OBJECT} is not the one {RECORD} tells of: {REBUILD}");
    }
    if field(&text, "sources-sha256") != Some(sources_hash()?.as_str()) {
        bail!("the sources changed since {OBJECT} was built: {REBUILD}");
    }
    install_toolchain()?;
    let scratch = tempfile::tempdir().context("no temporary directory")?;
    let first = build_in(&scratch.path().join("here"))?;
    let second = build_in(&scratch.path().join("somewhere/else/entirely"))?;
    if first != second {
        bail!("two folders gave two objects: a path has found its way into the object");
    }
    let compilers = Compilers::installed()?;
    if text.contains(&compilers.text()) {
        if first != committed {
            bail!("{OBJECT} is not what these compilers make of the sources: {REBUILD}");
        }
        say(
            "the committed object is what its sources and the recorded compilers give, byte for byte",
        );
        return Ok(());
    }
    say(
        "other compilers than the recorded ones are installed; the fresh object has to pass the kernel tests:",
    );
    say(&compilers.text());
    let fresh = scratch.path().join("fresh.bpf.o");
    fs::write(&fresh, &first).context("cannot write the fresh object")?;
    let mut test = cargo();
    test.args(["test", "--package", "ebpf-loader", "--test", "kernel"])
        .env("EGRET_BPF_OBJECT", &fresh)
        .env("CI", "1");
    shell::run(&mut test).context("the fresh object failed the kernel tests")?;
    say("the fresh object passed the kernel tests; bytes were not compared");
    Ok(())
}

/// What is written beside the object.
struct Record {
    object: String,
    sources: String,
    compilers: Compilers,
}

/// Who built it.
struct Compilers {
    rustc: String,
    llvm: String,
}

impl Record {
    fn of(object: &[u8]) -> anyhow::Result<Self> {
        Ok(Self {
            object: sha256(object)?,
            sources: sources_hash()?,
            compilers: Compilers::installed()?,
        })
    }

    fn text(&self) -> String {
        let mut text = String::from(
            "# Written by `cargo xtask ebpf-build`; `cargo xtask ebpf-verify` holds the object against it.\n",
        );
        let _infallible = writeln!(text, "layout-version = {}", layout_version());
        let _infallible = writeln!(text, "object-sha256 = \"{}\"", self.object);
        let _infallible = writeln!(text, "sources-sha256 = \"{}\"", self.sources);
        text + &self.compilers.text()
    }
}

impl Compilers {
    fn installed() -> anyhow::Result<Self> {
        let verbose = output(Command::new(RUSTC).arg("-vV"))?;
        let line = |start: &str| {
            verbose
                .lines()
                .find_map(|line| line.strip_prefix(start))
                .unwrap_or("?")
                .to_owned()
        };
        Ok(Self {
            rustc: format!("{} ({})", line("release: "), line("commit-hash: ")),
            llvm: line("LLVM version: "),
        })
    }

    fn text(&self) -> String {
        let Self { rustc, llvm } = self;
        format!(
            "rustc = \"{rustc}\"\nllvm = \"{llvm}\"\nbpf-linker = \"{LINKER_VERSION}\"\ntarget-cpu = \"{TARGET_CPU}\"\n"
        )
    }
}

/// Builds from a copy of the sources in `checkout`, and returns the object without its debug sections: they are half
/// a megabyte, hold paths, and the kernel reads none of them.
fn build_in(checkout: &Path) -> anyhow::Result<Vec<u8>> {
    for part in PARTS {
        copy_sources(&root().join(part), &checkout.join(part))?;
    }
    fs::copy(root().join("Cargo.toml"), checkout.join("Cargo.toml"))
        .context("cannot copy Cargo.toml")?;
    let target = checkout.join("target");
    let mut build = cargo();
    build
        .current_dir(checkout.join(WORKSPACE))
        .args([
            "build",
            "--release",
            "--locked",
            "--target",
            TARGET,
            "--quiet",
        ])
        .env("CARGO_TARGET_DIR", &target)
        .env("RUSTC", RUSTC)
        // The target is not one stable promises anything about.
        .env("RUSTC_BOOTSTRAP", "1")
        .env(
            "CARGO_ENCODED_RUSTFLAGS",
            rust_flags(checkout)?.join("\x1f"),
        );
    for name in ["RUSTFLAGS", "RUSTC_WRAPPER", "RUSTC_WORKSPACE_WRAPPER"] {
        build.env_remove(name);
    }
    shell::run(&mut build)?;
    let built = target.join(TARGET).join("release/egret-bpf");
    let stripped = target.join("egret.bpf.o");
    shell::run(
        Command::new(format!("{LLVM}/bin/llvm-strip"))
            .arg("-g")
            .arg("-o")
            .arg(&stripped)
            .arg(&built),
    )?;
    fs::read(&stripped).context("cannot read the built object")
}

fn rust_flags(checkout: &Path) -> anyhow::Result<Vec<String>> {
    let mut flags: Vec<String> = [
        format!("linker={}", linker()?.display()),
        "linker-plugin-lto".to_owned(),
        "link-arg=--btf".to_owned(),
        "debuginfo=2".to_owned(),
        format!("target-cpu={TARGET_CPU}"),
    ]
    .into_iter()
    .flat_map(|option| ["-C".to_owned(), option])
    .collect();
    let mut remap =
        |from: &Path, to: &str| flags.push(format!("--remap-path-prefix={}={to}", from.display()));
    remap(checkout, "/egret");
    let registries = cargo_home()?.join("registry/src");
    for entry in fs::read_dir(&registries)
        .with_context(|| format!("cannot read `{}`", registries.display()))?
    {
        remap(
            &entry.context("cannot read a registry's folder")?.path(),
            "/deps",
        );
    }
    Ok(flags)
}

/// Installs what is missing: as root with the distribution's packages, the linker with cargo.
fn install_toolchain() -> anyhow::Result<()> {
    if !has_target() || !Path::new(LLVM).join("bin/llvm-strip").is_file() {
        let wanted = format!("apt-get install {}", PACKAGES.join(" "));
        if !nix::unistd::geteuid().is_root() {
            bail!("the BPF compiler is missing; as root: `{wanted}`");
        }
        shell::run(Command::new("apt-get").arg("update"))
            .with_context(|| format!("`{wanted}` was not possible"))?;
        let mut install = Command::new("apt-get");
        install
            .args(["install", "--yes", "--no-install-recommends"])
            .args(PACKAGES);
        shell::run(install.env("DEBIAN_FRONTEND", "noninteractive"))
            .with_context(|| format!("`{wanted}` was not possible"))?;
        if !has_target() {
            bail!("`{RUSTC}` still has no `{TARGET}` standard library");
        }
    }
    if linker().is_err() {
        let mut install = cargo();
        // Outside the checkout, whose toolchain file would choose another compiler.
        install
            .current_dir("/")
            .args([
                "install",
                "bpf-linker",
                "--locked",
                "--version",
                LINKER_VERSION,
            ])
            .args(["--no-default-features", "--features", LLVM_FEATURE])
            .env("LLVM_PREFIX", LLVM);
        shell::run(&mut install).context("bpf-linker cannot be installed")?;
    }
    // Registry sources have to be there before their folder is named to the compiler.
    let mut fetch = cargo();
    fetch
        .current_dir(root().join(WORKSPACE))
        .args(["fetch", "--locked", "--quiet"]);
    shell::run(&mut fetch)
}

fn has_target() -> bool {
    let mut ask = Command::new(RUSTC);
    ask.args(["--print", "target-libdir", "--target", TARGET])
        .env("RUSTC_BOOTSTRAP", "1");
    output(&mut ask).is_ok_and(|folder| Path::new(folder.trim()).is_dir())
}

/// The linker, of the one version that is wanted.
fn linker() -> anyhow::Result<PathBuf> {
    let path = cargo_home()?.join("bin/bpf-linker");
    let version = output(Command::new(&path).arg("--version"))?;
    if version
        .split_whitespace()
        .any(|word| word == LINKER_VERSION)
    {
        return Ok(path);
    }
    bail!(
        "`{}` is {}, wanted {LINKER_VERSION}",
        path.display(),
        version.trim()
    );
}

fn cargo_home() -> anyhow::Result<PathBuf> {
    if let Some(home) = std::env::var_os("CARGO_HOME") {
        return Ok(home.into());
    }
    let home = std::env::var_os("HOME").context("neither CARGO_HOME nor HOME is set")?;
    Ok(Path::new(&home).join(".cargo"))
}

/// Hash of every file the object is made of, with its name.
fn sources_hash() -> anyhow::Result<String> {
    let mut files = Vec::new();
    for part in PARTS {
        list_sources(&root().join(part), &mut files)?;
    }
    files.sort();
    let mut all = Vec::new();
    for path in files {
        let name = path
            .strip_prefix(root())
            .unwrap_or(&path)
            .to_string_lossy()
            .into_owned();
        let content = fs::read(&path).with_context(|| format!("cannot read `{name}`"))?;
        all.extend_from_slice(format!("{name}\0{}\0", content.len()).as_bytes());
        all.extend_from_slice(&content);
    }
    sha256(&all)
}

fn copy_sources(from: &Path, to: &Path) -> anyhow::Result<()> {
    let mut files = Vec::new();
    list_sources(from, &mut files)?;
    for path in files {
        let place = to.join(
            path.strip_prefix(from)
                .context("a source outside its crate")?,
        );
        fs::create_dir_all(place.parent().context("a source without a folder")?)
            .context("cannot make a folder")?;
        fs::copy(&path, &place).with_context(|| format!("cannot copy `{}`", path.display()))?;
    }
    Ok(())
}

/// `src`, the manifest and the lock file of a crate or workspace, as far as there are any.
fn list_sources(part: &Path, files: &mut Vec<PathBuf>) -> anyhow::Result<()> {
    for name in ["Cargo.toml", "Cargo.lock"] {
        let path = part.join(name);
        if path.is_file() {
            files.push(path);
        }
    }
    let mut folders = vec![part.join("src")];
    folders.retain(|folder| folder.is_dir());
    while let Some(folder) = folders.pop() {
        for entry in
            fs::read_dir(&folder).with_context(|| format!("cannot read `{}`", folder.display()))?
        {
            let path = entry.context("cannot read a folder")?.path();
            if path.is_dir() {
                folders.push(path)
            } else {
                files.push(path)
            }
        }
    }
    Ok(())
}

fn layout_version() -> u32 {
    ebpf_abi::LAYOUT_VERSION
}

/// The value of a `name = "value"` line.
fn field<'a>(record: &'a str, name: &str) -> Option<&'a str> {
    let line = record
        .lines()
        .find_map(|line| line.strip_prefix(name)?.strip_prefix(" = "))?;
    Some(line.trim().trim_matches('"'))
}

/// By coreutils, so that a task nobody else needs brings no crate.
fn sha256(bytes: &[u8]) -> anyhow::Result<String> {
    let mut child = Command::new("sha256sum")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .context("`sha256sum` is missing")?;
    child
        .stdin
        .take()
        .context("no way to `sha256sum`")?
        .write_all(bytes)
        .context("`sha256sum` stopped reading")?;
    let output = child
        .wait_with_output()
        .context("`sha256sum` did not end")?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    text.split_whitespace()
        .next()
        .map(str::to_owned)
        .context("`sha256sum` said nothing")
}

fn output(command: &mut Command) -> anyhow::Result<String> {
    let output = command
        .output()
        .with_context(|| format!("cannot start {command:?}"))?;
    if !output.status.success() {
        bail!(
            "{command:?}: {}",
            String::from_utf8_lossy(&output.stderr).trim()
        );
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}
