//! The attempts, in Python.

use std::net::TcpListener;
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::net::{SocketAddr, UnixListener};
use std::path::Path;

use nix::mount::{MsFlags, mount};
use testkit::Lab;

/// What every attempt begins with. `F4`, `F6` are where nobody may go, `A4`, `A6` are allowed, and
/// have been looked up.
pub(super) const PRELUDE: &str = r"
import ctypes, errno, fcntl, os, socket, struct, subprocess, sys
F4, F6 = '198.51.100.66', '2001:db8:66::66'
libc = ctypes.CDLL(None, use_errno=True)
def name(e): return errno.errorcode.get(e.errno, str(e))
def syscall(number, *args):
    r = libc.syscall(number, *args)
    if r < 0: raise OSError(ctypes.get_errno(), 'syscall')
    return r
try:
    A4 = socket.getaddrinfo('v4.example.com', 7, socket.AF_INET)[0][4][0]
    A6 = socket.getaddrinfo('v6.example.com', 7, socket.AF_INET6)[0][4][0]
except OSError as e: print(e, file=sys.stderr); A4, A6 = '203.0.113.10', '2001:db8:1::10'
def ip4(dst, protocol, payload, fragment=0, ident=7):
    total = 20 + len(payload)
    h = struct.pack('>BBHHHBBH4s4s', 0x45, 0, total, ident, fragment, 64, protocol, 0,
        socket.inet_aton('198.18.77.2'), socket.inet_aton(dst))
    s = sum(struct.unpack('>10H', h)); s = (s & 0xffff) + (s >> 16); s = ~((s & 0xffff) + (s >> 16)) & 0xffff
    return h[:10] + struct.pack('>H', s) + h[12:] + payload
def udp(port, text): return struct.pack('>HHHH', 4000, port, 8 + len(text), 0) + text
def tries(*attempts):
    for attempt in attempts:
        try: print(attempt.__name__, attempt())
        except OSError as e: print(attempt.__name__, name(e))
def connect(s=None):
    s = s or socket.socket(); s.settimeout(1); s.connect((F4, 7)); s.send(b'ESCAPE')
def connect6():
    s = socket.socket(socket.AF_INET6); s.settimeout(1); s.connect((F6, 7)); s.send(b'ESCAPE')
def datagram(): socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b'ESCAPE', (F4, 7))
";

pub(super) const PLAIN: &str = "tries(connect, connect6, datagram)";

pub(super) const DAEMON: &str = r"
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0: tries(connect, connect6, datagram)
    else: os.wait()
else: os.wait()
";

/// A daemon that tries on and on. With an argument it never gives up.
pub(super) const UNTIL_KILLED: &str = r"
if os.fork() == 0:
    os.setsid()
    tried, s = 0, socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    while tried < 300 or len(sys.argv) > 1:
        try: s.sendto(b'ESCAPE', (F4, 7))
        except OSError: pass
        tried += 1
        if tried == 200: print('ready', flush=True)
else: os.wait()
";

pub(super) const PACKET_SOCKET: &str = r"
def packet():
    s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW); s.bind(('eth0', 0))
    s.send(bytes.fromhex('020000000001' '020000000002' '0800') + ip4(F4, 17, udp(7, b'ESCAPE')))
tries(packet)
";

pub(super) const COOKED_PACKET_SOCKET: &str = r"
def cooked():
    s = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM)
    s.sendto(ip4(F4, 17, udp(7, b'ESCAPE')), ('eth0', 0x0800, 0, 0, bytes.fromhex('020000000001')))
tries(cooked)
";

pub(super) const RAW_HEADER: &str = r"
def raw():
    s = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW)
    s.sendto(ip4(F4, 17, udp(7, b'ESCAPE')), (A4, 0))
tries(raw)
";

pub(super) const RAW_FRAGMENTS: &str = r"
def fragments():
    s = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW)
    whole = udp(7, b'ESCAPE' * 8)
    s.sendto(ip4(F4, 17, whole[24:], fragment=3), (A4, 0))
    s.sendto(ip4(F4, 17, whole[:24], fragment=0x2000), (A4, 0))
tries(fragments)
";

pub(super) const RAW_ICMP: &str = r"
def icmp():
    s = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP)
    s.sendto(bytes.fromhex('0800f7ff00000000'), (F4, 0))
tries(icmp)
";

pub(super) const PING_SOCKET: &str = r"
def ping():
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM, socket.IPPROTO_ICMP)
    s.sendto(bytes.fromhex('0800000000000000') + b'ESCAPE', (F4, 0))
tries(ping)
";

pub(super) const UDP_LITE: &str = r"
def lite(): socket.socket(socket.AF_INET, socket.SOCK_DGRAM, 136).sendto(b'ESCAPE', (F4, 7))
tries(lite)
";

pub(super) const MPTCP: &str = r"
def mptcp(): connect(socket.socket(socket.AF_INET, socket.SOCK_STREAM, 262))
tries(mptcp)
";

pub(super) const FAST_OPEN: &str = r"
def fast():
    s = socket.socket(); s.settimeout(1); s.sendto(b'ESCAPE', 0x20000000, (F4, 7))
tries(fast)
";

pub(super) const DISSOLVED: &str = r"
def dissolved():
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.connect((A4, 7)); s.send(b'x')
    libc.connect(s.fileno(), bytes(16), 16)
    s.sendto(b'ESCAPE', (F4, 7))
tries(dissolved)
";

pub(super) const RECONNECT: &str = r"
def again():
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.connect((A4, 7)); s.send(b'x')
    s.connect((F4, 7)); s.send(b'ESCAPE')
def unspecified():
    s = socket.socket(); s.connect((A4, 7)); libc.connect(s.fileno(), bytes(16), 16); connect(s)
tries(again, unspecified)
";

pub(super) const SENDMSG: &str = r"
def elsewhere():
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.connect((A4, 7)); s.send(b'x')
    s.sendmsg([b'ESCAPE'], [], 0, (F4, 7))
def elsewhere6():
    s = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM); s.connect((A6, 7)); s.send(b'x')
    s.sendmsg([b'ESCAPE'], [], 0, ('::ffff:' + F4, 7))
tries(elsewhere, elsewhere6)
";

pub(super) const LOOSE_ROUTE: &str = r"
def loose():
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    s.setsockopt(socket.IPPROTO_IP, socket.IP_OPTIONS, bytes([131, 7, 4]) + socket.inet_aton(F4) + b'\0')
    s.sendto(b'ESCAPE', (A4, 7))
def loose_connected():
    s = socket.socket(); s.settimeout(1)
    s.setsockopt(socket.IPPROTO_IP, socket.IP_OPTIONS, bytes([131, 7, 4]) + socket.inet_aton(F4) + b'\0')
    s.connect((A4, 7))
tries(loose, loose_connected)
";

pub(super) const STRICT_ROUTE: &str = r"
def strict():
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    hops = socket.inet_aton('198.18.77.1') + socket.inet_aton(F4)
    s.setsockopt(socket.IPPROTO_IP, socket.IP_OPTIONS, bytes([137, 11, 4]) + hops + b'\0')
    s.sendto(b'ESCAPE', (A4, 7))
def loose():
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    hops = socket.inet_aton(F4) + socket.inet_aton('198.18.77.1')
    s.setsockopt(socket.IPPROTO_IP, socket.IP_OPTIONS, bytes([131, 11, 4]) + hops + b'\0')
    s.sendto(b'ESCAPE', (A4, 7))
tries(strict, loose)
";

pub(super) const ROUTING_HEADER: &str = r"
def routed():
    s = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
    pack = lambda ip: socket.inet_pton(socket.AF_INET6, ip)
    s.setsockopt(socket.IPPROTO_IPV6, 57, bytes([0, 4, 4, 1, 1, 0, 0, 0]) + pack(A6) + pack(F6))
    s.sendto(b'ESCAPE', (A6, 7))
tries(routed)
";

pub(super) const BOUND_TO_DEVICE: &str = r"
def bound():
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    s.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, b'eth0\0'); s.sendto(b'ESCAPE', (F4, 7))
def bound_connect():
    s = socket.socket(); s.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, b'eth0\0'); connect(s)
tries(bound, bound_connect)
";

pub(super) const FOREIGN_SOURCE: &str = r"
def foreign():
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    s.setsockopt(socket.IPPROTO_IP, 19, 1)  # IP_TRANSPARENT
    s.bind(('203.0.113.77', 4000)); s.sendto(b'ESCAPE', (F4, 7))
def foreign6():
    s = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
    s.setsockopt(socket.IPPROTO_IPV6, 78, 1)  # IPV6_FREEBIND
    s.bind(('2001:db8:77::77', 4000)); s.sendto(b'ESCAPE', (F6, 7))
tries(foreign, foreign6)
";

pub(super) const NESTED_NAMESPACE: &str = r"
def nested(flags):
    try: syscall(272, flags); print('made', hex(flags))
    except OSError as e: print(hex(flags), name(e))
for flags in (0x10000000, 0x40000000, 0x02000000, 0x00020000): 
    if os.fork() == 0:
        nested(flags); tries(connect, datagram); os._exit(0)
    os.wait()
";

pub(super) const TUNNEL: &str = r"
def run(*words): print(subprocess.run(words, capture_output=True, text=True).stderr.strip())
run('ip', 'link', 'add', 'vx0', 'type', 'vxlan', 'id', '7', 'remote', F4, 'dstport', '4789', 'dev', 'eth0')
run('ip', 'addr', 'add', '10.77.0.1/24', 'dev', 'vx0')
run('ip', 'link', 'set', 'vx0', 'up')
def through(): socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b'ESCAPE', ('10.77.0.255', 7))
def broadcast():
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
    s.sendto(b'ESCAPE', ('10.77.0.255', 7))
tries(through, broadcast)
";

/// One batch: a datagram that is allowed, and one that is not.
pub(super) const BATCH: &str = r"
def batch():
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    data = ctypes.create_string_buffer(b'ESCAPE', 6)
    vector = ctypes.create_string_buffer(struct.pack('@PN', ctypes.addressof(data), 6))
    names = [ctypes.create_string_buffer(struct.pack('=H', 2) + struct.pack('>H', 7) + socket.inet_aton(a) + bytes(8), 16)
        for a in (A4, F4, F4)]
    head = lambda n: struct.pack('@PI4xPNPNi4xI4x', ctypes.addressof(n), 16, ctypes.addressof(vector), 1, 0, 0, 0, 0)
    r = libc.sendmmsg(s.fileno(), b''.join(head(n) for n in names), len(names), 0)
    if r < 0: raise OSError(ctypes.get_errno(), 'sendmmsg')
    return r
tries(batch)
";

/// Asks the kernel by netlink, and says what it answers.
pub(super) const NETLINK: &str = r"
def message(kind, flags, body): return struct.pack('=IHHII', 16 + len(body), kind, flags, 1, 0) + body
def attribute(kind, data): return struct.pack('=HH', 4 + len(data), kind) + data + bytes(-len(data) % 4)
def ask(protocol, *messages):
    try:
        s = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, protocol); s.settimeout(2)
        s.send(b''.join(messages))
        error = -struct.unpack_from('=i', s.recv(8192), 16)[0]
        print(errno.errorcode.get(error, 'done'))
    except OSError as e: print(name(e))
REQUEST, CREATE = 0x1 | 0x4, 0x1 | 0x4 | 0x400
DEVICE = socket.if_nametoindex('eth0')
";

pub(super) const ROUTE: &str = r"
ask(0, message(24, CREATE, struct.pack('=8BI', 2, 32, 0, 0, 254, 3, 253, 1, 0)
    + attribute(1, socket.inet_aton(F4)) + attribute(4, struct.pack('=I', DEVICE))))
";

pub(super) const NEIGHBOUR: &str = r"
ask(0, message(28, CREATE, struct.pack('=BxxxiHBB', 2, DEVICE, 0x80, 0, 0)
    + attribute(1, socket.inet_aton(F4)) + attribute(2, bytes.fromhex('020000000009'))))
";

pub(super) const TRAFFIC_CONTROL: &str = r"
ask(0, message(36, CREATE, struct.pack('=BxxxiIII', 0, DEVICE, 0xffff0000, 0xfffffff1, 0) + attribute(1, b'clsact\0')))
";

pub(super) const PACKET_FILTER: &str = r"
end = lambda kind: message(kind, 0x1, struct.pack('>BBH', 0, 0, 10))
ask(12, end(16), message(0x0a00, CREATE, struct.pack('>BBH', 2, 0, 0) + attribute(1, b'escape\0')), end(17))
";

pub(super) const LEAVES_CGROUP: &str = r"
roots = [l.split()[4] for l in open('/proc/self/mountinfo') if ' - cgroup2 ' in l]
if not roots:
    os.makedirs('/tmp/cg', exist_ok=True); libc.mount(b'none', b'/tmp/cg', b'cgroup2', 0, None); roots = ['/tmp/cg']
for root in roots + ['/proc/1/root' + r for r in roots]:
    try: open(root + '/cgroup.procs', 'w').write(str(os.getpid())); print('left by', root)
    except OSError as e: print(root, name(e))
tries(connect, datagram)
";

pub(super) const VSOCK: &str = r"
try: socket.socket(40, socket.SOCK_STREAM).connect((2, 1024)); print('connected')
except OSError as e: print(name(e))
";

pub(super) const XDP: &str = r"
try: socket.socket(44, socket.SOCK_RAW, 0); print('made')
except OSError as e: print(name(e))
";

pub(super) const BPF_OBJECT: &str = r"
path = ctypes.create_string_buffer(b'/sys/fs/bpf/x')
attr = struct.pack('QII', ctypes.addressof(path), 0, 0)
try: syscall(321, 7, attr, len(attr)); print('opened')
except OSError as e: print(name(e))
";

pub(super) const BPF_FILE_SYSTEMS: &str = r"
print(' '.join(l.split()[4] for l in open('/proc/self/mountinfo') if ' - bpf ' in l) or 'none')
";

pub(super) const MOUNT: &str = r"
r = libc.mount(b'none', b'/tmp', b'tmpfs', 0, None)
print('mounted' if r == 0 else errno.errorcode[ctypes.get_errno()])
";

pub(super) const SETNS: &str = r"
try: syscall(308, os.open('/proc/1/ns/net', os.O_RDONLY), 0); print('entered')
except OSError as e: print('EPERM' if e.errno in (errno.EPERM, errno.EACCES) else name(e))
";

pub(super) const TUN: &str = r"
try: fcntl.ioctl(os.open('/dev/net/tun', os.O_RDWR), 0x400454ca, struct.pack('16sH14x', b'tun7', 0x1001)); print('made')
except OSError as e: print('no device')
";

pub(super) const SCTP: &str = r"
said = 'refused'
for kind, protocol in ((socket.SOCK_STREAM, 132), (socket.SOCK_SEQPACKET, 132), (6, 33)):
    try: s = socket.socket(socket.AF_INET, kind, protocol); s.settimeout(1); s.connect((F4, 7)); said = 'connected'
    except OSError as e: print(name(e), file=sys.stderr)
print(said)
";

/// Says which of the sockets named on its command line it reached.
pub(super) const UNIX_SOCKETS: &str = r"
for path in sys.argv[1:]:
    try: socket.socket(socket.AF_UNIX).connect(path); print('reached', path)
    except OSError as e: print(path, name(e), file=sys.stderr)
";

/// Where daemons listen that resolve names, or start processes outside of the cgroup.
pub(super) const HOST_SOCKETS: [&str; 6] = [
    "/run/docker.sock",
    "/run/podman/podman.sock",
    "/run/containerd/containerd.sock",
    "/run/dbus/system_bus_socket",
    "/run/nscd/socket",
    "/run/systemd/resolve/io.systemd.Resolve",
];

/// `pidfd_open` and `pidfd_getfd`, on every process that can be seen.
pub(super) const STOLEN_DESCRIPTORS: &str = r"
found = 0
for pid in [int(p) for p in os.listdir('/proc') if p.isdigit() and int(p) != os.getpid()]:
    for fd in range(64):
        try:
            copy = syscall(438, syscall(434, pid, 0), fd, 0)
            if socket.socket(fileno=copy).family in (socket.AF_INET, socket.AF_INET6): found += 1
        except (OSError, ValueError): pass
print(found, 'sockets')
";

/// What a set of capabilities must not hold: KILL of others apart, everything that reaches the
/// network, the kernel or another process.
pub(super) const CAPABILITIES: &str = r"
bits = {12: 'NET_ADMIN', 13: 'NET_RAW', 16: 'SYS_MODULE', 17: 'SYS_RAWIO', 19: 'SYS_PTRACE', 21: 'SYS_ADMIN',
    38: 'PERFMON', 39: 'BPF', 40: 'CHECKPOINT_RESTORE'}
sets = [int(l.split()[1], 16) for l in open('/proc/self/status') if l.startswith('Cap')]
print(' '.join(n for b, n in bits.items() if any(s >> b & 1 for s in sets)) or 'none')
";

pub(super) const NEW_PRIVILEGES: &str = r"
print('none' if 'NoNewPrivs:\t1' in open('/proc/self/status').read() else 'some')
";

/// Questions for a secret name: to the resolver's other ports, past the redirect by device, and to
/// a stranger.
pub(super) const QUESTIONS: &str = r"
q = bytes.fromhex('abcd01000001000000000000') + b'\x06secret\x07example\x00\x00\x01\x00\x01'
def ask(ip, port, device=False, family=socket.AF_INET):
    s = socket.socket(family, socket.SOCK_DGRAM)
    if device: s.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, b'eth0\0')
    s.sendto(q, (ip, port))
def other_port(): ask('192.0.2.53', 5353)
def dot(): ask('192.0.2.53', 853)
def by_device(): ask('192.0.2.53', 53, True)
def by_device6(): ask('2001:db8::53', 53, True, socket.AF_INET6)
def mapped(): ask('::ffff:192.0.2.53', 53, True, socket.AF_INET6)
def stranger(): ask('198.51.100.53', 53)
def truncated():
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.connect(('192.0.2.53', 53)); s.send(q)
tries(other_port, dot, by_device, by_device6, mapped, stranger, truncated)
";

/// A proxy of the host on loopback and an abstract socket: see [`loopback_service`].
pub(super) const HOST_SERVICES: &str = r"
def reach(what, family, address):
    try: s = socket.socket(family); s.settimeout(2); s.connect(address); print(what, 'reached')
    except OSError as e: print(what, name(e))
reach('loopback', socket.AF_INET, ('127.0.0.1', 8888))
reach('loopback6', socket.AF_INET6, ('::1', 8888))
reach('own address', socket.AF_INET, ('198.18.77.2', 8888))
reach('abstract', socket.AF_UNIX, '\0egret-test-proxy')
";

/// Services of the host, outside of any held command: TCP port 8888 on every address, and an
/// abstract Unix socket. They end when dropped.
pub(super) fn loopback_service(lab: &Lab) -> (TcpListener, UnixListener) {
    let client = lab.internet.client();
    client
        .run(|| {
            let tcp = TcpListener::bind("[::]:8888").unwrap();
            let name = SocketAddr::from_abstract_name("egret-test-proxy").unwrap();
            (tcp, UnixListener::bind_addr(&name).unwrap())
        })
        .unwrap()
}

/// Daemons at [`HOST_SOCKETS`], under a `/run` that only this lab sees.
pub(super) fn host_sockets(lab: &Lab) -> Vec<UnixListener> {
    let client = lab.internet.client();
    client
        .run(|| {
            let flags = MsFlags::MS_NODEV | MsFlags::MS_NOSUID;
            mount(
                Some("lab"),
                "/run",
                Some("tmpfs"),
                flags,
                Some("size=1m,mode=755"),
            )
            .unwrap();
            HOST_SOCKETS
                .iter()
                .map(|path| {
                    std::fs::create_dir_all(Path::new(path).parent().unwrap()).unwrap();
                    UnixListener::bind(path).unwrap()
                })
                .collect()
        })
        .unwrap()
}
