use std::sync::Arc;

/// What a test needs and does not find.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Need {
    #[error("needs {0}, which comes with the policies of a cluster")]
    Cluster(&'static str),
    #[error("needs pod `{namespace}/{name}`, which is not in the world")]
    Pod { namespace: Arc<str>, name: Arc<str> },
    /// A test about diagnostics is judged without an engine.
    #[error("needs no engine")]
    NoEngine,
}
