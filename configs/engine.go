package configs

import (
	"github.com/warrenvpn/warren/context/spec"
	"github.com/warrenvpn/warren/esp/sa"
)

// readIKE reads the block "ikev2" of a context.
func (t *tenantReader) readIKE(n *node) {
	repeat := n.one("retransmit")
	t.t.IKE = spec.IKE{
		CookieThreshold:  int(n.number("cookie_threshold")),
		MaxHalfOpen:      int(n.number("max_half_open")),
		HalfOpenTimeout:  n.duration("half_open_timeout"),
		RetransmitBase:   repeat.duration("base"),
		RetransmitFactor: repeat.fraction("factor"),
		RetransmitTries:  int(repeat.number("tries")),
		NATKeepalive:     n.duration("nat_keepalive"),
		NoFragmentation:  !n.boolean("fragmentation"),
		FragmentSize:     int(n.number("fragment_size")),
	}
	if v, ok := n.get(sharedTrustpoint); ok {
		t.provesUs(n, v)
	}
	if t.t.IKE.FragmentSize == defaultFragmentSize {
		t.t.IKE.FragmentSize = 0 // older programs do not know it: see GroupHash
	}
	if t.t.IKE.CookieThreshold > t.t.IKE.MaxHalfOpen {
		n.problem(n.where("cookie_threshold"), "Threshold never reached",
			"cookie_threshold is %d, and there are never more than max_half_open, %d (%s): for that alone no cookie "+
				"would be asked for before all places are taken.",
			t.t.IKE.CookieThreshold, t.t.IKE.MaxHalfOpen, place(n.where("max_half_open")))
	}
}

// readMOBIKE reads the block "mobike" of a context.
func (t *tenantReader) readMOBIKE(n *node) {
	t.t.IKE.NoMOBIKE, t.t.IKE.ReturnRoutability = !n.boolean("enabled"), n.boolean("return_routability_check")
}

// Who carries ESP. Only the worker does.
const (
	backendAuto      = "auto"
	backendUserspace = "userspace"
	backendKernel    = "kernel"
)

// readDataPlane reads the block "dataplane".
func (t *tenantReader) readDataPlane(n *node) {
	t.t.DataPlane = spec.DataPlane{
		ReplayWindow: uint32(n.number("replay_window")),
		ForceUDP:     n.boolean("force_udp_encapsulation"),
		DF:           sa.DF(n.choice("df_bit")),
	}
	d := &t.t.DataPlane
	d.NoGSO, d.NoGRO = !n.boolean("gso"), !n.boolean("gro")
	d.NoTUNOffload, d.NoBatching = !n.boolean("tun_offload"), !n.boolean("batching")
	if n.choice("backend") == backendKernel {
		n.problem(n.where("backend"), "No kernel data plane",
			"This build carries ESP in the context's worker; it does not hand SAs to the kernel. Write %q, or %q, "+
				"which is the same today.", backendAuto, backendUserspace)
	}
	if w := t.t.DataPlane.ReplayWindow; w > 0 && w < 64 {
		n.problem(n.where("replay_window"), "Number out of range",
			"replay_window is from 64 to 4096 packets, or 0: replays are not detected.")
	}
	if w, ok := n.get("replay_window"); ok && t.t.DataPlane.ReplayWindow == 0 {
		n.warning(w.at, "Replays are not detected", "replay_window = 0 accepts packets that an attacker sends again.")
	}
	mtu := n.number("mtu")
	if mtu != 0 && mtu < 576 {
		n.problem(n.where("mtu"), "Number out of range", "mtu is from 576 to 9216 bytes, or 0: computed.")
	}
	t.t.DataPlane.MTU = int(mtu)
}
