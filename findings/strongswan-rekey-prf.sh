#!/bin/bash
# Which PRF makes the keys of a rekeyed IKE SA whose PRF changes?
#
# RFC 7296 section 2.18: SKEYSEED with the PRF of the old SA; then, as section
# 2.14 says, all keys of the new SA from it with prf+ of the new SA's PRF.
#
# Version:   strongSwan 5.9.8 (Debian 12, 5.9.8-5+deb12u6), two of them, without Warren.
# Behaviour: both make SKEYSEED and all keys with the PRF of the old SA. Two of
#            them agree; with who follows the RFC they have an IKE SA in which
#            neither understands a word of the other.
# For Warren: a rekeyed IKE SA keeps its PRF (ike/suite/successor.go).
#
# Output seen:
#   rekeyed from PRF_HMAC_SHA2_384 to PRF_HMAC_SHA2_256
#   SK_d is that of prf+ with the PRF of the old SA
#
# Usage: findings/strongswan-rekey-prf.sh (as root; needs apt-get with Debian 12's
# archive, iproute2, python3; leaves nothing). Exit status: 0 as described, 1 the
# behaviour is another one, 2 it could not be seen.
set -eu
version=5.9.8-5+deb12u6
packages="libstrongswan libstrongswan-standard-plugins strongswan-libcharon charon-systemd strongswan-swanctl"

if [ "${1:-}" != inside ]; then
	work=$(mktemp -d)
	trap 'rm -rf "$work"' EXIT
	mkdir "$work/debs" "$work/root"
	(cd "$work/debs" && for p in $packages; do apt-get -qq download "$p=$version" 2>/dev/null || exit 2; done) || exit 2
	for d in "$work"/debs/*.deb; do dpkg-deb -x "$d" "$work/root"; done
	unshare --mount --propagation private "$0" inside "$work" && status=0 || status=$?
	exit $status
fi

work=$2
mount -t overlay overlay -o "lowerdir=$work/root/usr:/usr" /usr
mount -t tmpfs tmpfs /var/run 2>/dev/null || mount -t tmpfs tmpfs /run
a=prf-a-$$ b=prf-b-$$
pids=
cleanup() {
	for p in $pids; do kill -9 "$p" 2>/dev/null || true; done
	wait 2>/dev/null || true
	ip netns del $a 2>/dev/null || true
	ip netns del $b 2>/dev/null || true
}
trap cleanup EXIT
ip netns add $a
ip netns add $b
ip -n $a link add e0 type veth peer name e0 netns $b
ip -n $a addr add 192.0.2.1/24 dev e0
ip -n $b addr add 192.0.2.2/24 dev e0
ip -n $a link set e0 up
ip -n $b link set e0 up

# daemon name address peer proposals: the first proposal of whoever begins counts.
daemon() {
	mkdir -p "$work/$1/swanctl"
	cat > "$work/$1/strongswan.conf" <<CONF
charon-systemd {
  load = random nonce openssl aes sha1 sha2 hmac kdf gcm curve25519 kernel-netlink socket-default vici
  prefer_configured_proposals = no
  plugins { vici { socket = unix://$work/$1/vici } }
  journal { default = -1 }
  filelog { log { path = $work/$1/log
    flush_line = yes
    default = 1
    ike = 4
    enc = 3 } }
}
CONF
	cat > "$work/$1/swanctl/swanctl.conf" <<CONF
connections { c {
  version = 2
  local_addrs = $2
  remote_addrs = $3
  proposals = $4
  local { auth = psk
    id = $2 }
  remote { auth = psk
    id = $3 }
  children { c { mode = tunnel
    local_ts = $2/32
    remote_ts = $3/32 } }
} }
secrets { ike-1 { secret = "only for this" } }
CONF
	ip netns exec "$1" env STRONGSWAN_CONF="$work/$1/strongswan.conf" SWANCTL_DIR="$work/$1/swanctl" charon-systemd > "$work/$1/out" 2>&1 &
	pids="$pids $!"
	for _ in $(seq 100); do [ -S "$work/$1/vici" ] && break; sleep 0.1; done
	ctl "$1" --load-all --noprompt > /dev/null 2>&1 || exit 2
}
ctl() {
	ns=$1; shift
	what=$1; shift
	ip netns exec "$ns" env SWANCTL_DIR="$work/$ns/swanctl" swanctl "$what" --uri "unix://$work/$ns/vici" "$@"
}
first=aes256gcm16-prfsha384-x25519 second=aes128gcm16-prfsha256-x25519
daemon $a 192.0.2.1 192.0.2.2 "$first, $second"
daemon $b 192.0.2.2 192.0.2.1 "$second, $first"
ctl $a --initiate --child c > "$work/initiate" 2>&1 || true # the kernel may lack ESP: the IKE SA stays
grep -q "IKE_SA c.* established" "$work/initiate" || { cat "$work/initiate"; exit 2; }
ctl $b --rekey --ike c > /dev/null 2>&1 || exit 2
for _ in $(seq 100); do [ "$(grep -c 'SKEYSEED' "$work/$b/log")" -ge 2 ] && break; sleep 0.1; done
sleep 1

ctl $b --list-sas --raw > "$work/sas" 2> /dev/null

python3 - "$work/$b/log" "$work/sas" <<'PY'
import hashlib, hmac, re, sys

log = open(sys.argv[1]).read().split("\n")
sas = open(sys.argv[2]).read()

def fail(text):
    print(text)
    sys.exit(2)

def dump(i):
    """The octets below line i."""
    out = b""
    for line in log[i + 1:]:
        m = re.match(r"\d+\[\w+\] +\d+: ((?:[0-9A-F]{2} )+)", line)
        if not m:
            return out
        out += bytes.fromhex(m.group(1))

def last(words, before):
    return max((i for i in range(before) if words in log[i]), default=None)

def nonce(words, before):
    return dump(last("CHUNK_DATA", last(words, before)) + 1)

def prf_plus(prf, key, seed, n):
    out = t = b""
    for i in range(1, 20):
        t = hmac.new(key, t + seed + bytes([i]), prf).digest()
        out += t
    return out[:n]

prfs = [re.search(r"PRF_HMAC_SHA2_(\d+)", line).group(1) for line in log if "selected proposal: IKE" in line]
if len(prfs) != 2 or prfs[0] == prfs[1]:
    fail("the PRF has not changed: %s" % prfs)
print("rekeyed from PRF_HMAC_SHA2_%s to PRF_HMAC_SHA2_%s" % tuple(prfs))
start = last("SKEYSEED", len(log))
skeyseed, skd = dump(start), dump(next(i for i in range(start, len(log)) if "Sk_d secret" in log[i]))
spis = re.findall(r"state=ESTABLISHED .*?initiator-spi=([0-9a-f]{16}) responder-spi=([0-9a-f]{16})", sas)
if not spis:
    fail("no SPIs: %s" % sas)
seed = nonce("generating NONCE payload finished", start) + nonce("parsing NONCE payload finished", start)
seed += bytes.fromhex(spis[-1][0]) + bytes.fromhex(spis[-1][1])
for name, bits in (("old", prfs[0]), ("new", prfs[1])):
    if prf_plus("sha" + bits, skeyseed, seed, len(skd)) == skd:
        print("SK_d is that of prf+ with the PRF of the %s SA" % name)
        sys.exit(0 if name == "old" else 1)
fail("SK_d is neither")
PY
