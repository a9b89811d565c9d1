use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt as _;
use std::path::PathBuf;

/// One line of `/proc/self/mountinfo` (`Documentation/filesystems/proc.rst`, section 3.5).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Mount {
    /// The file system, as `major:minor`.
    pub(crate) device: String,
    /// Which directory of the file system is mounted.
    pub(crate) root: PathBuf,
    /// Where, as seen from this process's root.
    pub(crate) point: PathBuf,
    /// Options of this mount (not of the file system), comma-separated.
    pub(crate) options: String,
    /// The file system's type: `cgroup2`, `bpf`, `proc`.
    pub(crate) kind: String,
    /// What is mounted, or a word in its stead.
    pub(crate) source: String,
}

/// Reads every mount, in the order of the kernel's list: a later one may lie over an earlier one. A line that does
/// not have the documented shape is left out.
pub(crate) fn parse(text: &[u8]) -> Vec<Mount> {
    text.split(|byte| *byte == b'\n')
        .filter_map(parse_line)
        .collect()
}

fn parse_line(line: &[u8]) -> Option<Mount> {
    let mut fields = line.split(|byte| *byte == b' ');
    let device = String::from_utf8_lossy(fields.nth(2)?).into_owned();
    let root = unescape(fields.next()?);
    let point = unescape(fields.next()?);
    let options = String::from_utf8_lossy(fields.next()?).into_owned();
    let mut fields = fields.skip_while(|field| *field != b"-");
    fields.next()?;
    let kind = String::from_utf8_lossy(fields.next()?).into_owned();
    let source = unescape(fields.next()?).to_string_lossy().into_owned();
    Some(Mount {
        device,
        root,
        point,
        options,
        kind,
        source,
    })
}

/// Space, tab, newline and backslash are written as three octal digits.
fn unescape(field: &[u8]) -> PathBuf {
    let mut bytes = Vec::with_capacity(field.len());
    let mut rest = field;
    while let Some((first, tail)) = rest.split_first() {
        rest = tail;
        if *first != b'\\' {
            bytes.push(*first);
            continue;
        }
        let octal = tail
            .get(..3)
            .and_then(|digits| std::str::from_utf8(digits).ok());
        match octal.and_then(|digits| u8::from_str_radix(digits, 8).ok()) {
            Some(byte) => {
                bytes.push(byte);
                rest = &tail[3..];
            }
            None => bytes.push(*first),
        }
    }
    PathBuf::from(OsString::from_vec(bytes))
}

#[cfg(test)]
mod tests {
    use test_case::test_case;

    use super::{Mount, parse};

    fn mount(
        device: &str,
        root: &str,
        point: &str,
        options: &str,
        kind: &str,
        source: &str,
    ) -> Mount {
        Mount {
            device: device.to_owned(),
            root: root.into(),
            point: point.into(),
            options: options.into(),
            kind: kind.into(),
            source: source.into(),
        }
    }

    #[test_case(
        "41 31 0:38 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw",
        mount("0:38", "/", "/sys/fs/cgroup/unified", "rw,relatime", "cgroup2", "cgroup2");
        "no optional field"
    )]
    #[test_case(
        "36 35 98:0 /mnt1 /mnt2 rw,noatime master:1 shared:7 - ext3 /dev/root rw,errors=continue",
        mount("98:0", "/mnt1", "/mnt2", "rw,noatime", "ext3", "/dev/root");
        "optional fields"
    )]
    #[test_case(
        "1 2 0:3 / /a\\040b\\134c rw - tmpfs none rw",
        mount("0:3", "/", "/a b\\c", "rw", "tmpfs", "none");
        "escapes"
    )]
    fn reads_a_line(line: &str, expected: Mount) {
        assert_eq!(parse(line.as_bytes()), vec![expected]);
    }

    #[test_case(""; "empty")]
    #[test_case("1 2 0:3 / /a rw"; "cut short")]
    #[test_case("1 2 0:3 / /a rw shared:1 tmpfs none rw"; "no separator")]
    fn leaves_out_what_is_not_a_mount(line: &str) {
        assert_eq!(parse(line.as_bytes()), vec![]);
    }
}
