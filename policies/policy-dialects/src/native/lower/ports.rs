use policy_model::{NamedPort, NamedPorts, PortMatch, Ports};

use crate::native::v1alpha1::{PortRangeSpec, PortSpec};

/// The model's ports of `ports` and `exceptPorts`: what is given, without what is excepted.
pub(super) fn lower_ports(
    given: Option<Vec<PortSpec>>,
    except: Vec<PortSpec>,
) -> (Ports, NamedPorts) {
    let (except, none_of) = sort(except);
    let Some(given) = given else {
        let ports = if except.is_empty() {
            Ports::Any
        } else {
            Ports::AllBut(except)
        };
        let named = NamedPorts {
            none_of,
            ..NamedPorts::default()
        };
        return (ports, named);
    };
    let (mut only, any_of) = sort(given);
    for hole in &except {
        only = only
            .into_iter()
            .flat_map(|one| without(one, *hole))
            .collect();
    }
    let named = NamedPorts {
        // What is excepted by number takes from ports by name too.
        except: if any_of.is_empty() {
            Vec::new()
        } else {
            except
        },
        any_of,
        none_of,
    };
    (Ports::Only(only), named)
}

fn sort(specs: Vec<PortSpec>) -> (Vec<PortMatch>, Vec<NamedPort>) {
    let (mut numbers, mut names) = (Vec::new(), Vec::new());
    for PortSpec { protocol, range } in specs {
        match range {
            PortRangeSpec::All => numbers.push(PortMatch::all(protocol)),
            PortRangeSpec::Ports { first, last } => {
                numbers.push(PortMatch::range(protocol, first, last));
            }
            PortRangeSpec::Icmp { kind, code } => {
                numbers.push(PortMatch::icmp(protocol, kind, code));
            }
            PortRangeSpec::Named(name) => names.push(NamedPort {
                protocol: Some(protocol),
                name,
            }),
        }
    }
    (numbers, names)
}

/// What is left of a range without another: nothing, one piece or two.
fn without(one: PortMatch, hole: PortMatch) -> Vec<PortMatch> {
    if one.protocol != hole.protocol || one.last < hole.first || hole.last < one.first {
        return vec![one];
    }
    let mut left = Vec::new();
    if let Some(last) = hole.first.checked_sub(1).filter(|last| one.first <= *last) {
        left.push(PortMatch { last, ..one });
    }
    if let Some(first) = hole.last.checked_add(1).filter(|first| *first <= one.last) {
        left.push(PortMatch { first, ..one });
    }
    left
}

#[cfg(test)]
mod tests {
    use policy_model::Protocol;
    use test_case::test_case;

    use super::*;

    #[test_case((10, 20), &[(1, 9), (21, 30)]; "a hole in the middle")]
    #[test_case((1, 30), &[]; "all of it")]
    #[test_case((0, 5), &[(6, 30)]; "the beginning")]
    #[test_case((25, 40), &[(1, 24)]; "the end")]
    #[test_case((31, 40), &[(1, 30)]; "none of it")]
    fn holes((first, last): (u16, u16), expected: &[(u16, u16)]) {
        let range = |first, last| PortMatch::range(Protocol::TCP, first, last);
        let left: Vec<(u16, u16)> = without(range(1, 30), range(first, last))
            .into_iter()
            .map(|one| (one.first, one.last))
            .collect();
        assert_eq!(left, expected);
        let other = PortMatch::range(Protocol::UDP, first, last);
        assert_eq!(without(range(1, 30), other), [range(1, 30)]);
    }
}
