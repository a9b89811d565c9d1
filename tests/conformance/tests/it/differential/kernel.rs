//! The same against the kernel, with real sockets: many flows under each ruleset, started at once.

use std::time::{Duration, Instant};

use dns_bindings::Timing;
use dns_names::{Address, Resolution};
use ebpf_loader::boot_now;
use gateway_state::Mode;
use policy_engine::testing::{self, Case, Random};
use policy_engine::{Age, Flow, MAX_STEPS, NamedLease, Verdict};
use policy_model::{Protocol, Time};
use testkit::as_root;

use super::court::Court;
use super::{Seen, seed};
use crate::host::{Fate, reached};
use crate::kernel::{LATE, World, tells_of};
use crate::player::{Player, Terms};

/// Rulesets, each with five addresses and six flows to each: a little over 5,000 triples.
const RULESETS: usize = 185;
const FLOWS: usize = 6;
/// How long a batch may be silent. What is let out and not heard of by then is asked again, and waited for.
const PATIENCE: Duration = Duration::from_millis(60);

/// An address, and what the reference is to know of it.
struct Learned {
    ip: std::net::IpAddr,
    leases: Vec<NamedLease>,
}

#[test]
fn the_kernel_agrees_with_the_reference() {
    as_root(|| {
        let seed = seed();
        println!("EGRET_SEED={seed}");
        let begun = Instant::now();
        let mut world = World::new();
        let mut random = Random::new(seed);
        let mut seen = Seen::default();
        for _ in 0..RULESETS {
            if let Err(difference) = compare(&mut random, &mut world, &mut seen) {
                panic!("EGRET_SEED={seed}\n{difference}");
            }
        }
        println!("{seen:?} in {:?}", begun.elapsed());
        seen.check(5_000);
    });
}

fn compare(random: &mut Random, world: &mut World, seen: &mut Seen) -> Result<(), String> {
    let case = Case::random(random);
    let mode = if random.chance(4) {
        Mode::Audit
    } else {
        Mode::Enforce
    };
    let id = world.workload;
    let mut player = Player::new(world, Timing::EXACT);
    let Case {
        policies,
        workload,
        world,
        settings,
        names: _,
    } = &case;
    let terms = Terms {
        id,
        who: workload,
        mode,
        policies,
        world,
        settings,
    };
    // Leases end every ten seconds: now is amid two ends, at another place for each address.
    let now = Duration::from_nanos(boot_now());
    let ages = [75, 55, 35, 15, 5].map(Duration::from_secs);
    let first = now
        .checked_sub(ages[0])
        .expect("this machine has been up for longer");
    let held = player.hold(&terms, first);
    held.map_err(|error| error.to_string())?;
    let mut all: Vec<Learned> = Vec::new();
    for age in ages {
        let ip = testing::address(random);
        let known = |learned: &Learned| reached(learned.ip) == reached(ip);
        if all.iter().any(known) {
            continue;
        }
        let leases = learn(random, &mut player, &case, ip, now - age)?;
        all.push(Learned { ip, leases });
    }
    let mut flows: Vec<(Flow, usize)> = Vec::new();
    for number in 0..FLOWS * ages.len() {
        let at = number % all.len();
        let mut flow = testing::flow(random, all[at].ip);
        // The system refuses to send a datagram there, whoever allows it.
        if flow.protocol == Protocol::UDP && flow.port == 0 {
            flow.port = 53;
        }
        flows.push((flow, at));
    }
    let wanted: Vec<Flow> = flows.iter().map(|(flow, _)| *flow).collect();
    player.tables.told();
    let fates = player.tables.start(&wanted, PATIENCE);
    let told = player.tables.told();
    assert!(
        Duration::from_nanos(boot_now()) < now + LATE - PATIENCE,
        "this machine is too busy"
    );
    let court = Court { case: &case, mode };
    let view = player.view(id).unwrap();
    for ((flow, at), mut fate) in flows.into_iter().zip(fates) {
        let leases = &all[at].leases;
        let story = |what: &dyn std::fmt::Debug| {
            format!("{flow:?}, {mode:?}\n{what:?}\nleases {leases:#?}\n{case:#?}")
        };
        if court.is_intercepted(&view, &flow) {
            seen.redirected += 1;
            if fate == Fate::Dropped {
                // The interceptor's stand-in is a thread among others.
                fate = player.tables.start(&[flow], LATE)[0];
            }
            if fate != Fate::Redirected || !court.agrees_on_the_way(&view, &flow) {
                return Err(story(&("a question", fate)));
            }
            continue;
        }
        let expected = court.expects(&flow, leases, Age::New { now });
        seen.count(expected.enforced.verdict);
        let event = told.iter().find(|event| tells_of(event, &flow));
        let denied = event.is_some_and(|event| event.verdict() == ebpf_abi::Verdict::Deny);
        if fate == Fate::Dropped && !denied && court.effective(&expected) == Verdict::Allow {
            fate = player.tables.start(&[flow], LATE)[0];
        }
        let reason = event.and_then(|event| player.reason(event));
        if court.agrees(&expected, fate, event, reason.as_ref()) {
            continue;
        }
        if leases.len() > MAX_STEPS && court.is_ruled_out(fate, event) {
            seen.capped += 1;
            continue;
        }
        return Err(story(&(expected, fate, event, reason)));
    }
    player.release(id);
    Ok(())
}

fn learn(
    random: &mut Random,
    player: &mut Player<&mut World>,
    case: &Case,
    ip: std::net::IpAddr,
    at: Time,
) -> Result<Vec<NamedLease>, String> {
    let mut leases = testing::leases(random, case);
    for lease in &mut leases {
        let ttl = u32::try_from(lease.expires_at.as_secs()).unwrap();
        let chain = [lease.question.clone()].into_iter();
        let resolution = Resolution {
            chain: chain.chain(lease.chain.iter().cloned()).collect(),
            addresses: vec![Address { ip, ttl }],
            strays: Vec::new(),
            ttl: Some(ttl),
        };
        let told = player.answer(&resolution, Duration::ZERO, at);
        told.map_err(|error| error.to_string())?;
        lease.expires_at += at;
    }
    Ok(leases)
}
