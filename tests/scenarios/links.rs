//! Policies that are reached through links: the operator's are followed, the command's are not.

use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use test_case::test_case;
use testkit::{Lab, Running};

use crate::in_lab;

/// What a command would like to be held to.
const OPEN: &str = "
apiVersion: egret.dev/v1alpha1
kind: EgressPolicy
metadata: {name: open}
spec:
  egress:
    - {action: Allow, to: [{fqdn: ['*']}, {cidr: 0.0.0.0/0}]}
";

const STAYS: &str = "the policies that were in force stay in force";
const HOLDS: &str = "the changed policies are in force";

/// The policy is `real/p.yaml`; `link.yaml` leads to it, `current` to its folder, and `other.yaml` is the same file.
#[test_case("link.yaml", "rm link.yaml; cp open.yaml link.yaml", HOLDS; "a file in a link's place")]
#[test_case("link.yaml", "ln -sf open.yaml link.yaml", HOLDS; "another link in a link's place")]
#[test_case("current/p.yaml", "rm current; mkdir current; cp open.yaml current/p.yaml", HOLDS; "a folder in a link's place")]
#[test_case("linked", "ln -sf ../open.yaml linked/p.yaml; cp open.yaml linked/q.yaml", HOLDS; "a link in a named folder")]
#[test_case("real/p.yaml", "cat open.yaml > other.yaml", STAYS; "the file by its other name")]
fn a_command_does_not_widen_its_policy_by(policy: &str, attempt: &str, said: &str) {
    in_lab(|lab| {
        let folder = lab.folder();
        let real = folder.join("real/p.yaml");
        fs::create_dir(folder.join("real")).unwrap();
        fs::create_dir(folder.join("linked")).unwrap();
        fs::write(&real, Lab::allowing(&["v4.example.com"])).unwrap();
        fs::write(folder.join("open.yaml"), OPEN).unwrap();
        symlink("real/p.yaml", folder.join("link.yaml")).unwrap();
        symlink("real", folder.join("current")).unwrap();
        symlink("../real/p.yaml", folder.join("linked/p.yaml")).unwrap();
        if policy == "real/p.yaml" {
            fs::hard_link(&real, folder.join("other.yaml")).unwrap();
        }
        let mut running = start(lab, &folder.join(policy), attempt);
        assert_eq!(running.line(), "tried");
        // Whatever the command made of it, the operator's next edit has it read.
        let mut edit = OpenOptions::new().append(true).open(&real).unwrap();
        edit.write_all(b"# edited\n").unwrap();
        running.wait_for_stderr(said);
        fs::write(folder.join("gate"), "").unwrap();
        let outcome = running.finish();
        assert_eq!(outcome.told().last().unwrap(), "EPERM", "{outcome:#?}");
    });
}

/// As kubelet does it: `a.yaml` leads to `..data/a.yaml`, and `..data` is exchanged as a whole.
#[test_case("", "0"; "in a named folder")]
#[test_case("a.yaml", "65534"; "for a user who cannot write the folder")]
fn an_exchange_by_link_is_followed_where_the_command_cannot_make_one(policy: &str, user: &str) {
    in_lab(|lab| {
        let folder = config_map(lab);
        let mut running = lab
            .held("")
            .with(["--policy".as_ref(), folder.join(policy).as_os_str()])
            .environment("SUDO_UID", user)
            .environment("SUDO_GID", user)
            .start_probe(&[
                "until ok tcp v4.example.com:7 before",
                "until ok tcp forbidden.example.org:7 after",
                "lookup v4.example.com",
            ]);
        assert_eq!(running.sight().text.as_deref(), Some("before"));
        exchange(&folder);
        assert_eq!(running.sight().text.as_deref(), Some("after"));
        assert!(!running.sight().ok, "what was taken away is closed");
    });
}

#[test]
fn an_exchange_that_the_command_could_have_made_is_said_and_not_followed() {
    in_lab(|lab| {
        let folder = config_map(lab);
        let running = start(lab, &folder.join("a.yaml"), "true");
        running.wait_for_stderr("could replace: it means");
        exchange(&folder);
        running.wait_for_stderr("it is read as");
        fs::write(lab.folder().join("gate"), "").unwrap();
        assert_eq!(running.finish().told().last().unwrap(), "EPERM");
    });
}

#[test]
fn a_file_taken_out_of_a_named_folder_is_gone_and_the_folder_may_come_back() {
    in_lab(|lab| {
        let folder = lab.folder().join("policies");
        fs::create_dir(&folder).unwrap();
        let write = |file: &str, name: &str| {
            let text = Lab::allowing(&[name]).replace("name: test", &format!("name: {file}"));
            fs::write(folder.join(format!("{file}.yaml")), text).unwrap();
        };
        write("a", "forbidden.example.org");
        write("b", "v4.example.com");
        let mut running = lab
            .held("")
            .with(["--policy".as_ref(), folder.as_os_str()])
            .start_probe(&[
                "lookup forbidden.example.org",
                "until failed lookup forbidden.example.org",
                "until ok lookup www.example.com",
            ]);
        assert!(running.sight().ok);
        fs::remove_file(folder.join("a.yaml")).unwrap();
        let gone = running.sight();
        assert!(gone.ok, "it was never refused: {gone:?}");
        fs::remove_dir_all(&folder).unwrap();
        running.wait_for_stderr(STAYS);
        fs::create_dir(&folder).unwrap();
        write("c", "www.example.com");
        assert!(running.sight().ok);
    });
}

/// A command that tries something in the lab's folder, says so, and when the gate opens tries to get out.
fn start(lab: &Lab, policy: &Path, attempt: &str) -> Running {
    let script = format!(
        "cd \"$1\"; {{ {attempt}; }} 2>/dev/null; echo tried; exec \"$0\" __probe \"file $1/gate\" 'tcp 198.51.100.66:7 x'"
    );
    lab.held("")
        .with(["--policy".as_ref(), policy.as_os_str()])
        .start([
            "sh".as_ref(),
            "-c".as_ref(),
            script.as_ref(),
            lab.program().as_os_str(),
            lab.folder().as_os_str(),
        ])
}

fn config_map(lab: &Lab) -> PathBuf {
    let folder = lab.folder().join("policies");
    for (version, name) in [("..1", "v4.example.com"), ("..2", "forbidden.example.org")] {
        fs::create_dir_all(folder.join(version)).unwrap();
        fs::write(folder.join(version).join("a.yaml"), Lab::allowing(&[name])).unwrap();
    }
    symlink("..1", folder.join("..data")).unwrap();
    symlink("..data/a.yaml", folder.join("a.yaml")).unwrap();
    folder
}

fn exchange(folder: &Path) {
    symlink("..2", folder.join("..new")).unwrap();
    fs::rename(folder.join("..new"), folder.join("..data")).unwrap();
}
