use std::process::Command;

use anyhow::Context as _;
use oracles::Oracle;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Asks an API server. It ends when this is dropped.
#[derive(Debug)]
pub(crate) struct Client(Oracle);

#[derive(Debug, Clone, Serialize)]
pub(crate) struct Request {
    pub(crate) method: &'static str,
    pub(crate) path: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) body: Option<Value>,
}

#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Response {
    /// As in HTTP; 0 where there was no answer.
    pub(crate) status: u16,
    /// What the server warns of, header by header.
    pub(crate) warnings: Option<Vec<String>>,
    pub(crate) body: Value,
}

impl Client {
    pub(crate) fn start(program: &mut Command) -> anyhow::Result<Self> {
        Ok(Self(Oracle::start("the API server", program)?))
    }

    /// What the server says of each, in order. It is asked several at once, so none may need another one.
    pub(crate) fn ask_all(&mut self, requests: &[Request]) -> anyhow::Result<Vec<Response>> {
        self.0.exchange(requests, |line, _| {
            serde_json::from_str(line).context("failed to read what the client printed")
        })
    }

    pub(crate) fn ask(&mut self, request: Request) -> anyhow::Result<Response> {
        let mut responses = self.ask_all(&[request])?;
        responses.pop().context("no answer")
    }
}

impl Response {
    pub(crate) const fn is_accepted(&self) -> bool {
        matches!(self.status, 200..300)
    }

    /// What the server says in words: the message of a refusal.
    pub(crate) fn message(&self) -> &str {
        self.body["message"]
            .as_str()
            .or_else(|| self.body.as_str())
            .unwrap_or_default()
    }
}
