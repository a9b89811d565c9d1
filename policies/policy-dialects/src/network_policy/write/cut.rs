//! What a Deny takes from an Allow, where only Allows can be said.

use ipnet::IpNet;
use policy_model::{Block, Entity, NamedPorts, Peer, Peers, Policy, Ports, Rule, Scope};

use crate::cidr::canonical;
use crate::convert::{rules_meet, subjects_meet};

/// An Allow without what is denied of it.
#[derive(Debug)]
pub(super) struct Cut {
    pub(super) rule: Rule,
    /// Whether more was taken than what is denied.
    pub(super) less: bool,
}

/// Takes from an Allow all that may be denied: a block is an exception of another, everything else goes whole.
pub(super) fn cut(allow: &Rule, policy: &Policy, denies: &[(&Policy, &Rule)]) -> Cut {
    let mut cut = Cut {
        rule: allow.clone(),
        less: false,
    };
    for (by, deny) in denies {
        let meets = subjects_meet(&by.subject, &policy.subject) && rules_meet(allow, deny);
        let Some(denied) = flows(deny).filter(|_| meets) else {
            continue;
        };
        let whole = by.subject == policy.subject
            && deny.ports == Ports::Any
            && deny.named_ports == NamedPorts::default();
        let before = cut.rule.peers.clone();
        cut.take(denied);
        cut.less |= !whole && before != cut.rule.peers;
    }
    cut
}

/// What is denied by address; nothing where only names are refused. No peers: every destination.
fn flows(deny: &Rule) -> Option<Vec<&Peer>> {
    let Peers::Of(peers) = &deny.peers else {
        return Some(Vec::new());
    };
    let flows: Vec<&Peer> = peers
        .iter()
        .filter(|peer| !matches!(peer, Peer::Fqdn(_)))
        .collect();
    (!flows.is_empty()).then_some(flows)
}

impl Cut {
    fn take(&mut self, denied: Vec<&Peer>) {
        let blocks: Option<Vec<&Block>> = denied
            .into_iter()
            .map(|peer| match peer {
                Peer::Block(block) => Some(block),
                Peer::Fqdn(_)
                | Peer::Entity(_)
                | Peer::Metadata(_)
                | Peer::Pods(_)
                | Peer::Nodes(_)
                | Peer::Service(_)
                | Peer::Endpoints(_)
                | Peer::Set(_) => None,
            })
            .collect();
        let Some(blocks) = blocks.filter(|blocks| !blocks.is_empty()) else {
            self.less = true;
            self.rule.peers = Peers::Of(Vec::new());
            return;
        };
        let list = match &self.rule.peers {
            Peers::Of(list) if !list.contains(&Peer::Entity(Entity::All)) => list.clone(),
            Peers::Of(_) | Peers::Any => everything(),
        };
        let mut left = Vec::new();
        for peer in list {
            match peer {
                Peer::Block(block) => left.extend(self.outside(block, &blocks).map(Peer::Block)),
                // Names are said by nobody here, and that is told where they are left out.
                Peer::Fqdn(_) => left.push(peer),
                // Pods and nodes may have an address that is denied.
                Peer::Entity(_)
                | Peer::Metadata(_)
                | Peer::Pods(_)
                | Peer::Nodes(_)
                | Peer::Service(_)
                | Peer::Endpoints(_)
                | Peer::Set(_) => self.less = true,
            }
        }
        self.rule.peers = Peers::Of(left);
    }

    /// A block with the denied ones as exceptions; nothing where one of them holds it.
    fn outside(&mut self, mut block: Block, denied: &[&Block]) -> Option<Block> {
        let net = canonical(block.net);
        for other in denied {
            let taken: IpNet = canonical(other.net);
            if !taken.contains(&net) && !net.contains(&taken) {
                continue;
            }
            self.less |= !other.except.is_empty() || other.scope == Scope::Outside;
            if taken.contains(&net) {
                return None;
            }
            block.except.push(taken);
        }
        Some(block)
    }
}

fn everything() -> Vec<Peer> {
    ["0.0.0.0/0", "::/0"]
        .into_iter()
        .filter_map(|net| net.parse().ok())
        .map(|net| Peer::Block(Block::new(net, Scope::Any)))
        .collect()
}
