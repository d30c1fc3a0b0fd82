#!/bin/bash
# Does setting EAP-Message twice leave the second message alone?
#
# RFC 3579 section 3.1: a message longer than 253 octets is in several
# EAP-Message attributes, one behind the other, which the receiver joins.
#
# Version:   layeh.com/radius v0.0.0-20231213012653-1006025d24f8 (Go), without Warren.
# Behaviour: a setter takes the place of what was there (UserName_Set), but the one
#            of an attribute that is cut into pieces adds to it: after EAPMessage_Set
#            of 300 and then of 310 octets EAPMessage_Get returns 610. A packet that
#            is used for the next round has the message of the last one in front.
# For Warren: one of the reasons for a codec of its own (docs/dependencies.md).
#
# Output seen:
#   User-Name set twice: 1 attribute
#   EAP-Message of 300 and then of 310 octets: 610 octets
#
# Usage: findings/layeh-radius-eap-set.sh (needs go and a module proxy; leaves
# nothing). Exit status: 0 as described, 1 the behaviour is another one, 2 it could
# not be seen.
set -eu
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
cat > go.mod <<'GO'
module seen

go 1.24

require layeh.com/radius v0.0.0-20231213012653-1006025d24f8
GO
cat > main.go <<'GO'
package main

import (
	"fmt"
	"strings"

	"layeh.com/radius"
	"layeh.com/radius/rfc2865"
	"layeh.com/radius/rfc2869"
)

func main() {
	p := radius.New(radius.CodeAccessRequest, []byte("a secret of the server"))
	for _, n := range []int{300, 310} {
		if err := rfc2865.UserName_SetString(p, fmt.Sprint("user of ", n)); err != nil {
			panic(err)
		}
		if err := rfc2869.EAPMessage_Set(p, []byte(strings.Repeat("x", n))); err != nil {
			panic(err)
		}
	}
	names, err := rfc2865.UserName_GetStrings(p)
	if err != nil {
		panic(err)
	}
	fmt.Printf("User-Name set twice: %d attribute\n", len(names))
	fmt.Printf("EAP-Message of 300 and then of 310 octets: %d octets\n", len(rfc2869.EAPMessage_Get(p)))
}
GO
export GOFLAGS="-mod=mod -modcacherw" GOWORK=off GOMODCACHE="$work/modules"
go build -o seen . 2> build.log || { cat build.log >&2; exit 2; }
out=$(./seen) || exit 2
echo "$out"
[ "$out" = "User-Name set twice: 1 attribute
EAP-Message of 300 and then of 310 octets: 610 octets" ] || exit 1
