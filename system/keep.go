package system

import "github.com/warrenvpn/warren/system/tenants"

// findKept returns the workers that an earlier process has left.
func (s *System) findKept() *tenants.Kept {
	if s.cfg.Store == nil {
		return nil
	}
	return tenants.FindKept(s.cfg.Store, s.cfg.Kept, func(name string, err error) {
		s.cfg.Log.Warn("what an earlier process has left of a worker is of no use", "tenant", name, "reason", err)
	})
}

// leaves tells whether the end of this process is to leave the workers to the next
// one: there is a keeper, and nobody has asked for the end of the contexts.
func (s *System) leaves() bool { return s.cfg.Store != nil && !s.ending.Load() }

// Shutdown ends this process, and with it the contexts, whoever keeps descriptors.
func (s *System) Shutdown() {
	s.ending.Store(true)
	s.cfg.Log.Info("the end of all contexts was asked for")
	s.cfg.Stop()
}

// Ended tells whether Shutdown was called.
func (s *System) Ended() bool { return s.ending.Load() }
