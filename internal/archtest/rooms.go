package archtest

// room says what a package may import of this module, and why no more. A path
// that ends in "/..." covers the folder and all below it; the longest path that
// covers a package is its room.
type room struct {
	path    string
	pure    bool // no I/O, no clock, no goroutine, no mutex
	planned bool // later work will fill it
	may     []string
	because string
}

// rooms is section 3 of docs/architecture.md.
var rooms = []room{
	// Programs.
	{path: "cmd/warren", may: []string{"system/client", "system/api", "system/fault", "context/control",
		"context/pcapng", "configs", "configs/host", "esp/stats", "ike/eap", "ike/pki", "resource", "vfs/fetch",
		"internal/build", "internal/password", "internal/sealed", "internal/secret"},
		because: "the CLI knows only the API's client and types, what a capture is, what is counted, how " +
			"certificates are made, the configuration language and its servers for validate and fmt, and the " +
			"forms of passwords for passwd"},
	{path: "cmd/warrend", may: []string{"system", "system/api", "system/checker", "system/fault", "system/task",
		"system/users", "internal/backlog", "internal/build", "internal/fdstore", "internal/guard"},
		because: "main constructs the supervisor, its API and its log, and nothing else"},
	{path: "cmd/warren-context", may: []string{"context/worker", "context/pipe", "context/privileges"},
		because: "the worker parses hostile packets: it is small, and has no privileged code to jump to"},

	// Configuration.
	{path: "configs/...", pure: true,
		may: []string{"context/spec", "failover", "resource", "ike/identity", "ike/pki", "esp/sa", "internal/password",
			"internal/secret"},
		because: "configs turns text into values; of the protocols it knows names of algorithms, identities, " +
			"certificates and units of a pair only"},

	{path: "configs/contract", pure: true, because: "it is a leaf: files, whatever they mean"},
	{path: "configs/host", may: []string{"configs", "vfs"},
		because: "who checks a configuration reads the same as who runs it: files as vfs reads them"},

	// The supervisor.
	{path: "system", may: []string{"configs", "configs/host", "context/netns", "context/control", "resource/cgroup",
		"vfs/catalog", "internal/build", "internal/fdstore", "internal/guard",
		"system/api", "system/backup", "system/disks", "system/events", "system/fault", "system/lifecycle",
		"system/pair", "system/plan",
		"system/tenants"},
		because: "it makes the rooms below, gives each what it needs, and translates between them and the API"},
	{path: "system/api", may: []string{"system/fault", "context/control", "internal/guard"},
		because: "the API knows the facts that it passes on, gets them from a Backend, and outlives a fault of " +
			"one answer"},
	{path: "system/client", may: []string{"system/api", "system/fault", "context/control"},
		because: "the client knows the API's types only"},
	{path: "system/pair", may: []string{"configs", "context/spawn", "context/netns", "context/control", "failover",
		"failover/link", "resource",
		"internal/build", "internal/durable", "internal/guard", "internal/secret", "system/events", "system/fault",
		"system/plan"},
		because: "it carries out what failover decides, and never parses what its peer has not signed"},
	{path: "system/plan", pure: true, may: []string{"configs", "context/spec", "ike/identity", "resource",
		"system/texts"},
		because: "it decides what is to be done and touches nothing: an actor takes the steps"},
	{path: "system/disks", may: []string{"configs", "context/control", "internal/guard", "resource", "system/fault",
		"system/plan", "vfs", "vfs/catalog"},
		because: "it has the files of contexts, and knows the other unit by an interface"},
	{path: "system/lifecycle", may: []string{"configs", "configs/host", "context/control", "internal/durable",
		"resource", "system/disks", "system/events", "system/fault", "system/plan", "system/texts",
		"vfs", "vfs/fetch"},
		because: "it has the configuration and its versions, knows contexts by an Actor, and tells what it does"},
	{path: "system/tenants", may: []string{"configs", "context/spawn", "context/netns", "context/control",
		"context/policy", "context/spec", "esp/stats", "ike/pki", "resource", "resource/cgroup",
		"internal/fdstore", "internal/guard", "system/disks", "system/events", "system/fault", "system/plan",
		"system/users"},
		because: "it runs contexts, and is told by others what is to run and which role it has"},
	{path: "system/texts", pure: true, may: []string{"configs"},
		because: "it keeps what a configuration was read from, whoever reads it"},
	{path: "system/backup", may: []string{"system/fault", "system/texts", "vfs"},
		because: "it is the form of a backup: what is done with one, others decide"},
	{path: "system/checker", may: []string{"configs", "context/confine", "context/control", "context/privileges"},
		because: "it has texts parsed where nothing can be lost, whatever is done with them afterwards"},
	{path: "system/events", may: []string{"context/control", "context/eventlog"},
		because: "it hands on what happens, whoever tells it and whoever reads"},
	{path: "system/fault", pure: true, because: "it is a leaf: what an error is for an operator, whoever finds it"},
	{path: "system/task", because: "it is a leaf"},
	{path: "system/users", pure: true, because: "it is a leaf: which process is which user"},
	{path: "system/web/...", planned: true, may: []string{"system/api", "system/client"},
		because: "the dashboard uses the same API as everybody"},

	// Tenants.
	{path: "context/spec", pure: true, may: []string{"esp/sa", "ike/identity", "internal/secret"},
		because: "it is a leaf: values that configs and the worker share"},
	{path: "context/control", pure: true, may: []string{"context/spec", "esp/stats", "failover", "internal/record",
		"resource"},
		because: "it is the language between supervisor and worker: values only, failover's words for units and " +
			"replication, and records as the form of events"},
	{path: "context/eventlog", may: []string{"context/control"},
		because: "it makes lines of events, whoever writes them"},
	{path: "context/pcapng", pure: true, because: "it is a leaf: a form of file"},
	{path: "context/capture", may: []string{"context/control", "context/pcapng", "esp/plane", "esp/sa", "esp/tun",
		"internal/build"},
		because: "it shows packets of a tenant to whoever reads them, and knows neither IKE nor the " +
			"supervisor's sockets"},
	{path: "context/session", pure: true, may: []string{"context/policy", "context/pool", "context/spec", "resource"},
		because: "a session is one whatever made it: it knows limits, logins and addresses, and no protocol"},
	{path: "context/policy", pure: true, may: []string{"context/spec", "ike/identity"},
		because: "it resolves attributes from a specification"},
	{path: "context/pool", pure: true, may: []string{"context/spec"},
		because: "it leases addresses from a specification"},
	{path: "context/pipe", may: []string{"context/control"},
		because: "it moves control messages and descriptors, whatever they mean"},
	{path: "context/netns", may: []string{"context/spec", "context/control", "context/policy", "esp/tun", "failover",
		"internal/dirwatch", "internal/fdstore", "resource"},
		because: "it arranges namespaces and devices for whoever asks; of failover it knows the role, which says " +
			"whose addresses they carry, and of policies what clients may reach through the tunnel"},
	{path: "context/confine", may: []string{"context/control"},
		because: "it puts a process into a sandbox, whatever it is there for"},
	{path: "context/privileges", may: []string{"context/control"},
		because: "a process gives up what it could still gain, whatever it is there for"},
	{path: "context/spawn", may: []string{"context/confine", "context/control", "context/eventlog", "context/netns",
		"context/pipe",
		"context/spec", "failover", "internal/fdstore", "internal/record", "resource",
		"internal/secret", "internal/backlog", "internal/uptime", "internal/guard"},
		because: "it is the supervisor's side of a worker and shares only messages with the other side"},
	{path: "context/aaa", may: []string{"context/aaa/radius", "context/spec", "ike/eap", "internal/password",
		"internal/secret"},
		because: "it answers who somebody is, and knows neither IKE nor ESP"},
	{path: "context/aaa/radius", pure: true, may: []string{"internal/secret"},
		because: "a protocol between gateways and servers, whoever logs in and whatever that is good for"},
	{path: "context/aaa/radius/radiustest", may: []string{"context/aaa/radius"},
		because: "it answers as servers do, for tests"},
	{path: "context/replica", may: []string{"context/control", "esp", "esp/sa", "failover", "failover/journal",
		"failover/link",
		"ike", "ike/exchange", "internal/record", "internal/secret"},
		because: "it keeps what others made: it reads records of IKE and counters of ESP, and calls neither"},
	{path: "context/worker", may: []string{"ike", "ike/exchange", "ike/pki", "esp", "esp/plane", "esp/tun", "esp/sa",
		"esp/stats",
		"context/aaa", "context/aaa/radius",
		"context/control", "context/capture", "context/eventlog", "context/pipe", "context/pool", "context/privileges",
		"context/replica", "context/session", "context/spec",
		"resource", "internal/build", "internal/panics", "internal/secret", "internal/uptime"},
		because: "the worker brings engine, data plane, sessions and journal together, and may not reach what is " +
			"privileged"},

	// Protocols.
	{path: "ike", pure: true, may: []string{"ike/...", "esp/sa", "internal/panics", "internal/secret", "resource"},
		because: "ike, esp and failover share the values in esp/sa and meet only in context/worker; a token bucket " +
			"is arithmetic"},
	{path: "ike/exchange", pure: true, may: []string{"esp/sa", "ike/identity", "ike/pki", "internal/record",
		"internal/secret"},
		because: "it is a leaf: what every version of IKE has in common knows none of them, and no message"},
	{path: "ike/ikev1/...", planned: true, pure: true, may: []string{"ike/ikev1/...", "ike/auth", "ike/eap",
		"ike/exchange", "ike/identity", "ike/suite", "ike/wire", "esp/sa", "internal/secret"},
		because: "a version of IKE knows neither the engine above it nor the other version"},
	{path: "ike/ikev2/...", pure: true, may: []string{"ike/auth", "ike/exchange", "ike/identity", "ike/pki",
		"ike/suite", "ike/wire", "esp/sa", "internal/record", "internal/secret", "resource"},
		because: "a version of IKE knows neither the engine above it nor the other version; a token bucket is " +
			"arithmetic"},
	{path: "ike/auth", pure: true, may: []string{"ike/identity", "ike/pki", "ike/suite", "ike/wire",
		"internal/secret"},
		because: "signatures know messages and algorithms, not exchanges"},
	{path: "ike/pki", pure: true, may: []string{"ike/identity", "ike/wire", "internal/secret"},
		because: "certificates say who somebody is and know no message: whoever reads configurations reads them, too"},
	{path: "ike/pki/pkitest", because: "it makes certificates for tests and the lab"},
	{path: "ike/identity", pure: true, may: []string{"ike/wire"},
		because: "who somebody says to be is a payload and its notation; what proves it is for others to know"},
	{path: "ike/eap", pure: true, may: []string{"internal/secret"},
		because: "EAP methods know nothing of the exchanges that carry them"},
	{path: "ike/suite", pure: true, may: []string{"ike/wire", "esp/sa", "internal/secret"},
		because: "algorithms know nothing of exchanges"},
	{path: "ike/wire", pure: true, may: []string{"esp/sa"},
		because: "codecs know bytes and registries only"},
	{path: "esp", pure: true, may: []string{"esp/replay", "esp/transform", "esp/sa"},
		because: "ike, esp and failover share the values in esp/sa and meet only in context/worker"},
	{path: "esp/sa", pure: true, may: []string{"internal/secret"},
		because: "it is a leaf: the values that everybody shares"},
	{path: "esp/stats", pure: true, because: "it is a leaf: what is counted, for those who count and those who show"},
	{path: "esp/replay", pure: true, because: "it is a leaf"},
	{path: "esp/aesgcm", pure: true, because: "it is a leaf"},
	{path: "esp/transform", pure: true, may: []string{"esp/aesgcm", "esp/sa"},
		because: "a transform sees one packet and its keys"},
	{path: "esp/tun", because: "it is a device, whoever uses it"},
	{path: "esp/plane", may: []string{"esp", "esp/sa", "esp/stats", "esp/tun"},
		because: "the pipeline moves packets and knows no IKE"},

	// Failover and resources.
	{path: "failover", pure: true, may: []string{"internal/record", "internal/secret"},
		because: "roles are decided without a look at what is replicated; ike, esp and failover meet only in " +
			"context/worker"},
	{path: "failover/journal", pure: true, may: []string{"internal/record"},
		because: "the journal orders records and does not read them"},
	{path: "failover/link", may: []string{"failover", "failover/journal", "internal/record", "internal/secret"},
		because: "the link carries what the node decides"},
	{path: "resource", pure: true, because: "it is a leaf"},
	{path: "resource/cgroup", may: []string{"internal/dirwatch"},
		because: "it gives the kernel the numbers that it is given, and knows nobody who has them"},
	{path: "vfs/fetch", because: "it is a leaf: it gets bytes from servers, whatever they mean"},
	{path: "vfs/catalog", pure: true, may: []string{"internal/record"},
		because: "which version of a file counts is decided without a look at any file"},
	{path: "vfs", may: []string{"vfs/catalog"}, because: "files know nothing of what is in them"},

	// What stands beside.
	{path: "internal/secret", pure: true, because: "it is a leaf: everybody holds secrets"},
	{path: "internal/password", pure: true, may: []string{"internal/secret"},
		because: "it is a leaf: a form of passwords, whoever's they are"},
	{path: "internal/record", pure: true, may: []string{"internal/secret"},
		because: "it is a leaf: a form of bytes, whatever they mean; ike and failover share it and nothing else"},
	{path: "internal/backlog", may: []string{"resource"},
		because: "it is a leaf: it keeps what waits to be written, and paces what it tells as limits are told of"},
	{path: "internal/sealed", because: "it is a leaf: it encrypts a stream, whatever is in it"},
	{path: "internal/uptime", because: "it is a leaf: the clock of the machine"},
	{path: "internal/guard", may: []string{"internal/panics"},
		because: "it calls what it is given, and tells of its panic"},
	{path: "internal/panics", pure: true, because: "it is a leaf: it says what may be told of a panic"},
	{path: "internal/dirwatch", because: "it is a leaf: it tells what is removed, whatever that is"},
	{path: "internal/fdstore", because: "it is a leaf: it has descriptors kept, whatever they are"},
	{path: "internal/fdstore/fdstoretest", because: "it is a keeper of descriptors for tests and the lab"},
	{path: "internal/durable", because: "it is a leaf: it replaces files, whatever is in them"},
	{path: "internal/build", because: "it is a leaf: every program has a version"},
	{path: "internal/archtest", because: "it judges the others and needs none of them"},
	{path: "internal/lab/...", may: []string{"configs/contract", "ike/pki/pkitest", "internal/fdstore/fdstoretest",
		"internal/lab/...", "system/api", "system/client"},
		because: "the lab runs the programs as an operator does, from outside"},
	{path: "internal/lab/taken", may: []string{"context/control",
		"context/worker", "context/pipe", "context/privileges"},
		because: "it is the worker, in the hands of somebody else"},
	{path: "e2e/...", may: []string{"internal/lab/..."},
		because: "ring iv sees the programs from outside"},
	{path: "interop", may: []string{"internal/lab"},
		because: "it sees the programs from outside, on other systems"},
	{path: "conformance", may: []string{"internal/lab"},
		because: "it sees the programs from outside, beside strongSwan"},
	{path: "bench/...", may: []string{"..."}, because: "it measures anything"},
}

// testRoom is the room of every package whose name ends in "test": fakes and
// simulators that stand beside what they test.
var testRoom = room{path: "*test", may: []string{"..."}, because: "it is used by tests only"}

// thirdParty says where a module of others may be used, and why nowhere else.
var thirdParty = []struct {
	module  string
	in      []string
	because string
}{
	{"github.com/hashicorp/hcl/", []string{"configs/..."}, "the language of configuration is known in one place"},
	{"github.com/zclconf/go-cty", []string{"configs/..."}, "the language of configuration is known in one place"},
	{"github.com/elastic/go-seccomp-bpf", []string{"context/confine"},
		"the worker gets its filter ready made, and links no assembler"},
	{"github.com/spf13/cobra", []string{"cmd/warren"}, "flags are the CLI's affair"},
	{"github.com/containerd/cgroups/", []string{"resource/cgroup"}, "cgroups are known in one place"},
	{"github.com/opencontainers/runtime-spec/", []string{"resource/cgroup"}, "cgroups are known in one place"},
	{"github.com/vishvananda/netlink", []string{"context/netns", "internal/lab/...", "e2e/...", "bench/..."},
		"the kernel's network is arranged in one place"},
	{"github.com/vishvananda/netns", []string{"context/netns", "internal/lab/...", "e2e/...", "bench/..."},
		"namespaces are entered in one place"},
	{"github.com/coreos/go-systemd/", []string{"system"}, "systemd is the supervisor's affair"},
}
