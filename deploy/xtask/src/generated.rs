//! Files that are written from the source and committed, and the check that they are as the source is.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};

use crate::shell::say;
use crate::{crds, diagnostics_doc};

/// A file, from the project's root.
pub(crate) struct Generated {
    pub(crate) path: String,
    pub(crate) text: String,
}

/// `cargo xtask crds`
pub(crate) fn write_crds() -> anyhow::Result<()> {
    write(&crds::files()?)
}

/// `cargo xtask docs`
pub(crate) fn write_docs() -> anyhow::Result<()> {
    write(&[diagnostics_doc::file()?])
}

/// Fails where a file is not what would be written.
pub(crate) fn check() -> anyhow::Result<()> {
    let mut files = crds::files()?;
    files.push(diagnostics_doc::file()?);
    let stale: Vec<&str> = files
        .iter()
        .filter(|file| std::fs::read_to_string(place(file)).unwrap_or_default() != file.text)
        .map(|file| file.path.as_str())
        .collect();
    if stale.is_empty() {
        return Ok(());
    }
    bail!(
        "not as the source is: {}; run `cargo xtask crds` and `cargo xtask docs`",
        stale.join(", ")
    )
}

fn write(files: &[Generated]) -> anyhow::Result<()> {
    for file in files {
        let path = place(file);
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder)
                .with_context(|| format!("cannot make `{}`", folder.display()))?;
        }
        std::fs::write(&path, &file.text)
            .with_context(|| format!("cannot write `{}`", path.display()))?;
        say(&format!("wrote {}", file.path));
    }
    Ok(())
}

fn place(file: &Generated) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../..")
        .join(&file.path)
}

#[cfg(test)]
mod tests {
    /// So that a stale file is red in `cargo test --workspace` too.
    #[test]
    fn committed_files_are_as_the_source_is() {
        super::check().expect("generated files are up to date");
    }
}
