# A stand-in for the interceptor: answers every question with the slot address it came to, from that address.
# Run inside the server's agent; `PORT` is set by the test.
def interceptor(port):
    os.system("ip -6 route replace local fd83:6567:7265:%x::/64 dev lo" % port)
    u4 = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    u4.setsockopt(socket.IPPROTO_IP, 8, 1)  # IP_PKTINFO
    u4.bind(("0.0.0.0", port))
    u6 = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
    u6.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
    u6.setsockopt(socket.IPPROTO_IPV6, 49, 1)  # IPV6_RECVPKTINFO
    u6.setsockopt(socket.IPPROTO_IPV6, 78, 1)  # IPV6_FREEBIND
    u6.bind(("::", port))
    t4 = socket.create_server(("0.0.0.0", port))
    t6 = socket.create_server(("::", port), family=socket.AF_INET6)

    def datagrams(s, v6):
        while True:
            data, cmsg, _, peer = s.recvmsg(512, 256)
            info = cmsg[0][2]
            if v6:
                to = socket.inet_ntop(socket.AF_INET6, info[:16])
                back = (socket.IPPROTO_IPV6, socket.IPV6_PKTINFO, info[:16] + bytes(4))
            else:
                to = socket.inet_ntop(socket.AF_INET, info[8:12])
                back = (socket.IPPROTO_IP, 8, bytes(4) + info[8:12] + bytes(4))
            s.sendmsg([data + b" at " + to.encode()], [back], 0, peer)

    def streams(s):
        while True:
            c, _ = s.accept()
            data = c.recv(512)
            c.send(data + b" at " + c.getsockname()[0].encode())
            c.close()

    for run, arguments in ((datagrams, (u4, False)), (datagrams, (u6, True)), (streams, (t4,)), (streams, (t6,))):
        threading.Thread(target=run, args=arguments, daemon=True).start()
