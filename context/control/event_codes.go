package control

// toldByWorkers are the facts that a worker can tell, each in its zero value. To add
// one: a type with its About, which has a Code of its own, and its Fields; a line
// here; the place that tells it.
var toldByWorkers = []func() Fact{
	func() Fact { return new(IKEUp) }, func() Fact { return new(IKEDown) },
	func() Fact { return new(IKEsDown) }, func() Fact { return new(IKERekeyed) },
	func() Fact { return new(IKEFault) }, func() Fact { return new(IKEGarbled) },
	func() Fact { return new(IKELost) }, func() Fact { return new(PeerMoved) },
	func() Fact { return new(AddressAssigned) }, func() Fact { return new(Restored) },

	func() Fact { return new(SessionUp) }, func() Fact { return new(SessionDown) },

	func() Fact { return new(ChildUp) }, func() Fact { return new(ChildDown) },
	func() Fact { return new(ChildCut) }, func() Fact { return new(ChildNarrowed) },
	func() Fact { return new(UnknownSPI) }, func() Fact { return new(UnknownSPIs) },
	func() Fact { return new(ClearDropped) },

	func() Fact { return new(PeerRefused) }, func() Fact { return new(PeerFailed) },
	func() Fact { return new(PeersRefused) }, func() Fact { return new(LimitReached) },
	func() Fact { return new(HalfOpenReached) },
	func() Fact { return new(ServerTrouble) }, func() Fact { return new(ServerBack) },

	func() Fact { return new(Activated) }, func() Fact { return new(StoodBy) },
	func() Fact { return new(InStep) }, func() Fact { return new(TwinLost) },
	func() Fact { return new(Reconfigured) }, func() Fact { return new(KeysExported) },
	func() Fact { return new(SessionOneFamily) },
	func() Fact { return new(ForeignAddress) }, func() Fact { return new(CaptureBegun) },
	func() Fact { return new(CaptureEnded) }, func() Fact { return new(EventsLost) },
}

// ToldByWorkers returns the facts that a worker can tell, each in its zero value.
func ToldByWorkers() []Fact {
	out := make([]Fact, len(toldByWorkers))
	for i, fresh := range toldByWorkers {
		out[i] = fresh()
	}
	return out
}

// byCode is toldByWorkers by their codes.
var byCode = func() []func() Fact {
	var out []func() Fact
	for _, fresh := range toldByWorkers {
		code := int(fresh().About().Code)
		for len(out) <= code {
			out = append(out, nil)
		}
		out[code] = fresh
	}
	return out
}()

// newFact returns a fact of the kind with this code; nil: nobody knows it.
func newFact(code uint16) Fact {
	if int(code) >= len(byCode) || byCode[code] == nil {
		return nil
	}
	return byCode[code]()
}
