//! Sockets that were made outside: no hook of ours runs for them, so they must not get in.

use std::net::TcpStream;
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::process::Stdio;

use nix::fcntl::{F_SETFD, FdFlag, fcntl};
use testkit::Lab;
use testkit::names::FORBIDDEN;

use crate::in_lab;

/// A connection to where nobody may go, made by somebody who may.
fn connection(lab: &Lab) -> TcpStream {
    let client = lab.internet.client();
    client
        .run(|| TcpStream::connect((FORBIDDEN, 7)))
        .unwrap()
        .unwrap()
}

#[test]
fn an_inherited_descriptor_is_closed() {
    in_lab(|lab| {
        let stream = connection(lab);
        fcntl(&stream, F_SETFD(FdFlag::empty())).unwrap();
        let script = format!(
            "import os\n\
             for fd in range(3, 256):\n  \
               try: os.write(fd, b'ESCAPE'); print('wrote to', fd)\n  \
               except OSError: pass\n\
             print('{} tried')",
            stream.as_raw_fd()
        );
        let outcome = lab
            .held(&Lab::allowing(&["v4.example.com"]))
            .run(["python3", "-c", &script]);
        assert_eq!(outcome.stdout, format!("{} tried\n", stream.as_raw_fd()));
        assert_eq!(lab.internet.echoed().entries(), [], "{outcome:#?}");
    });
}

#[test]
fn an_internet_socket_as_standard_input_is_125() {
    in_lab(|lab| {
        let stream = connection(lab);
        let outcome = lab
            .held(&Lab::allowing(&["v4.example.com"]))
            .stdin(Stdio::from(OwnedFd::from(stream)))
            .run(["sh", "-c", "echo ESCAPE >&0"]);
        assert_eq!(outcome.code, Some(125), "{outcome:#?}");
        assert!(
            outcome.stderr.contains("standard input"),
            "{}",
            outcome.stderr
        );
        assert_eq!(lab.internet.echoed().entries(), []);
    });
}
