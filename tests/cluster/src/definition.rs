use anyhow::{Context as _, bail};
use oracles::json_of;
use policy_dialects::decode::Findings;
use policy_dialects::read_documents;
use serde_json::{Value, json};

use crate::client::{Client, Request};

/// A kind of object in one version, as an API server has it.
#[derive(Debug, Clone)]
pub(crate) struct Definition {
    pub(crate) group: String,
    pub(crate) version: String,
    pub(crate) kind: String,
    pub(crate) plural: String,
    pub(crate) namespaced: bool,
    /// Of the whole object.
    pub(crate) schema: Value,
}

impl Definition {
    /// The versions of a CustomResourceDefinition that are served.
    pub(crate) fn of_crd(crd: &Value) -> anyhow::Result<Vec<Self>> {
        let text = |value: &Value| -> anyhow::Result<String> {
            Ok(value
                .as_str()
                .context("a definition without a name")?
                .to_owned())
        };
        let spec = &crd["spec"];
        spec["versions"]
            .as_array()
            .context("a definition without versions")?
            .iter()
            .filter(|version| version["served"] == true)
            .map(|version| {
                Ok(Self {
                    group: text(&spec["group"])?,
                    version: text(&version["name"])?,
                    kind: text(&spec["names"]["kind"])?,
                    plural: text(&spec["names"]["plural"])?,
                    namespaced: spec["scope"] == "Namespaced",
                    schema: version["schema"]["openAPIV3Schema"].clone(),
                })
            })
            .collect()
    }

    /// An object of this kind.
    pub(crate) fn object(&self, name: &str, spec: &Value) -> Value {
        let mut metadata = json!({"name": name});
        if self.namespaced {
            metadata["namespace"] = "default".into();
        }
        json!({
            "apiVersion": format!("{}/{}", self.group, self.version),
            "kind": self.kind,
            "metadata": metadata,
            "spec": spec,
        })
    }

    /// Asks whether an object would be taken, as strictly as `kubectl apply` does; nothing is kept.
    pub(crate) fn create(&self, object: Value) -> Request {
        let Self {
            group,
            version,
            plural,
            ..
        } = self;
        let namespace = if self.namespaced {
            "namespaces/default/"
        } else {
            ""
        };
        Request {
            method: "POST",
            path: format!(
                "/apis/{group}/{version}/{namespace}{plural}?dryRun=All&fieldValidation=Strict"
            ),
            body: Some(object),
        }
    }
}

/// The documents of a file of definitions.
pub(crate) fn documents(text: &str) -> anyhow::Result<Vec<Value>> {
    let mut findings = Findings::new("definitions");
    let documents = read_documents(text, &mut findings);
    if let Some(diagnostic) = findings.into_diagnostics().first() {
        bail!("line {}: {}", diagnostic.origin.line, diagnostic.message);
    }
    Ok(documents
        .iter()
        .map(|document| json_of(document.root()))
        .collect())
}

/// NetworkPolicy, of which the server itself says what it looks like.
pub(crate) fn network_policy(client: &mut Client) -> anyhow::Result<Definition> {
    let said = client.ask(Request {
        method: "GET",
        path: "/openapi/v3/apis/networking.k8s.io/v1".into(),
        body: None,
    })?;
    let schemas = &said.body["components"]["schemas"];
    let schema = inlined(&schemas["io.k8s.api.networking.v1.NetworkPolicy"], schemas);
    if schema["properties"]["spec"]["properties"].is_null() {
        bail!("the API server does not say what a NetworkPolicy looks like");
    }
    Ok(Definition {
        group: "networking.k8s.io".into(),
        version: "v1".into(),
        kind: "NetworkPolicy".into(),
        plural: "networkpolicies".into(),
        namespaced: true,
        schema,
    })
}

/// The schema without references to others.
fn inlined(schema: &Value, schemas: &Value) -> Value {
    match schema {
        Value::Object(object) => {
            let mut object: serde_json::Map<String, Value> = object
                .iter()
                .map(|(key, inner)| (key.clone(), inlined(inner, schemas)))
                .collect();
            if let Some(Value::Array(all)) = object.remove("allOf")
                && let Some(Value::Object(only)) = all.into_iter().next()
            {
                object.extend(only);
            }
            if let Some(Value::String(reference)) = object.remove("$ref") {
                let name = reference.rsplit('/').next().unwrap_or_default();
                let target = &schemas[name];
                let mut inner = inlined(target, schemas);
                if target["format"] == "int-or-string" {
                    inner["x-kubernetes-int-or-string"] = true.into();
                }
                return inner;
            }
            object.into()
        }
        Value::Array(items) => items.iter().map(|item| inlined(item, schemas)).collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => schema.clone(),
    }
}
