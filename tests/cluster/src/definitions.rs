//! First check: an API server takes our definitions, without a warning.

use std::fs;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use serde_json::Value;

use crate::api_server::until;
use crate::client::{Client, Request};
use crate::definition::{Definition, documents};

const ESTABLISHED: Duration = Duration::from_secs(60);

const CRDS: &str = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";

/// What a definition in a file says, and what the server warned of when it took it.
pub(crate) struct Installed {
    pub(crate) definitions: Vec<Definition>,
    pub(crate) warnings: Vec<String>,
}

/// Gives the server every definition of a file, and waits until it serves them.
pub(crate) fn install(file: &Path, client: &mut Client) -> anyhow::Result<Installed> {
    let text =
        fs::read_to_string(file).with_context(|| format!("failed to read `{}`", file.display()))?;
    let mut installed = Installed {
        definitions: Vec::new(),
        warnings: Vec::new(),
    };
    for crd in documents(&text).with_context(|| format!("failed to read `{}`", file.display()))? {
        let name = crd["metadata"]["name"]
            .as_str()
            .context("a definition without a name")?
            .to_owned();
        let response = client.ask(Request {
            method: "POST",
            path: format!("{CRDS}?fieldValidation=Strict"),
            body: Some(crd.clone()),
        })?;
        if !response.is_accepted() {
            bail!(
                "the API server refuses `{}`: {}",
                file.display(),
                response.message()
            );
        }
        installed
            .warnings
            .extend(response.warnings.unwrap_or_default());
        until(ESTABLISHED, &format!("`{name}` to be served"), || {
            let crd = client.ask(get(format!("{CRDS}/{name}")))?.body;
            ensure!(
                !holds(&crd, "NonStructuralSchema"),
                "the schema of `{name}` is not structural: {}",
                crd["status"]["conditions"]
            );
            Ok(holds(&crd, "Established") && holds(&crd, "NamesAccepted"))
        })?;
        for definition in Definition::of_crd(&crd)? {
            until(ESTABLISHED, &format!("objects of `{name}`"), || {
                let path = format!(
                    "/apis/{}/{}/{}",
                    definition.group, definition.version, definition.plural
                );
                Ok(client.ask(get(path))?.is_accepted())
            })?;
            installed.definitions.push(definition);
        }
    }
    Ok(installed)
}

fn get(path: String) -> Request {
    Request {
        method: "GET",
        path,
        body: None,
    }
}

fn holds(crd: &Value, condition: &str) -> bool {
    crd["status"]["conditions"]
        .as_array()
        .into_iter()
        .flatten()
        .any(|one| one["type"] == condition && one["status"] == "True")
}
