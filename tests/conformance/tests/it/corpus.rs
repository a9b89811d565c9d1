//! The files of the suite.

use std::fs;
use std::path::{Path, PathBuf};

use policy_cases::{CaseFile, FileText, Scene, SourceRef};

/// A file of the suite, ready to run.
pub(crate) struct File {
    pub(crate) name: String,
    pub(crate) scene: Scene,
}

/// Every file, by name.
///
/// # Panics
/// When one of them cannot be read, or has diagnostics that it does not expect.
pub(crate) fn files() -> Vec<File> {
    let mut paths: Vec<PathBuf> = fs::read_dir(folder())
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|ext| ext == "yaml"))
        .collect();
    paths.sort();
    paths.iter().map(|path| File::read(path)).collect()
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../corpus/verdicts")
}

impl File {
    fn read(path: &Path) -> Self {
        let name = path.file_stem().unwrap().to_string_lossy().into_owned();
        let text = fs::read_to_string(path).unwrap();
        let file = CaseFile::parse(&format!("{name}.yaml"), &text)
            .unwrap_or_else(|errors| panic!("{name}: {errors:#?}"));
        let (policies, world) = (texts(&file.policies), texts(&file.world));
        let scene = Scene::prepare(file, &policies, &world)
            .unwrap_or_else(|error| panic!("{name}: {error}"));
        let unexpected = scene.unexpected();
        assert!(unexpected.is_empty(), "{name}: {unexpected:#?}");
        Self { name, scene }
    }
}

fn texts(files: &[SourceRef]) -> Vec<FileText> {
    let read = |file: &SourceRef| FileText {
        name: file.text.to_string(),
        text: fs::read_to_string(folder().join(&*file.text)).unwrap(),
    };
    files.iter().map(read).collect()
}
