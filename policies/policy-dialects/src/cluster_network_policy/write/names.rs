//! Names as `domainNames`.

use dns_names::{Grammar, NamePattern};
use policy_model::{Action, FqdnBy, FqdnPeer, Peer, Peers, Rule, Scope};

use crate::convert::subjects_meet;

use super::peers::{Around, Lists, Written, add};
use super::tiers::TierWord;

/// Adds a name to those of an Allow, or says why it cannot be said.
pub(super) fn fqdn(
    peer: &FqdnPeer,
    rule: &Rule,
    around: Around<'_>,
    lists: &mut Lists,
    out: &mut Written,
) {
    let FqdnPeer { pattern, by, scope } = peer;
    // A Deny by name is about questions, not about flows.
    if pattern.is_never() || rule.action != Action::Allow {
        return;
    }
    let text = pattern.as_str();
    if around.tier == TierWord::Baseline {
        out.unsaid.push(format!("the name `{text}` in Baseline"));
        return;
    }
    if refused(pattern, rule, around) {
        out.unsaid.push(format!(
            "the name `{text}` but for those a rule before it refuses"
        ));
        return;
    }
    let Some(said) = pattern.in_grammar(Grammar::ClusterNetworkPolicy) else {
        out.unsaid.push(format!("the name pattern `{text}`"));
        return;
    };
    if *by == FqdnBy::Question {
        out.more
            .push("a name counts too where another that was asked led to it by CNAME");
    }
    if *scope == Scope::Outside {
        out.more
            .push("a name means pods, nodes and Services too, where it leads to them");
    }
    add(&mut lists.names, said.as_str().to_owned());
}

/// Whether a rule before it may refuse some of the names.
fn refused(pattern: &NamePattern, rule: &Rule, around: Around<'_>) -> bool {
    let meets = |peer: &Peer| match peer {
        Peer::Fqdn(other) => names_meet(&other.pattern, pattern),
        Peer::Block(_)
        | Peer::Entity(_)
        | Peer::Metadata(_)
        | Peer::Pods(_)
        | Peer::Nodes(_)
        | Peer::Service(_)
        | Peer::Endpoints(_)
        | Peer::Set(_) => false,
    };
    let selecting = around
        .sorted
        .iter()
        .filter(|other| subjects_meet(&other.subject, &around.policy.subject));
    let mut before = selecting
        .flat_map(|other| &other.rules)
        .take_while(|other| !std::ptr::eq(*other, rule));
    before.any(|other| {
        other.action == Action::Deny
            && matches!(&other.peers, Peers::Of(peers) if peers.iter().any(meets))
    })
}

/// Whether one name can be of both; where that is not certain, it can.
fn names_meet(a: &NamePattern, b: &NamePattern) -> bool {
    match (a.zone(), b.zone()) {
        (Some(a), Some(b)) => a.is_under(&b) || b.is_under(&a),
        (None, _) | (_, None) => false,
    }
}
