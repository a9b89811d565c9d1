use std::sync::Arc;

use crate::decode::Findings;
use crate::kubernetes::object_labels;
use crate::object::Object;
use crate::surroundings::Surroundings;
use crate::yaml::Node;

use super::endpoints::{EndpointsSpec, ports};
use super::{address, field, items, namespaced, text, truth};

/// Whose slice it is.
const SERVICE_NAME: &str = "kubernetes.io/service-name";

/// A part of the endpoints of a Service. A slice of names (`addressType: FQDN`) has no addresses, and one without its
/// Service's label is nobody's.
///
/// `hints` are not followed: with them a node uses some of these endpoints, and here all of them count, so that a flow is
/// allowed only where it is allowed to each.
pub(super) fn read(object: &Object<'_>, surroundings: &mut Surroundings, findings: &mut Findings) {
    let labels = object_labels(object.node, findings);
    let Some(service) = labels.get(SERVICE_NAME) else {
        return;
    };
    let kind = text(Some(object.node), "addressType", findings).map_or("", |kind| kind.value);
    let (mut addresses, mut going, mut unready) = (Vec::new(), Vec::new(), Vec::new());
    for endpoint in items(Some(object.node), "endpoints", findings) {
        let taken = match taken(endpoint, findings) {
            _ if kind == "FQDN" => continue,
            Taken::Always => &mut addresses,
            Taken::WhereNoOther => &mut going,
            Taken::Never => &mut unready,
        };
        // The API means the first of several: they all lead to one pod.
        for value in items(Some(endpoint), "addresses", findings) {
            taken.extend(address(value, findings));
        }
    }
    let (namespace, _) = namespaced(object);
    surroundings.unfinished.slices.push(EndpointsSpec {
        service: (namespace, Arc::clone(service)),
        addresses,
        going,
        unready,
        ports: ports(object.node, findings),
    });
}

/// Whether new flows are sent to an endpoint.
enum Taken {
    Always,
    /// It is going, and still serves.
    WhereNoOther,
    Never,
}

/// By its conditions, as kube-proxy reads them. A Service that publishes what is not ready calls its endpoints ready, whether
/// they serve and whether they are going.
fn taken(endpoint: Node<'_>, findings: &mut Findings) -> Taken {
    let conditions = field(Some(endpoint), "conditions");
    let ready = truth(conditions, "ready", findings).unwrap_or(true);
    let serving = truth(conditions, "serving", findings).unwrap_or(ready);
    let terminating = truth(conditions, "terminating", findings).unwrap_or(false);
    match (ready, serving, terminating) {
        (true, _, _) | (false, true, false) => Taken::Always,
        (false, true, true) => Taken::WhereNoOther,
        (false, false, _) => Taken::Never,
    }
}
