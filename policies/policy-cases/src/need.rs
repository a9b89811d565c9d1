use std::net::IpAddr;
use std::sync::Arc;

use policy_model::Protocol;

/// What a test needs and does not find.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Need {
    #[error("needs pod `{namespace}/{name}`, which is not in the world")]
    Pod { namespace: Arc<str>, name: Arc<str> },
    #[error("needs {what} `{name}`, which is not in the world")]
    Object { what: &'static str, name: String },
    #[error("{what} `{name}` has no address in the world")]
    Address { what: &'static str, name: String },
    #[error("`{name}` has not the address {ip}: no answer to it in `dns` says so")]
    HostAddress { name: String, ip: IpAddr },
    #[error("Service `{name}` has no port {port}/{protocol} in the world")]
    ServicePort {
        name: String,
        port: u16,
        protocol: Protocol,
    },
    /// A test about diagnostics is judged without an engine.
    #[error("needs no engine")]
    NoEngine,
}
