//! Names and questions that are answered from here, whoever asks.

use dns_names::{ExtendedError, Query, Rcode, RecordType};

use crate::judge::Refusal;

/// The DNS class IN.
const IN: u16 = 1;

/// The standing answer to a question, if it has one.
pub(crate) fn answer(query: &Query) -> Option<Refusal> {
    let refusal = |rcode, error| Some(Refusal { rcode, error });
    if query.edns.is_some_and(|edns| edns.version > 0) {
        return refusal(Rcode::BADVERS, None);
    }
    let unsupported = |what: &str| Some(ExtendedError::new(ExtendedError::NOT_SUPPORTED, what));
    if query.class != IN {
        return refusal(Rcode::REFUSED, unsupported("only class IN is answered"));
    }
    if is_meta(query.record_type) {
        return refusal(
            Rcode::REFUSED,
            unsupported("zone transfers and other meta types are not answered"),
        );
    }
    let mut zones = query.name.suffixes();
    zones
        .find_map(|zone| match zone {
            // Firefox's canary domain: an answer other than NOERROR keeps it from switching to DNS over HTTPS by itself.
            "use-application-dns.net." => Some(Rcode::NXDOMAIN),
            // RFC 9462 §6.4: no designated resolver; to be answered so by resolvers that have none.
            "resolver.arpa." => Some(Rcode::NOERROR),
            _ => None,
        })
        .map(|rcode| Refusal { rcode, error: None })
}

/// Types that are no data: reserved, OPT, and the query and meta types of RFC 6895 §3.1, transfers among them; but ANY.
fn is_meta(record_type: RecordType) -> bool {
    matches!(record_type, RecordType(0 | 128..=254) | RecordType::OPT)
}

#[cfg(test)]
mod tests {
    use dns_names::{Edns, Name};
    use test_case::test_case;

    use super::*;

    #[test_case("use-application-dns.net", RecordType::A, Some(Rcode::NXDOMAIN); "canary")]
    #[test_case("_dns.resolver.arpa", RecordType::SVCB, Some(Rcode::NOERROR); "designated resolvers")]
    #[test_case("resolver.arpa", RecordType::A, Some(Rcode::NOERROR); "the zone itself")]
    #[test_case("example.com", RecordType::AXFR, Some(Rcode::REFUSED); "transfer")]
    #[test_case("example.com", RecordType(250), Some(Rcode::REFUSED); "a signature's type")]
    #[test_case("example.com", RecordType::ANY, None; "everything")]
    #[test_case("example.com", RecordType::A, None; "ordinary")]
    fn by_name_and_type(name: &str, record_type: RecordType, rcode: Option<Rcode>) {
        let query = Query::new(1, Name::parse(name).expect("a name"), record_type);
        assert_eq!(answer(&query).map(|refusal| refusal.rcode), rcode);
    }

    #[test]
    fn other_classes_and_edns_versions_are_not_served() {
        let mut query = Query::new(
            1,
            Name::parse("version.bind").expect("a name"),
            RecordType::TXT,
        );
        query.class = 3;
        assert_eq!(
            answer(&query).map(|refusal| refusal.rcode),
            Some(Rcode::REFUSED)
        );
        query.edns = Some(Edns {
            udp_size: 1232,
            version: 1,
            dnssec_ok: false,
        });
        assert_eq!(
            answer(&query).map(|refusal| refusal.rcode),
            Some(Rcode::BADVERS)
        );
    }
}
