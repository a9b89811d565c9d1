//! Answers that a limit keeps addresses out of.

use dns_names::{ExtendedError, Rcode, Resolution};
use dns_server::{Refusal, Release};
use gateway_state::Withheld;

/// How the answer leaves without what a limit withholds of it; SERVFAIL where that is all of it.
pub(super) fn without(release: Release, resolution: &Resolution, withheld: Withheld) -> Release {
    let Withheld {
        addresses: over,
        limit: _,
        most,
    } = withheld;
    let count = over.len();
    let noun = if count == 1 { "address" } else { "addresses" };
    let text = format!("egret: {count} {noun} left out: no more than {most} are held at a time");
    if resolution
        .addresses
        .iter()
        .all(|address| over.contains(&address.ip))
    {
        return Release::Refuse(Refusal {
            rcode: Rcode::SERVFAIL,
            error: Some(ExtendedError::new(ExtendedError::OTHER, text)),
        });
    }
    let (mut addresses, guard) = match release {
        Release::Without { addresses, error } => (addresses, error),
        Release::Whole => (Vec::new(), None),
        other @ (Release::Refuse(_) | Release::Fail) => return other,
    };
    addresses.extend(over);
    // One error is told; of the two, the guard's is the one a policy can change.
    let error = guard.or_else(|| Some(ExtendedError::new(ExtendedError::OTHER, text)));
    Release::Without { addresses, error }
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use dns_bindings::Limit;
    use dns_names::{Name, Record, RecordData};

    use super::*;

    fn ip(last: u8) -> IpAddr {
        [203, 0, 113, last].into()
    }

    fn resolution(last: &[u8]) -> Resolution {
        let name = Name::parse("api.example.com").unwrap();
        let record = |last: &u8| Record {
            owner: name.clone(),
            ttl: 60,
            data: RecordData::Address(ip(*last)),
        };
        let records: Vec<Record> = last.iter().map(record).collect();
        Resolution::follow(&name, &records).unwrap()
    }

    fn withheld(last: &[u8]) -> Withheld {
        Withheld {
            addresses: last.iter().copied().map(ip).collect(),
            limit: Limit::PerName,
            most: 2,
        }
    }

    fn text(error: Option<ExtendedError>) -> String {
        let error = error.expect("it says why");
        assert_eq!(error.code, ExtendedError::OTHER);
        error.text.into()
    }

    #[test]
    fn what_is_open_leaves_and_the_rest_does_not() {
        let left = without(Release::Whole, &resolution(&[1, 2, 3]), withheld(&[3]));
        let Release::Without { addresses, error } = left else {
            panic!("{left:?}")
        };
        assert_eq!(addresses, [ip(3)]);
        assert_eq!(
            text(error),
            "egret: 1 address left out: no more than 2 are held at a time"
        );
    }

    #[test]
    fn where_nothing_is_left_it_is_servfail() {
        let left = without(Release::Whole, &resolution(&[3, 4]), withheld(&[3, 4]));
        let Release::Refuse(Refusal { rcode, error }) = left else {
            panic!("{left:?}")
        };
        assert_eq!(rcode, Rcode::SERVFAIL);
        assert!(text(error).starts_with("egret: 2 addresses left out"));
    }

    #[test]
    fn what_the_guard_took_out_stays_out() {
        let guarded = Release::Without {
            addresses: vec![ip(9)],
            error: Some(ExtendedError::new(ExtendedError::FILTERED, "guard")),
        };
        let left = without(guarded, &resolution(&[1, 2, 3]), withheld(&[3]));
        let Release::Without { addresses, error } = left else {
            panic!("{left:?}")
        };
        assert_eq!(addresses, [ip(9), ip(3)]);
        assert_eq!(error.map(|error| error.code), Some(ExtendedError::FILTERED));
    }
}
