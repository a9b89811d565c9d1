use crate::advice;
use crate::destination::Destination;
use crate::ruling::Ruling;
use crate::summary::SummaryGroup;
use crate::verdict::Verdict;

/// Whether something was denied or would have been.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Happened {
    Denied,
    /// Under `--audit`, or by a staged or audit policy.
    WouldBeDenied,
}

/// What denials are grouped by.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Subject {
    Question {
        name: String,
    },
    Flow {
        destination: Destination,
        /// The first name that stood for it. Addresses of one name are one group.
        name: Option<String>,
    },
    /// An address taken out of an answer.
    Address {
        name: String,
        address: std::net::IpAddr,
        class: &'static str,
    },
}

/// Equal denials.
#[derive(Clone, Debug)]
pub(crate) struct Group {
    pub(crate) happened: Happened,
    pub(crate) subject: Subject,
    pub(crate) count: u64,
    /// Programs that tried, in the order they came.
    pub(crate) programs: Vec<String>,
    /// Record types that were asked for.
    pub(crate) types: Vec<String>,
    /// Of the first one.
    pub(crate) ruling: Ruling,
}

impl From<&Group> for SummaryGroup {
    fn from(group: &Group) -> Self {
        let ruling = &group.ruling;
        let (what, remedy) = match &group.subject {
            Subject::Question { name } => {
                let types = group.types.join(", ");
                (
                    format!("name {name} ({types})"),
                    advice::for_question(name, ruling),
                )
            }
            Subject::Flow {
                destination,
                name: Some(name),
            } => (
                format!("{name} at {destination}"),
                advice::for_flow(destination, std::slice::from_ref(name), ruling),
            ),
            Subject::Flow {
                destination,
                name: None,
            } => (
                destination.to_string(),
                advice::for_flow(destination, &[], ruling),
            ),
            Subject::Address {
                name,
                address,
                class,
            } => (
                format!("{address}, which {name} stands for"),
                advice::for_address(*address, class, ruling),
            ),
        };
        Self {
            verdict: match group.happened {
                Happened::Denied => Verdict::Deny,
                Happened::WouldBeDenied => Verdict::Allow,
            },
            what,
            count: group.count,
            programs: group.programs.clone(),
            code: ruling.code.clone(),
            reason: ruling.reason.clone(),
            place: ruling.place.clone(),
            remedy,
        }
    }
}
