use policy_model::{PortMatch, Ports, Rule};

/// The ports of a rule, for a kind that can list ports and leave none out.
pub(crate) enum PortList<'r> {
    Every,
    /// These, and those that the rule names.
    These(Vec<&'r PortMatch>),
    /// What cannot be said there.
    Unsaid(&'static str),
}

impl<'r> PortList<'r> {
    pub(crate) fn of(rule: &'r Rule) -> Self {
        let named = &rule.named_ports;
        if !named.none_of.is_empty() || !named.any_of.is_empty() && !named.except.is_empty() {
            return Self::Unsaid("ports but for some by name");
        }
        match &rule.ports {
            Ports::Any => Self::Every,
            Ports::AllBut(_) => Self::Unsaid("every port but some"),
            Ports::Only(matches) => {
                let matches = matches.iter().filter(|one| one.first <= one.last);
                Self::These(matches.collect())
            }
        }
    }
}
