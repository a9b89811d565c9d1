//! The machine around the command: its addresses, and whom to ask for names.

use std::net::SocketAddr;

use dns_names::Name;
use dns_server::{ResolvConf, SystemResolvers};
use policy_model::{Resolver, World};

use crate::cli::RunArgs;
use crate::machine::host_addresses;
use crate::run::failure::Failure;

/// What was found.
#[derive(Debug)]
pub(super) struct Surroundings {
    pub(super) world: World,
    /// Whom the interceptor asks.
    pub(super) upstreams: Vec<SocketAddr>,
}

const RESOLV_CONF: &str = "/etc/resolv.conf";

impl Surroundings {
    /// Looks around.
    ///
    /// # Errors
    ///
    /// Where there is no server to ask, or netlink does not answer.
    pub(super) fn find(args: &RunArgs) -> Result<Self, Failure> {
        let conf = read_resolv_conf()?;
        let (addressed, upstreams) = if args.upstream.is_empty() {
            let system = SystemResolvers::discover().map_err(Failure::Resolvers)?;
            (system.addressed, system.upstreams)
        } else {
            // Programs go on asking whom they know; the answers come from whom the user named.
            (conf.servers(), args.upstream.clone())
        };
        let known = addressed.iter().chain(&args.upstream);
        let mut resolvers: Vec<Resolver> = known
            .map(|server| Resolver {
                address: server.ip().to_canonical(),
                port: server.port(),
            })
            .collect();
        resolvers.sort_unstable();
        resolvers.dedup();
        let world = World {
            host_addresses: host_addresses().map_err(Failure::Addresses)?,
            resolvers,
            search: conf
                .search
                .iter()
                .filter_map(|zone| Name::parse(zone).ok())
                .collect(),
            ..World::default()
        };
        Ok(Self { world, upstreams })
    }
}

/// No file is an empty one: resolv.conf(5) then means the machine itself.
fn read_resolv_conf() -> Result<ResolvConf, Failure> {
    match std::fs::read_to_string(RESOLV_CONF) {
        Ok(text) => Ok(ResolvConf::parse(&text)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(ResolvConf::default()),
        Err(error) => Err(Failure::ResolvConf(error)),
    }
}
