//! A small internet in network namespaces, for the demo, the scenarios and the benchmark.
//!
//! [`Internet::build`] makes two unnamed network namespaces joined by a cable, both families: a
//! *client* in which commands run, and a *world* that owns every address anybody cares to serve:
//! resolvers that answer from a [zone](Internet::zone) and [misbehave](Behaviour) on request, web
//! servers, echo servers, a metadata service. Everything that reaches the world is recorded twice:
//! by the server it reached, and by a capture on the cable itself.
//!
//! What it deliberately does not do: use the host's network (nothing leaves the two namespaces),
//! any program from the outside (no `ip`, no `dnsmasq`), or a library that the gateway uses for DNS:
//! its servers have a reader and writer of their own, so that a fault in the gateway's cannot hide
//! itself by being on both sides.
//!
//! A namespace has no name and lives as long as a thread and a descriptor hold it, so that nothing
//! is left behind however the process ends, and two internets never collide.
//!
//! The types to know: [`Internet`], [`Behaviour`], [`Packet`], and [`probe`] for the client's side.
#![forbid(unsafe_code)]

mod behaviour;
mod capture;
mod dns;
mod internet;
mod log;
mod network;
pub mod probe;
mod servers;
mod site;
mod zone;

pub use behaviour::Behaviour;
pub use capture::{Packet, Truncated};
pub use internet::{BuildError, CLIENT4, CLIENT6, GATEWAY4, GATEWAY6, Internet, Options};
pub use log::Log;
pub use network::NetworkError;
pub use servers::{Echoed, Question, Request, Transport};
pub use site::{Site, SiteError};
pub use zone::ZoneError;
