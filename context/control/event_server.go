package control

// ServerTrouble tells what is wrong with a server that knows users.
type ServerTrouble struct {
	ServerGroup string
	Server      string // its address and port
	Reason      string
	Hint        string
	Count       uint64 // how often the same was not told since it was told last
}

// ServerBack tells that a server that was dead answers again.
type ServerBack struct {
	ServerGroup string
	Server      string
}

// About implements Fact.
func (*ServerTrouble) About() About {
	return About{45, "server_trouble", LevelWarn, "authentication server in trouble"}
}

// Fields implements Fact.
func (e *ServerTrouble) Fields(f *Fields) {
	f.Text(1, "server_group", &e.ServerGroup)
	f.Text(2, "server", &e.Server)
	f.Text(3, "reason", &e.Reason)
	f.Text(4, "hint", &e.Hint)
	f.Number(5, "count", &e.Count)
}

// About implements Fact.
func (*ServerBack) About() About {
	return About{46, "server_back", LevelInfo, "authentication server answers again"}
}

// Fields implements Fact.
func (e *ServerBack) Fields(f *Fields) {
	f.Text(1, "server_group", &e.ServerGroup)
	f.Text(2, "server", &e.Server)
}
