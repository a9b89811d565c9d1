use std::fs;
use std::io;

use super::capabilities;

/// What `/proc/self/status` says that it should not.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SelfCheckError {
    #[error("failed to read `/proc/self/status`")]
    Read(#[source] io::Error),
    #[error("`/proc/self/status` has no readable `{field}`")]
    Field { field: &'static str },
    #[error("`{field}` is {got:#x} and may at most be {most:#x}")]
    TooMany {
        field: &'static str,
        got: u64,
        most: u64,
    },
    #[error("`{field}` is {got} and should be {wanted}")]
    Not {
        field: &'static str,
        got: u64,
        wanted: u64,
    },
}

/// Reads back from the kernel what was set: a capability this build has never heard of, or a filter that did not take,
/// must not pass unseen.
pub(super) fn run() -> Result<(), SelfCheckError> {
    let status = fs::read_to_string("/proc/self/status").map_err(SelfCheckError::Read)?;
    check(&status, capabilities::kept_mask())
}

fn check(status: &str, most: u64) -> Result<(), SelfCheckError> {
    for field in ["CapInh", "CapPrm", "CapEff", "CapAmb"] {
        let got = read(status, field, 16)?;
        if got & !most != 0 {
            return Err(SelfCheckError::TooMany { field, got, most });
        }
    }
    // Seccomp 2: a filter (Documentation/filesystems/proc.rst).
    for (field, wanted) in [("NoNewPrivs", 1), ("Seccomp", 2)] {
        let got = read(status, field, 10)?;
        if got != wanted {
            return Err(SelfCheckError::Not { field, got, wanted });
        }
    }
    Ok(())
}

fn read(status: &str, field: &'static str, radix: u32) -> Result<u64, SelfCheckError> {
    status
        .lines()
        .find_map(|line| line.strip_prefix(field)?.strip_prefix(':'))
        .and_then(|value| u64::from_str_radix(value.trim(), radix).ok())
        .ok_or(SelfCheckError::Field { field })
}

#[cfg(test)]
mod tests {
    use test_case::test_case;

    use super::check;

    fn status(effective: &str, no_new_privs: &str, seccomp: &str) -> String {
        format!(
            "Name:\tx\nCapInh:\t0\nCapPrm:\t5\nCapEff:\t{effective}\nCapBnd:\tff\nCapAmb:\t0\n\
             NoNewPrivs:\t{no_new_privs}\nSeccomp:\t{seccomp}\nSeccomp_filters:\t3\n"
        )
    }

    #[test_case(&status("5", "1", "2"), None; "as it should be")]
    #[test_case(&status("d", "1", "2"), Some("`CapEff` is 0xd and may at most be 0x5"); "a capability too many")]
    #[test_case(&status("5", "0", "2"), Some("`NoNewPrivs` is 0 and should be 1"); "privileges may grow")]
    #[test_case(&status("5", "1", "0"), Some("`Seccomp` is 0 and should be 2"); "no filter")]
    #[test_case("Name:\tx\n", Some("`/proc/self/status` has no readable `CapInh`"); "not a status")]
    fn reads_the_kernel_back(status: &str, expected: Option<&str>) {
        let got = check(status, 5).err().map(|error| error.to_string());
        assert_eq!(got.as_deref(), expected);
    }
}
