module egret.dev/cluster/client

go 1.26.0
