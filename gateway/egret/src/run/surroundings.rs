//! The machine around the command: its addresses, and whom to ask for names.

use std::net::SocketAddr;

use dns_server::SystemResolvers;
use policy_model::World;

use crate::cli::RunArgs;
use crate::machine::{host_addresses, resolv_conf, resolvers, search};
use crate::run::failure::Failure;

/// What was found.
#[derive(Debug)]
pub(super) struct Surroundings {
    pub(super) world: World,
    /// Whom the interceptor asks.
    pub(super) upstreams: Vec<SocketAddr>,
}

impl Surroundings {
    /// Looks around.
    ///
    /// # Errors
    ///
    /// Where there is no server to ask, or netlink does not answer.
    pub(super) fn find(args: &RunArgs) -> Result<Self, Failure> {
        let conf = resolv_conf().map_err(Failure::ResolvConf)?;
        let (addressed, upstreams) = if args.upstream.is_empty() {
            let system = SystemResolvers::discover().map_err(Failure::Resolvers)?;
            (system.addressed, system.upstreams)
        } else {
            // Programs go on asking whom they know; the answers come from whom the user named.
            (conf.servers(), args.upstream.clone())
        };
        let world = World {
            host_addresses: host_addresses().map_err(Failure::Addresses)?,
            resolvers: resolvers(addressed.iter().chain(&args.upstream)),
            search: search(&conf),
            ..World::default()
        };
        Ok(Self { world, upstreams })
    }
}
