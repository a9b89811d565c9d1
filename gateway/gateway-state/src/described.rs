use std::net::IpAddr;

use dns_names::Name;
use ebpf_abi::{Cause, Event};
use policy_engine::{Reason, Verdict};
use policy_model::Protocol;

use crate::state::GatewayState;

/// A kernel event with its words: which rule, which names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Described {
    /// What ruled; nothing where the ruling was not a policy's (see the event's cause), or its ruleset is long gone.
    pub reason: Option<Reason>,
    /// What would have ruled with every staged and audit policy in force, where that ruling is another one.
    pub would: Option<(Verdict, Reason)>,
    /// The names whose answers gave this address lately, whether or not a rule wants them.
    pub names: Vec<Name>,
}

impl GatewayState {
    /// Finds the words of an event.
    pub fn describe(&self, event: &Event) -> Described {
        let ip: IpAddr = event.remote_ip();
        let names = self.names_of(ip).into_iter().collect();
        let ruled = event.cause() == Some(Cause::Policy);
        let Some(tables) = self.tables_of(event.ruleset).filter(|_| ruled) else {
            return Described {
                reason: None,
                would: None,
                names,
            };
        };
        let reasons = tables.ruleset.reasons();
        let reason = event
            .reason
            .checked_sub(tables.first_reason)
            .and_then(|number| usize::try_from(number).ok())
            .and_then(|index| reasons.get(index))
            .cloned();
        let would = tables.list_of(event.list).and_then(|list| {
            let row = tables
                .lists
                .get(list)
                .look_up(Protocol(event.protocol), event.remote_port);
            (row.would != row.verdict)
                .then(|| (row.would, tables.ruleset.reason(row.would_reason).clone()))
        });
        Described {
            reason,
            would,
            names,
        }
    }
}
