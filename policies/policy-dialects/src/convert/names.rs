use std::collections::BTreeSet;

use policy_model::{ObjectRef, Policy};

/// Names of written objects, each once.
#[derive(Debug, Default)]
pub(crate) struct Names {
    taken: BTreeSet<ObjectRef>,
}

impl Names {
    /// The policy's own name, where it is free; one that leaves its namespace takes the namespace along.
    pub(crate) fn take(&mut self, kind: &str, namespace: Option<&str>, policy: &Policy) -> String {
        let name = match (namespace, policy.id.namespace.as_deref()) {
            (None, Some(from)) => format!("{from}.{}", policy.id.name),
            (Some(_) | None, _) => policy.id.name.to_string(),
        };
        self.free(kind, namespace, &name)
    }

    /// A name, or the first with a number behind it that is free.
    pub(crate) fn free(&mut self, kind: &str, namespace: Option<&str>, name: &str) -> String {
        let mut free = name.to_owned();
        let mut number = 1;
        while !self.taken.insert(ObjectRef::new(kind, namespace, &*free)) {
            number += 1;
            free = format!("{name}-{number}");
        }
        free
    }
}
