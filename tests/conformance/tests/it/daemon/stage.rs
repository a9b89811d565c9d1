//! A lab, a run of Egret in it, and the held client to talk to.

use std::fmt::Write as _;
use std::io::{PipeWriter, Write as _};
use std::net::{IpAddr, SocketAddr};
use std::process::Stdio;
use std::sync::Arc;

use dns_names::{Name, RecordData, RecordType, Resolution};
use gateway_playground::probe::Sight;
use policy_cases::Scene;
use policy_engine::Flow;
use policy_model::Protocol;
use serde_json::Value;
use testkit::{Lab, Running, eventually, names};

use crate::host::Fate;

/// A metadata service that no file opens: what is sent there is always denied, and told.
const MARK: &str = "192.0.0.192";
/// Milliseconds. Only what is dropped in silence takes as long.
const PATIENCE: u32 = 3_000;

pub(super) struct Stage {
    // In this order: the run ends before its internet.
    running: Running,
    input: PipeWriter,
    lab: Lab,
    source: Arc<str>,
    mark: u16,
    /// Lines of the report that were looked at.
    read: usize,
}

impl Stage {
    /// Starts a run and lets it see every answer of the scene.
    pub(super) fn of(scene: &Scene) -> Self {
        let resolvers: Vec<IpAddr> = scene
            .world
            .resolvers
            .iter()
            .map(|resolver| resolver.address)
            .collect();
        let lab = Lab::with(env!("CARGO_BIN_EXE_conformance-egret"), &resolvers);
        let there = [names::RESOLVER, names::RESOLVER6, names::STRANGER];
        for resolver in resolvers.iter().filter(|ip| !there.contains(ip)) {
            lab.internet.resolver(*resolver).unwrap();
        }
        let world = lab.internet.world();
        world.own_everything().unwrap();
        // Everything is refused with an error, however often.
        world
            .run(|| {
                for file in ["ipv4/icmp_ratelimit", "ipv6/icmp/ratelimit"] {
                    std::fs::write(format!("/proc/sys/net/{file}"), "0").unwrap();
                }
            })
            .unwrap();
        let policies = scene.file.inline.as_ref().map_or("", |inline| &inline.text);
        let (reader, input) = std::io::pipe().unwrap();
        let running = lab
            .held(policies)
            .stdin(Stdio::from(reader))
            .start([env!("CARGO_BIN_EXE_conformance-client")]);
        let mut stage = Self {
            running,
            input,
            lab,
            source: Arc::clone(&scene.file.source),
            mark: 0,
            read: 0,
        };
        stage.learn(scene);
        stage
    }

    pub(super) fn is_of(&self, scene: &Scene) -> bool {
        self.source == scene.file.source
    }

    /// Makes the resolvers know an answer.
    pub(super) fn knows(&self, resolution: &Resolution) {
        let name = resolution.question().without_dot();
        let mut zone = String::new();
        for address in &resolution.addresses {
            writeln!(zone, "{name} {} {}", address.ttl, data(address.ip)).unwrap();
        }
        self.lab.internet.zone(&zone).unwrap();
    }

    /// Makes the resolvers know that there is such a name, where the scene does not say what it stands for.
    pub(super) fn knows_something_of(&self, name: &Name, scene: &Scene) {
        let answered = scene.file.responses.iter();
        if !answered.into_iter().any(|response| response.query == *name) {
            let zone = format!("{} 60 TXT there", name.without_dot());
            self.lab.internet.zone(&zone).unwrap();
        }
    }

    pub(super) fn ask(
        &mut self,
        name: &Name,
        record_type: RecordType,
        server: SocketAddr,
        protocol: Protocol,
    ) -> Sight {
        assert_eq!(server.port(), 53);
        let over = if protocol == Protocol::TCP {
            " tcp"
        } else {
            ""
        };
        let (name, ip) = (name.without_dot(), server.ip());
        self.write(&format!("step ask {name} {record_type} @{ip}{over}"));
        self.running.sight()
    }

    pub(super) fn start(&mut self, flow: &Flow) -> Fate {
        let Flow { ip, port, protocol } = flow;
        let how = if *protocol == Protocol::TCP {
            "tcp"
        } else {
            "udp"
        };
        self.write(&format!("{how} {ip} {port}"));
        self.write(&format!("go {PATIENCE}"));
        match self.running.line().as_str() {
            "eperm" => Fate::Rejected,
            "refused" => Fate::Allowed,
            "answered" => Fate::Redirected,
            "silent" => Fate::Dropped,
            other => panic!("{flow:?}: {other}"),
        }
    }

    /// What the report tells of everything since the last call.
    pub(super) fn told(&mut self) -> Vec<Value> {
        self.mark += 1;
        let mark = self.mark;
        self.write(&format!("tcp {MARK} {mark}"));
        self.write(&format!("go {PATIENCE}"));
        assert_eq!(self.running.line(), "eperm", "metadata is open");
        let is_mark =
            |line: &Value| line["destination"]["ip"] == MARK && line["destination"]["port"] == mark;
        let (running, read) = (&self.running, self.read);
        let mut lines = eventually("the mark in the report", || {
            let lines = running.report();
            let end = lines.iter().position(is_mark)?;
            Some(lines[read..=end].to_vec())
        });
        self.read += lines.len();
        lines.pop();
        lines
    }

    fn learn(&mut self, scene: &Scene) {
        let mut responses: Vec<_> = scene.file.responses.iter().collect();
        responses.retain(|response| response.trusted);
        responses.sort_by_key(|response| std::cmp::Reverse(response.age));
        let resolver = scene.world.resolvers[0].address;
        for response in responses {
            let mut zone = String::new();
            let mut types = Vec::new();
            for record in &response.records {
                let (owner, ttl) = (record.owner.without_dot(), record.ttl);
                let data = match &record.data {
                    RecordData::Alias(target) => format!("CNAME {}", target.without_dot()),
                    RecordData::Address(ip) => {
                        types.push(if ip.is_ipv4() {
                            RecordType::A
                        } else {
                            RecordType::AAAA
                        });
                        data(*ip)
                    }
                };
                writeln!(zone, "{owner} {ttl} {data}").unwrap();
            }
            self.lab.internet.zone(&zone).unwrap();
            types.sort();
            types.dedup();
            for record_type in types {
                let server = SocketAddr::new(resolver, 53);
                // Refused or not: what it opens is for the tests to say.
                drop(self.ask(&response.query, record_type, server, Protocol::UDP));
            }
        }
        self.told();
    }

    fn write(&mut self, line: &str) {
        writeln!(self.input, "{line}").unwrap();
    }
}

fn data(ip: IpAddr) -> String {
    match ip {
        IpAddr::V4(ip) => format!("A {ip}"),
        IpAddr::V6(ip) => format!("AAAA {ip}"),
    }
}
