//! A test file with the files it names.

use std::path::{Path, PathBuf};

use policy_cases::{CaseFile, FileText, Scene, SceneError, SourceRef};
use policy_model::Diagnostic;

use crate::policy_files::{self, PolicyFile};
use crate::policy_set;
use crate::render;

/// A file ready to run.
pub(super) struct Loaded {
    pub(super) scene: Scene,
    /// Every file it was read from, itself too.
    pub(super) sources: Vec<PolicyFile>,
}

/// Why a file's tests cannot be run.
pub(super) struct SourceError {
    pub(super) message: String,
    pub(super) diagnostics: Vec<Diagnostic>,
    pub(super) sources: Vec<PolicyFile>,
}

/// Reads a test file, and the policies and the world it names beside it.
pub(super) fn load(file: PolicyFile) -> Result<Loaded, SourceError> {
    let case = match CaseFile::parse(&file.name, &file.text) {
        Ok(case) => case,
        Err(diagnostics) => {
            return Err(SourceError {
                message: "the test file could not be read".to_owned(),
                diagnostics,
                sources: vec![file],
            });
        }
    };
    let folder = file
        .path
        .parent()
        .map_or_else(PathBuf::new, Path::to_path_buf);
    let found = named(&folder, &case.policies)
        .and_then(|policies| Ok((policies, named(&folder, &case.world)?)));
    let (policies, world) = match found {
        Ok(found) => found,
        Err(message) => {
            return Err(SourceError {
                message,
                diagnostics: Vec::new(),
                sources: vec![file],
            });
        }
    };
    let world = policy_set::without(world, &policies);
    let prepared = Scene::prepare(case, &texts(&policies), &texts(&world));
    let mut sources = vec![file];
    sources.extend(policies);
    sources.extend(world);
    match prepared {
        Ok(scene) => Ok(Loaded { scene, sources }),
        Err(error) => Err(SourceError {
            message: render::chain(&error),
            diagnostics: match error {
                SceneError::World(diagnostics) => diagnostics,
                SceneError::Chain { .. } | SceneError::ResolverService { .. } => Vec::new(),
            },
            sources,
        }),
    }
}

/// The files that a list means, beside the test file; or the first reason why there are none.
fn named(folder: &Path, list: &[SourceRef]) -> Result<Vec<PolicyFile>, String> {
    let paths: Vec<PathBuf> = list.iter().map(|one| folder.join(&*one.text)).collect();
    let (files, errors) = policy_files::load(&paths);
    match errors.first() {
        Some(error) => Err(render::chain(error)),
        None => Ok(files),
    }
}

fn texts(files: &[PolicyFile]) -> Vec<FileText> {
    files
        .iter()
        .map(|file| FileText {
            name: file.name.clone(),
            text: file.text.clone(),
        })
        .collect()
}
