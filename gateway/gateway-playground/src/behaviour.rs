//! How a server answers: honestly, late, never, or with lies.

use std::time::Duration;

/// What a resolver does with a question. Set for a name, or for a whole server; the name's wins.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub enum Behaviour {
    /// What the zone says.
    #[default]
    Honest,
    /// What the zone says, this much later.
    Delay(Duration),
    /// Nothing at all.
    Silent,
    /// Over UDP nothing but the TC bit (RFC 1035 §4.2.1); over TCP what the zone says.
    TruncateUdp,
    /// What the zone says, under another message id.
    WrongId,
    /// What the zone says, but the question section asks for another name.
    WrongQuestion,
    /// The right question, and records that belong to another name.
    WrongOwner,
    /// A right header and question, and then bytes that are no records.
    Garbage,
    /// This response code and no records.
    Rcode(u8),
    /// The first question of each type is answered from the first of these zones, the next from
    /// the next, and all further ones from the last: what a rebinding attack does.
    InTurn(Vec<String>),
    /// What the zone says, and behind it in the answer section the records of this zone, whoever
    /// they belong to.
    Smuggle(String),
}
