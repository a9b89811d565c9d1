use std::collections::BTreeMap;
use std::net::IpAddr;

use anyhow::bail;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// What an oracle is asked: objects, and flows between them.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Set {
    /// Namespaces, Pods, Nodes and policies, as an author writes them.
    pub objects: Vec<Value>,
    /// Which addresses a name stands for while the flows are judged.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub names: BTreeMap<String, Vec<IpAddr>>,
    /// Whether every staged change is made before they are judged.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub proposed: bool,
    pub flows: Vec<Flow>,
}

/// A connection that a pod begins.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Flow {
    /// `namespace/name` of the pod.
    pub from: String,
    /// An address, whoever it belongs to.
    pub to: IpAddr,
    pub port: u16,
    /// `TCP`, `UDP` or `SCTP`.
    pub protocol: String,
}

/// What an oracle says of a set.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Answer {
    #[serde(deserialize_with = "verdicts")]
    pub verdicts: Verdicts,
    /// Nanoseconds a flow takes, from an oracle that was started to measure them.
    pub ns: Option<f64>,
}

/// For each flow, whether it is allowed.
pub type Verdicts = Vec<bool>;

impl Answer {
    pub(crate) fn read(line: &str, set: &Set) -> anyhow::Result<Self> {
        let answer: Self = serde_json::from_str(line)?;
        if answer.verdicts.len() != set.flows.len() {
            bail!(
                "{} verdicts for {} flows",
                answer.verdicts.len(),
                set.flows.len()
            );
        }
        Ok(answer)
    }
}

fn verdicts<'de, D: serde::Deserializer<'de>>(text: D) -> Result<Verdicts, D::Error> {
    String::deserialize(text)?
        .chars()
        .map(|verdict| match verdict {
            '.' => Ok(true),
            'X' => Ok(false),
            other => Err(serde::de::Error::custom(format!(
                "no verdict: `{}`",
                other.escape_default()
            ))),
        })
        .collect()
}
