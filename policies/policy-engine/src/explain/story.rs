use std::fmt;

use super::{Explanation, LeaseTrace, Miss, TierOutcome};

impl fmt::Display for Explanation {
    /// One line for each step, the decision last.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for LeaseTrace { lease, live } in &self.leases {
            let state = if *live { "live" } else { "over" };
            writeln!(
                f,
                "lease    {} until {} s: {state}",
                lease.question,
                lease.expires_at.as_secs()
            )?;
        }
        if let Some(backend) = &self.backend {
            let (ip, port) = (backend.ip, backend.port);
            writeln!(f, "service  {} leads to {ip} port {port}", self.flow.ip)?;
        }
        for object in &self.unselected {
            writeln!(f, "policy   {object}: does not select this workload")?;
        }
        for guard in &self.guards {
            writeln!(f, "{guard}")?;
        }
        for tier in &self.tiers {
            writeln!(f, "tier     {}: {}", tier.tier, tier.outcome)?;
            for (index, rule) in tier.rules.iter().enumerate() {
                let mark = match tier.outcome {
                    TierOutcome::Decided(at) | TierOutcome::Passed(at) if at == index => "->",
                    TierOutcome::Decided(_)
                    | TierOutcome::Passed(_)
                    | TierOutcome::DeniedAtEnd
                    | TierOutcome::Next
                    | TierOutcome::NotReached => "  ",
                };
                write!(f, "  {mark} {}: ", rule.rule)?;
                match (rule.miss, rule.lease) {
                    (Some(miss), _) => self.write_miss(f, miss)?,
                    (None, Some(lease)) => write!(f, "matches by {}", self.lease_name(lease))?,
                    (None, None) => f.write_str("matches")?,
                }
                writeln!(f)?;
            }
        }
        let (verdict, reason) = &self.default;
        writeln!(f, "default  {}: {reason}", verdict.as_str())?;
        write!(f, "{}: {}", self.verdict.as_str(), self.reason)
    }
}

impl Explanation {
    fn lease_name(&self, lease: usize) -> &str {
        self.leases
            .get(lease)
            .map_or("", |trace| trace.lease.question.without_dot())
    }

    fn write_miss(&self, f: &mut fmt::Formatter<'_>, miss: Miss) -> fmt::Result {
        match miss {
            Miss::Guarded(_) => {
                f.write_str("would match, but the guard asks for a rule that names the address")
            }
            Miss::Expired { lease } => {
                write!(
                    f,
                    "would match by {}, which is over",
                    self.lease_name(lease)
                )
            }
            Miss::Private { lease } => write!(
                f,
                "would match by {}, which may not stand for a private address or one of this host",
                self.lease_name(lease)
            ),
            Miss::NameRefused { lease } => {
                write!(
                    f,
                    "would match by {}, which a Deny before it refuses",
                    self.lease_name(lease)
                )
            }
            Miss::Ports => f.write_str("other ports"),
            Miss::Excepted { by } => write!(f, "excepted by {by}"),
            Miss::Name => f.write_str("no name of the address matches"),
            Miss::Address => f.write_str("other addresses"),
            Miss::Closed(code) => write!(f, "closed ({code}), matches nothing"),
        }
    }
}

impl fmt::Display for TierOutcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Decided(_) => "decided",
            Self::Passed(_) => "passed on",
            Self::DeniedAtEnd => "no rule decided, denied at its end",
            Self::Next => "no rule decided, next",
            Self::NotReached => "not reached",
        })
    }
}
