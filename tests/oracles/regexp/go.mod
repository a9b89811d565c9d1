module egret.dev/oracles/regexp

go 1.26.0
