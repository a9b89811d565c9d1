//! `egret convert`: policies of any dialect as policies of one, and what that one cannot say.

use std::process::ExitCode;

use policy_dialects::{Context, Conversion, Dialect, Reading, convert, left_behind, read_set};
use policy_model::{Diagnostic, Level};
use serde::Serialize;

use crate::cli::{ConvertArgs, Output, TargetDialect};
use crate::policy_files::{self, PolicyFile, PolicyFileError};
use crate::render::{self, DiagnosticJson, Look, UnreadableJson, count};

/// Everything is carried over.
const WHOLE: u8 = 0;
/// Something is lost.
const LOST: u8 = 1;
/// Nothing is written.
const NOTHING: u8 = 2;

/// Converts the given files. Exit status: 0 everything carried over, 1 written but something is lost, 2 nothing written.
#[must_use]
pub fn run(args: &ConvertArgs) -> ExitCode {
    let (files, errors) = policy_files::load(&args.paths);
    for error in &errors {
        render::complain("convert", error);
    }
    let converted = Converted::of(&files, dialect(args.to));
    // A path that is not read may hold what the others need: half of a set is not converted.
    let writes = errors.is_empty() && converted.conversion.objects > 0;
    match args.output {
        Output::Json => render::print(&converted.json(args.to, writes, &errors)),
        Output::Text => {
            let look = Look::of_stderr();
            render::complain_with(&render::diagnostics(&converted.losses, &files, look));
            if writes {
                render::print(&converted.conversion.text);
            }
            render::complain_with(&converted.told(writes));
        }
    }
    ExitCode::from(if !writes {
        NOTHING
    } else if converted.losses.iter().any(|loss| loss.level.is_error()) {
        LOST
    } else {
        WHOLE
    })
}

const fn dialect(to: TargetDialect) -> Dialect {
    match to {
        TargetDialect::Native => Dialect::Native,
        TargetDialect::Cilium => Dialect::Cilium,
        TargetDialect::Networkpolicy => Dialect::NetworkPolicy,
        TargetDialect::Clusternetworkpolicy => Dialect::ClusterNetworkPolicy,
        TargetDialect::Calico => Dialect::Calico,
    }
}

/// What a set of files became.
#[derive(Debug)]
struct Converted {
    policies: usize,
    conversion: Conversion,
    /// What was lost on reading and on writing, in the order of the text; lints of what was read are `check`'s business.
    losses: Vec<Diagnostic>,
}

impl Converted {
    fn of(files: &[PolicyFile], to: Dialect) -> Self {
        let texts = files
            .iter()
            .map(|file| (file.name.as_str(), file.text.as_str()));
        let Reading {
            policies,
            cluster,
            diagnostics,
            ..
        } = read_set(texts, &Context::default());
        let conversion = convert(&policies, &cluster, to);
        let mut losses: Vec<Diagnostic> = diagnostics
            .into_iter()
            .filter(|diagnostic| diagnostic.level != Level::Lint)
            .chain(conversion.losses.iter().cloned())
            .collect();
        // What they say of endpoints means sets and hosts that are among the objects; no other dialect has such words.
        if [Dialect::Native, Dialect::Calico].contains(&to) {
            losses.extend(left_behind(&policies, &cluster));
        }
        losses.sort_by(|a, b| a.origin.cmp(&b.origin));
        Self {
            policies: policies.len(),
            conversion,
            losses,
        }
    }

    /// One line for people, beside the text that goes elsewhere.
    fn told(&self, writes: bool) -> String {
        let lost = self
            .losses
            .iter()
            .filter(|loss| loss.level.is_error())
            .count();
        match (writes, lost) {
            (false, _) if self.policies == 0 => "nothing written: no policy was read\n".to_owned(),
            (false, _) => "nothing written\n".to_owned(),
            (true, 0) => format!(
                "{} written, nothing lost\n",
                count(self.conversion.objects, "object", "objects")
            ),
            (true, lost) => format!(
                "{} written, {} lost\n",
                count(self.conversion.objects, "object", "objects"),
                count(lost, "thing", "things")
            ),
        }
    }

    fn json(&self, to: TargetDialect, writes: bool, unreadable: &[PolicyFileError]) -> String {
        render::json(&AnswerJson {
            to: dialect(to).as_str(),
            written: writes.then_some(self.conversion.text.as_str()),
            objects: if writes { self.conversion.objects } else { 0 },
            unreadable: unreadable.iter().map(UnreadableJson::from).collect(),
            diagnostics: self.losses.iter().map(DiagnosticJson::from).collect(),
        })
    }
}

#[derive(Serialize)]
struct AnswerJson<'a> {
    to: &'static str,
    /// The YAML text; nothing where nothing is written.
    written: Option<&'a str>,
    objects: usize,
    unreadable: Vec<UnreadableJson>,
    diagnostics: Vec<DiagnosticJson<'a>>,
}

#[cfg(test)]
mod tests {
    use test_case::test_case;

    use super::*;

    const CILIUM: &str = "apiVersion: cilium.io/v2\nkind: CiliumNetworkPolicy\nmetadata: {name: web, namespace: shop}\nspec:\n  endpointSelector: {matchLabels: {app: web}}\n  egress:\n  - toFQDNs: [{matchPattern: \"*.example.com\"}]\n    toPorts: [{ports: [{port: \"443\", protocol: TCP}]}]\n";

    fn converted(text: &str) -> Converted {
        let file = PolicyFile {
            name: "p.yaml".into(),
            path: "p.yaml".into(),
            text: text.into(),
        };
        Converted::of(&[file], Dialect::Native)
    }

    #[test]
    fn a_policy_of_another_dialect_becomes_a_native_one() {
        let converted = converted(CILIUM);
        let lost: Vec<&str> = converted.losses.iter().map(|loss| loss.code).collect();
        assert_eq!(lost, [""; 0]);
        assert_eq!(
            converted.conversion.text,
            "\
# from CiliumNetworkPolicy/shop/web (p.yaml:4:1)
apiVersion: egret.dev/v1alpha1
kind: EgressPolicy
metadata: {name: web, namespace: shop}
spec:
  subject: {pods: {matchLabels: {app: web}}, network: own}
  defaultDeny: true
  dns: {filter: true}
  egress:
  - action: Allow
    to: [{fqdn: [\"*.example.com\"], scope: outside, chain: false}]
    ports: [{protocol: TCP, port: 443}]
"
        );
    }

    #[test]
    fn what_cannot_be_said_is_lost_at_its_place() {
        let converted = converted(&CILIUM.replace("TCP}]", "TCP}], rules: {http: [{}]}"));
        let lost: Vec<(&str, u32)> = converted
            .losses
            .iter()
            .map(|loss| (loss.code, loss.origin.line))
            .collect();
        assert!(lost.contains(&("convert-closed", 7)), "{lost:?}");
        assert!(converted.conversion.text.contains("egress: []"));
    }

    const CALICO: &str = "apiVersion: projectcalico.org/v3\nkind: GlobalNetworkSet\nmetadata: {name: bad, labels: {role: bad}}\nspec: {nets: [203.0.113.0/24]}\n---\napiVersion: projectcalico.org/v3\nkind: HostEndpoint\nmetadata: {name: eth0, labels: {role: host}}\nspec: {node: node-1, interfaceName: eth0}\n---\napiVersion: projectcalico.org/v3\nkind: GlobalNetworkPolicy\nmetadata: {name: p}\nspec:\n  selector: has(app)\n  types: [Egress]\n  egress: [{action: Deny, destination: {selector: role == 'bad'}}]\n";

    /// Beside the host endpoint that its own failsafe ports are written for.
    #[test_case("", 1; "a set in a rule")]
    #[test_case("role == 'bad'->role == 'good'", 0; "no set is meant")]
    #[test_case("{selector: role->{notSelector: role", 1; "a set that is not meant")]
    #[test_case("has(app)->role == 'host'", 2; "a host that is selected")]
    #[test_case("role == 'bad'->role == 'host'", 1; "a host that is denied")]
    fn what_policies_mean_and_is_not_written_is_lost(change: &str, expected: usize) {
        let text = change
            .split_once("->")
            .map_or_else(|| CALICO.to_owned(), |(from, to)| CALICO.replace(from, to));
        let converted = converted(&text);
        let lost: Vec<&str> = converted.losses.iter().map(|loss| loss.code).collect();
        let expected = vec!["convert-left-behind"; 1 + expected];
        assert_eq!(lost, expected, "{}", converted.conversion.text);
    }

    #[test]
    fn what_is_refused_is_lost_too() {
        let converted = converted(&format!("{CILIUM}---\nkind: [\n"));
        assert!(
            converted
                .losses
                .iter()
                .any(|loss| loss.code == "yaml-syntax")
        );
        assert_eq!(converted.conversion.objects, 1);
    }
}
