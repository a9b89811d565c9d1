//! The command line, as text and types: nothing here acts.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::PathBuf;

use clap::error::ErrorKind;
use clap::{Args, CommandFactory as _, Parser, Subcommand, ValueEnum};

/// Hold a workload's outbound traffic to the names its policies allow.
#[derive(Debug, Parser)]
#[command(name = "egret", version, about, long_about = None, max_term_width = 100)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub verb: Verb,
}

/// One thing egret can do.
#[derive(Debug, Subcommand)]
pub enum Verb {
    /// Run a command and hold it and all its children to the policies
    Run(RunArgs),
    /// See it allow and block on an internet of its own, without any network
    Demo(DemoArgs),
    /// Check policy files: every error and lint with its place
    Check(CheckArgs),
    /// Say whether a destination is allowed, and every step to the answer
    Explain(ExplainArgs),
    /// Run test files of policies
    Test(TestArgs),
    /// Say whose access changes between two sets of policies, and how
    Diff(DiffArgs),
    /// Write policies of any dialect in another one, and say what it cannot say
    Convert(ConvertArgs),
    /// The client of the demo: see `gateway_playground::probe`
    #[command(name = "__probe", hide = true)]
    Probe {
        /// What to do, one step an argument
        steps: Vec<String>,
    },
}

/// `egret run [OPTIONS] -- CMD…`
#[derive(Args, Debug)]
#[command(
    after_help = "Exit status: CMD's own; 128+N after signal N; 125 when egret itself fails \
(policy, kernel), 126 when CMD cannot be executed, 127 when it is not found."
)]
pub struct RunArgs {
    /// Policy file, directory or glob; may be given several times. Without any, only the guards hold
    #[arg(long, value_name = "PATH")]
    pub policy: Vec<PathBuf>,
    /// Allow everything and report what the policies would have denied
    #[arg(long)]
    pub audit: bool,
    /// Write what was decided to FILE, one JSON object a line: a file, a pipe that somebody reads, or a terminal.
    /// Standard output is the command's: `-` is refused
    #[arg(long, value_name = "FILE", value_parser = parse_report)]
    pub report: Option<PathBuf>,
    /// Most that the report may hold, in MiB; 0: no limit. What comes after is counted in its last line
    #[arg(long, value_name = "MIB", default_value_t = 64, requires = "report")]
    pub report_limit: u64,
    /// DNS server to ask, IP or IP:PORT; may be given several times [default: the system's own]
    #[arg(long, value_name = "SERVER", value_parser = dns_server::parse_upstream)]
    pub upstream: Vec<SocketAddr>,
    /// Labels of the command, for policies whose subject is chosen by Kubernetes labels
    #[arg(long, value_name = "K=V,…", value_delimiter = ',', value_parser = parse_label)]
    pub labels: Vec<(String, String)>,
    /// Namespace of the command, for the same
    #[arg(long, value_name = "NAME", value_parser = parse_namespace)]
    pub namespace: Option<String>,
    /// ServiceAccount of the command, for the same
    #[arg(long, value_name = "NAME", value_parser = parse_account)]
    pub service_account: Option<String>,
    /// Leave the sockets of container runtimes and the system bus reachable (they lead out: see SECURITY.md)
    #[arg(long)]
    pub keep_host_sockets: bool,
    /// Say nothing at the end
    #[arg(long, short)]
    pub quiet: bool,
    /// The command and its arguments
    #[arg(last = true, required = true, value_name = "CMD")]
    pub command: Vec<std::ffi::OsString>,
}

/// `egret demo [-- CMD…]`
#[derive(Args, Debug)]
#[command(
    after_help = "Exit status: 0 every verdict is as it should be, 1 one is not, 2 the tour could not be \
given; with CMD, its own."
)]
pub struct DemoArgs {
    /// How to print the tour
    #[arg(long, short, value_enum, default_value_t = Output::Text)]
    pub output: Output,
    /// Instead of the tour, run CMD on the tour's internet: a shell, or `egret run … -- curl …`
    #[arg(last = true, value_name = "CMD")]
    pub command: Vec<std::ffi::OsString>,
}

/// `egret check PATH… [--world PATH…]`
#[derive(Args, Debug)]
#[command(
    after_help = "Exit status: 0 nothing refused and nothing closed, 1 at least one, 2 a path could not be read."
)]
pub struct CheckArgs {
    /// Policy files, directories or globs
    #[arg(required = true, value_name = "PATH")]
    pub paths: Vec<PathBuf>,
    /// The cluster around the policies: a file with its Pods, Namespaces, Nodes, Services…; may be repeated
    // One path each: what follows is a policy.
    #[arg(long, value_name = "PATH")]
    pub world: Vec<PathBuf>,
    /// Lints count as well
    #[arg(long)]
    pub strict: bool,
    /// How to print
    #[arg(long, short, value_enum, default_value_t = CheckOutput::Text)]
    pub output: CheckOutput,
}

/// `egret explain --policy PATH… [--world PATH…] [--from W] --to HOST|IP|OBJECT --port N[/PROTO]`
#[derive(Args, Debug)]
#[command(
    after_help = "Exit status: 0 allowed, 1 denied, 2 it could not be judged: an unknown workload, destination or path, or a \
refused policy that could select the workload."
)]
pub struct ExplainArgs {
    /// Policy files, directories or globs
    #[arg(long, required = true, num_args = 1.., value_name = "PATH")]
    pub policy: Vec<PathBuf>,
    /// The cluster around the policies: files with its Pods, Namespaces, Nodes, Services…
    #[arg(long, num_args = 1.., value_name = "PATH")]
    pub world: Vec<PathBuf>,
    /// The destination: a name, an address, or an object of the world: pod/NS/NAME, service/NS/NAME, node/NAME
    #[arg(long, value_name = "HOST|IP|OBJECT")]
    pub to: String,
    /// The port, and the protocol where it is not TCP: 443, 53/UDP, 8/ICMP. Of a Service: the Service's
    #[arg(long, value_name = "N[/PROTO]")]
    pub port: String,
    /// Who asks: a pod of the world, NS/NAME or pod/NS/NAME; command, unit:NAME, user:NAME or cgroup:PATH
    #[arg(long, default_value = "command", value_name = "WORKLOAD")]
    pub from: String,
    /// Labels of the command
    #[arg(long, value_name = "K=V,…", value_delimiter = ',', value_parser = parse_label)]
    pub labels: Vec<(String, String)>,
    /// Namespace of the command
    #[arg(long, value_name = "NAME", value_parser = parse_namespace)]
    pub namespace: Option<String>,
    /// ServiceAccount of the command
    #[arg(long, value_name = "NAME", value_parser = parse_account)]
    pub service_account: Option<String>,
    /// Answers that were seen: a test file's `dns:` list
    #[arg(long, value_name = "FILE")]
    pub dns: Option<PathBuf>,
    /// Seconds from now: the answers age by them
    #[arg(long, default_value_t = 0, value_name = "SECONDS")]
    pub at: u64,
    /// Answer although a refused policy could select this workload
    #[arg(long)]
    pub best_effort: bool,
    /// How to print
    #[arg(long, short, value_enum, default_value_t = Output::Text)]
    pub output: Output,
}

/// `egret test FILE…`
#[derive(Args, Debug)]
#[command(
    after_help = "Exit status: 0 all passed, 1 some failed, 2 a file, policy or world could not be read, a policy \
is refused or closed and no test expects it, or there are no tests."
)]
pub struct TestArgs {
    /// Test files, directories or globs
    #[arg(required = true, value_name = "FILE")]
    pub files: Vec<PathBuf>,
    /// Only tests with one of these tags
    #[arg(long, value_name = "TAG,…", value_delimiter = ',')]
    pub tags: Vec<String>,
    /// How to print
    #[arg(long, short, value_enum, default_value_t = TestOutput::Text)]
    pub output: TestOutput,
}

/// How the results of tests are printed.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub enum TestOutput {
    /// For a person
    Text,
    /// For a program; `gateway/egret/json.md` says what is in it
    Json,
    /// JUnit XML, which most CI systems show
    Junit,
    /// Annotations of GitHub Actions
    Github,
}

/// `egret diff --old PATH… --new PATH… --world PATH…`
#[derive(Args, Debug)]
#[command(
    after_help = "Objects of a cluster (Pods, Namespaces, Nodes, Services…) may stand among the policies too where there is a \
--world, and belong to that side alone; --world belongs to both. What staged and audit policies would change counts as the \
rest, and is marked.

Exit status: 0 no access changes, 1 some does, 2 a side could not be judged."
)]
pub struct DiffArgs {
    /// Policies as they were: files, directories or globs
    #[arg(long, required = true, num_args = 1.., value_name = "PATH")]
    pub old: Vec<PathBuf>,
    /// Policies as they will be
    #[arg(long, required = true, num_args = 1.., value_name = "PATH")]
    pub new: Vec<PathBuf>,
    /// The cluster whose pods are compared. Without it: the command of `egret run`
    #[arg(long, num_args = 1.., value_name = "PATH")]
    pub world: Vec<PathBuf>,
    /// Labels of the command
    #[arg(long, value_name = "K=V,…", value_delimiter = ',', value_parser = parse_label, conflicts_with = "world")]
    pub labels: Vec<(String, String)>,
    /// Namespace of the command
    #[arg(long, value_name = "NAME", value_parser = parse_namespace, conflicts_with = "world")]
    pub namespace: Option<String>,
    /// ServiceAccount of the command
    #[arg(long, value_name = "NAME", value_parser = parse_account, conflicts_with = "world")]
    pub service_account: Option<String>,
    /// Which changes make the exit status 1
    #[arg(long, value_enum, default_value_t = FailOn::Any, value_name = "WHICH")]
    pub fail_on: FailOn,
    /// How to print
    #[arg(long, short, value_enum, default_value_t = Output::Text)]
    pub output: Output,
}

/// Which changes of access count.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub enum FailOn {
    /// Every one
    Any,
    /// Those that allow what was denied
    Widened,
}

/// `egret convert --to DIALECT PATH…`
#[derive(Args, Debug)]
#[command(
    after_help = "Exit status: 0 everything carried over, 1 written but something is lost, 2 nothing written."
)]
pub struct ConvertArgs {
    /// Policy files, directories or globs, read as one set
    #[arg(required = true, value_name = "PATH")]
    pub paths: Vec<PathBuf>,
    /// The dialect to write
    #[arg(long, value_enum, value_name = "DIALECT")]
    pub to: TargetDialect,
    /// How to print
    #[arg(long, short, value_enum, default_value_t = Output::Text)]
    pub output: Output,
}

/// A dialect that can be written.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub enum TargetDialect {
    /// EgressPolicy and ClusterEgressPolicy of egret.dev/v1alpha1
    Native,
    /// CiliumNetworkPolicy and CiliumClusterwideNetworkPolicy of cilium.io/v2
    Cilium,
    /// NetworkPolicy of networking.k8s.io/v1
    #[value(name = "networkpolicy")]
    Networkpolicy,
    /// ClusterNetworkPolicy of policy.networking.k8s.io/v1alpha2
    #[value(name = "clusternetworkpolicy")]
    Clusternetworkpolicy,
    /// NetworkPolicy and GlobalNetworkPolicy of projectcalico.org/v3, with their tiers and sets of names
    Calico,
}

/// How findings are printed.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub enum CheckOutput {
    /// For a person
    Text,
    /// For a program; `gateway/egret/json.md` says what is in it
    Json,
    /// SARIF 2.1.0, for code hosts and editors
    Sarif,
    /// Annotations of GitHub Actions
    Github,
}

/// How an answer is printed.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub enum Output {
    /// For a person
    Text,
    /// For a program; `gateway/egret/json.md` says what is in it
    Json,
}

fn parse_report(text: &str) -> Result<PathBuf, String> {
    if text == "-" {
        return Err(
            "standard output is the command's: name a file, or `/dev/stderr`; `./-` is the file of that name"
                .to_owned(),
        );
    }
    Ok(PathBuf::from(text))
}

impl Cli {
    /// The same, where what its parts say together can be meant.
    ///
    /// # Errors
    /// One label with two values.
    pub fn checked(self) -> Result<Self, clap::Error> {
        let labels = match &self.verb {
            Verb::Run(args) => args.labels.as_slice(),
            Verb::Explain(args) => &args.labels,
            Verb::Diff(args) => &args.labels,
            Verb::Demo(_)
            | Verb::Check(_)
            | Verb::Test(_)
            | Verb::Convert(_)
            | Verb::Probe { .. } => &[],
        };
        let mut known = BTreeSet::new();
        match labels.iter().find(|(key, _)| !known.insert(key.as_str())) {
            None => Ok(self),
            Some((key, _)) => Err(Self::command().error(
                ErrorKind::ValueValidation,
                format!("--labels gives `{key}` more than once"),
            )),
        }
    }
}

/// A namespace's name is a DNS label (RFC 1123).
fn parse_namespace(text: &str) -> Result<String, String> {
    if is_dns_label(text) {
        Ok(text.to_owned())
    } else {
        Err(format!(
            "`{text}` is not the name of a namespace: up to 63 small letters, digits and dashes"
        ))
    }
}

/// A ServiceAccount's name is a DNS subdomain (RFC 1123).
fn parse_account(text: &str) -> Result<String, String> {
    if text.len() <= 253 && text.split('.').all(is_dns_label) {
        Ok(text.to_owned())
    } else {
        Err(format!(
            "`{text}` is not the name of a ServiceAccount: small letters, digits, dashes and dots"
        ))
    }
}

fn is_dns_label(text: &str) -> bool {
    let inside = |octet: u8| octet.is_ascii_lowercase() || octet.is_ascii_digit() || octet == b'-';
    (1..=63).contains(&text.len())
        && text.bytes().all(inside)
        && !text.starts_with('-')
        && !text.ends_with('-')
}

fn parse_label(text: &str) -> Result<(String, String), String> {
    text.split_once('=')
        .filter(|(key, _)| !key.is_empty())
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .ok_or_else(|| format!("expected `key=value`, found `{text}`"))
}

#[cfg(test)]
mod tests {
    use test_case::test_case;

    use super::*;

    #[test_case("run --namespace Foo -- x"; "a namespace in capitals")]
    #[test_case("run --namespace -a- -- x"; "a namespace between dashes")]
    #[test_case("run --namespace a.b -- x"; "a namespace with a dot")]
    #[test_case("run --service-account a..b -- x"; "an account with an empty part")]
    #[test_case("run --labels a=b,a=c -- x"; "a label with two values")]
    #[test_case("run --labels a=b --labels a=b -- x"; "a label given twice")]
    #[test_case("run --upstream 0.0.0.0 -- x"; "an upstream that is nowhere")]
    #[test_case("explain --policy p --to a --port 1 --labels a=b,a=c"; "of explain")]
    #[test_case("diff --old p --new q --labels a=b,a=c"; "of diff")]
    fn is_bad_usage(line: &str) {
        assert!(parse(line).is_err());
    }

    #[test_case("run --namespace prod --service-account a.b-c --labels a=b,c=b -- x"; "run")]
    #[test_case("explain --policy p --to a --port 1 --namespace prod-2 --labels a="; "explain")]
    fn is_good_usage(line: &str) {
        assert!(parse(line).is_ok());
    }

    fn parse(line: &str) -> Result<Cli, clap::Error> {
        Cli::try_parse_from(std::iter::once("egret").chain(line.split(' '))).and_then(Cli::checked)
    }

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }
}
