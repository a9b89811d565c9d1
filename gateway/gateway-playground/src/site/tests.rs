use std::fs;

use super::*;

#[test]
fn a_job_that_panics_is_an_error_for_whoever_runs_it() {
    let Some(site) = site(&[]) else { return };
    assert!(matches!(
        site.run(|| panic!("on purpose")),
        Err(SiteError::Gone)
    ));
    assert!(matches!(site.run(|| ()), Err(SiteError::Gone)));
}

#[test]
fn a_site_has_files_and_links_of_its_own() {
    let Some(site) = site(&[
        ("/etc/resolv.conf", "nameserver 192.0.2.53\n"),
        ("/nowhere", ""),
    ]) else {
        return;
    };
    let outside = fs::read_to_string("/etc/resolv.conf").unwrap();
    let mut command = Command::new("/bin/cat");
    command.args(["/etc/resolv.conf", "/proc/net/dev"]);
    let inside = String::from_utf8(site.output(command).unwrap().stdout).unwrap();
    assert!(inside.starts_with("nameserver 192.0.2.53\n"), "{inside}");
    assert!(
        inside.contains("lo:") && !inside.contains("eth0"),
        "{inside}"
    );
    assert_eq!(fs::read_to_string("/etc/resolv.conf").unwrap(), outside);
}

fn site(files: &[(&str, &str)]) -> Option<Site> {
    crate::internet::tests::as_root(|| Site::new("test", files).expect("a site"))
}
