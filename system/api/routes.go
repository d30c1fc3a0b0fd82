package api

import (
	"net/http"
	"time"

	"github.com/warrenvpn/warren/context/control"
)

// The time that a route may take in all. A reload starts and stops workers, so
// it may take long; everything else is bounded by the workers' time-out.
const (
	quickTimeout  = 30 * time.Second
	reloadTimeout = 5 * time.Minute
	// transferTimeout is for the content of files. A caller that stalls is ended
	// much sooner.
	transferTimeout = time.Hour
)

// contextParam limits an answer to one context; nameParam is the name of a file.
const (
	contextParam = "context"
	wakeParam    = "wake"
	nameParam    = "name"
	sessionParam = "session"
	sinceParam   = "since"
	sumParam     = "sha256"
	offsetParam  = "offset"
	anyParam     = "*" // whatever there is
)

// route is one line of the table.
type route struct {
	verb, path string
	role       Role
	timeout    time.Duration
	params     []string // query parameters that the route knows
	maxBody    int64    // bytes of the request's body; less than the usual bound: that
	body       any      // example of the request's body; nil: it has none
	answer     any      // example of the answer's body
	summary    string
	handle     func(*Server, *http.Request) (any, error)
	// stream replaces handle where the answer is written as it comes. An error is
	// answered, unless the answer has begun.
	stream func(*Server, *transfer, *http.Request) error
}

// routes is everything that the API can do.
var routes = []route{
	{
		verb: http.MethodGet, path: "/v1/status", role: RoleRead, timeout: quickTimeout,
		answer:  Status{},
		summary: "Tells whether every context is ready.",
		handle:  (*Server).status,
	},
	{
		verb: http.MethodGet, path: "/v1/contexts", role: RoleRead, timeout: quickTimeout,
		params: []string{contextParam}, answer: Contexts{},
		summary: "Lists contexts: class, interfaces, state, role, worker.",
		handle:  (*Server).contexts,
	},
	{
		verb: http.MethodGet, path: "/v1/ike-sas", role: RoleRead, timeout: quickTimeout,
		params: []string{contextParam}, answer: IKESAs{},
		summary: "Lists IKE SAs with their child SAs.",
		handle:  (*Server).ikeSAs,
	},
	{
		verb: http.MethodGet, path: "/v1/child-sas", role: RoleRead, timeout: quickTimeout,
		params: []string{contextParam}, answer: ChildSAs{},
		summary: "Lists child SAs: selectors, SPIs, counters, lifetimes.",
		handle:  (*Server).childSAs,
	},
	{
		verb: http.MethodGet, path: "/v1/ipsec-stats", role: RoleRead, timeout: quickTimeout,
		params: []string{contextParam}, answer: IPsecStatistics{},
		summary: "Lists what the data plane of each context has carried and dropped, by cause.",
		handle:  (*Server).ipsecStats,
	},
	{
		verb: http.MethodGet, path: "/v1/sessions", role: RoleRead, timeout: quickTimeout,
		params: []string{contextParam}, answer: Sessions{},
		summary: "Lists VPN sessions: user, group, addresses, bytes, duration.",
		handle:  (*Server).sessions,
	},
	{
		verb: http.MethodGet, path: "/v1/aaa-servers", role: RoleRead, timeout: quickTimeout,
		params: []string{contextParam}, answer: AAAServers{},
		summary: "Lists the servers that know users: state, counters.",
		handle:  (*Server).aaaServers,
	},
	{
		verb: http.MethodGet, path: "/v1/resources", role: RoleRead, timeout: quickTimeout,
		params: []string{contextParam}, answer: Resources{},
		summary: "Lists resources: current, peak, limit, denied.",
		handle:  (*Server).resources,
	},
	{
		verb: http.MethodGet, path: "/v1/events", role: RoleRead, timeout: streamTimeout,
		params: []string{contextParam, kindParam}, answer: Event{},
		summary: "Tells what happens from now on, one JSON object a line, until the caller goes away; of kinds that " +
			"are joined with commas, or of all. Whoever reads too slowly misses events, and is told how many.",
		stream: (*Server).events,
	},
	{
		verb: http.MethodGet, path: "/v1/failover", role: RoleRead, timeout: quickTimeout,
		answer:  Failover{},
		summary: "Describes the failover pair: unit, roles, peer, links, replication, the last changes.",
		handle:  (*Server).failover,
	},
	{
		verb: http.MethodGet, path: peerPath + "{path...}", role: RoleRead, timeout: quickTimeout,
		params: []string{anyParam}, answer: map[string]any{},
		summary: "Asks the peer: what stands in place of path is a path of its API, without /v1/.",
		stream:  (*Server).askPeer,
	},
	{
		verb: http.MethodPost, path: "/v1/failover/sync-config", role: RoleAdmin, timeout: reloadTimeout,
		answer: Synced{},
		summary: "Gives what the units have in common, of the system file and with the files of all contexts, " +
			"to the peer, which runs it: all or nothing.",
		handle: (*Server).syncConfig,
	},
	{
		verb: http.MethodPost, path: "/v1/failover/contexts", role: RolePeer, timeout: reloadTimeout,
		maxBody: maxContextFiles,
		body:    ContextFiles{}, answer: Synced{},
		summary: "Takes the files of contexts from the peer that is active for them.",
		handle:  (*Server).takeConfig,
	},
	{
		verb: http.MethodPost, path: "/v1/failover/change", role: RolePeer, timeout: reloadTimeout,
		maxBody: maxContextFiles,
		body:    JointChange{}, answer: Synced{},
		summary: "Takes a configuration from the peer, as far as both units have it in common: all or nothing.",
		handle:  (*Server).takeChange,
	},
	{
		verb: http.MethodPost, path: "/v1/failover/settle", role: RolePeer, timeout: reloadTimeout,
		body: Settlement{}, answer: Settled{},
		summary: "Says what becomes of a configuration that was taken from the peer.",
		handle:  (*Server).settleChange,
	},
	{
		verb: http.MethodGet, path: "/v1/failover/common", role: RolePeer, timeout: quickTimeout,
		params: []string{briefParam}, answer: CommonView{},
		summary: "Describes to the peer what both units have in common; brief=true is a digest alone.",
		handle:  (*Server).common,
	},
	{
		verb: http.MethodGet, path: "/v1/failover/diff", role: RoleAdmin, timeout: quickTimeout,
		params: []string{contextParam}, answer: Diff{},
		summary: "Compares what runs on the peer with what runs on this unit.",
		handle:  (*Server).diffPeer,
	},
	{
		verb: http.MethodPost, path: "/v1/failover/switch", role: RoleAdmin, timeout: quickTimeout,
		body: Switch{}, answer: Switched{},
		summary: "Makes the other unit active for a failover group.",
		handle:  (*Server).switchFailover,
	},
	{
		verb: http.MethodPost, path: "/v1/contexts/{context}/logoff", role: RoleAdmin, timeout: quickTimeout,
		body: control.Logoff{}, answer: control.LogoffDone{},
		summary: "Ends sessions of a context with a proper DELETE.",
		handle:  (*Server).logoff,
	},
	{
		verb: http.MethodGet, path: "/v1/contexts/{context}/keys", role: RoleAdmin, timeout: quickTimeout,
		answer:  control.Keys{},
		summary: "Exports the keys of a context's SAs for Wireshark: for debugging only.",
		handle:  (*Server).keys,
	},
	{
		verb: http.MethodGet, path: "/v1/contexts/{context}/capture", role: RoleAdmin, timeout: captureTimeout,
		params: []string{interfaceParam, countParam, durationParam}, answer: content{},
		summary: "Captures packets of one interface, or inside of the SAs (\"decrypted\"), as pcapng: as they come, " +
			"until the caller goes away.",
		stream: (*Server).capture,
	},
	{
		verb: http.MethodPost, path: "/v1/contexts/{context}/rekey", role: RoleAdmin, timeout: quickTimeout,
		body: control.Logoff{}, answer: control.Rekeyed{},
		summary: "Begins to replace the IKE SAs of peers, with their child SAs.",
		handle:  (*Server).rekey,
	},
	{
		verb: http.MethodPost, path: "/v1/contexts/{context}/restart", role: RoleAdmin, timeout: quickTimeout,
		answer:  Restarted{},
		summary: "Replaces the worker of a context; SAs stay.",
		handle:  (*Server).restart,
	},
	{
		verb: http.MethodPost, path: "/v1/shutdown", role: RoleAdmin, timeout: quickTimeout,
		answer:  Stopping{},
		summary: "Ends warrend and all contexts, with a DELETE to every peer.",
		handle:  (*Server).shutdown,
	},
	{
		verb: http.MethodPost, path: "/v1/reload", role: RoleAdmin, timeout: reloadTimeout,
		params: []string{strictParam, staleParam, localParam}, answer: Reload{},
		summary: "Reads the configuration again and touches only what changed, on both units of a pair " +
			"unless local=true. " +
			"Contexts whose configuration cannot be used go on as they run; " +
			"with strict=true nothing is changed then, and with allow_stale=true the last good copy " +
			"of what a server has is good enough.",
		handle: (*Server).reload,
	},
	{
		verb: http.MethodGet, path: "/v1/config/plan", role: RoleAdmin, timeout: quickTimeout,
		params: []string{strictParam, staleParam, basisParam}, answer: Plan{},
		summary: "Says what applying the startup configuration would do; changes nothing. With basis=true, also what " +
			"that follows from.",
		handle: (*Server).plan,
	},
	{
		verb: http.MethodPost, path: "/v1/config/apply", role: RoleAdmin, timeout: reloadTimeout,
		maxBody: maxPlan,
		body:    Apply{}, answer: Applied{},
		summary: "Makes the startup configuration the running one, on both units of a pair: all of it or, on any " +
			"error, nothing. " +
			"Contexts whose own configuration cannot be used go on as they run.",
		handle: (*Server).apply,
	},
	{
		verb: http.MethodPost, path: "/v1/config/confirm", role: RoleAdmin, timeout: quickTimeout,
		answer:  Version{},
		summary: "Keeps a configuration that would be rolled back.",
		handle:  (*Server).confirm,
	},
	{
		verb: http.MethodPost, path: "/v1/config/rollback", role: RoleAdmin, timeout: reloadTimeout,
		body: Rollback{}, answer: Applied{},
		summary: "Makes an earlier version the running configuration; the startup configuration stays.",
		handle:  (*Server).rollback,
	},
	{
		verb: http.MethodPost, path: "/v1/config/write-memory", role: RoleAdmin, timeout: quickTimeout,
		answer:  Written{},
		summary: "Makes the running configuration the startup configuration.",
		handle:  (*Server).writeMemory,
	},
	{
		verb: http.MethodGet, path: "/v1/config/running", role: RoleAdmin, timeout: quickTimeout,
		params: []string{contextParam}, answer: ConfigTexts{},
		summary: "Shows the running configuration; secrets are stars.",
		handle:  (*Server).runningConfig,
	},
	{
		verb: http.MethodGet, path: "/v1/config/startup", role: RoleAdmin, timeout: quickTimeout,
		params: []string{contextParam}, answer: ConfigTexts{},
		summary: "Shows the startup configuration; secrets are stars.",
		handle:  (*Server).startupConfig,
	},
	{
		verb: http.MethodGet, path: "/v1/config/diff", role: RoleAdmin, timeout: quickTimeout,
		answer:  Diff{},
		summary: "Compares the startup with the running configuration.",
		handle:  (*Server).diff,
	},
	{
		verb: http.MethodGet, path: "/v1/config/history", role: RoleRead, timeout: quickTimeout,
		answer:  History{},
		summary: "Lists the versions of the running configuration.",
		handle:  (*Server).history,
	},
	{
		verb: http.MethodGet, path: "/v1/files", role: RoleRead, timeout: quickTimeout,
		params: []string{nameParam}, answer: Directory{},
		summary: "Lists a directory of a context, or one file.",
		handle:  (*Server).listFiles,
	},
	{
		verb: http.MethodGet, path: "/v1/backup", role: RoleAdmin, timeout: transferTimeout,
		answer: content{},
		summary: "Backs up the configuration with its secrets, its versions, and all files of volumes: a tar " +
			"archive, as it comes.",
		stream: (*Server).backup,
	},
	{
		verb: http.MethodPost, path: "/v1/restore", role: RoleAdmin, timeout: transferTimeout,
		params: []string{planParam, runningParam, confirmParam, commentParam, localParam},
		body:   content{}, answer: Restored{},
		summary: "Restores a backup: all of it or, on any error, nothing. With plan=true, only says what that would " +
			"do; running is the version that then runs.",
		handle: (*Server).restore,
	},
	{
		verb: http.MethodGet, path: "/v1/certificates", role: RoleRead, timeout: quickTimeout,
		answer:  CertificateList{},
		summary: "Lists the certificates of contexts, and until when they are valid.",
		handle:  (*Server).certificates,
	},
	{
		verb: http.MethodGet, path: "/v1/contexts/{context}/policy", role: RoleRead, timeout: quickTimeout,
		params: []string{userParam, groupParam, interfaceParam}, answer: Policy{},
		summary: "Says what a session of a user would get, attribute by attribute, and from whom.",
		handle:  (*Server).policy,
	},
	{
		verb: http.MethodGet, path: "/v1/orphans", role: RoleRead, timeout: quickTimeout,
		answer:  OrphanList{},
		summary: "Lists the disks of contexts that were removed.",
		handle:  (*Server).orphans,
	},
	{
		verb: http.MethodPost, path: "/v1/orphans/erase", role: RolePeer, timeout: reloadTimeout,
		body: EraseOrphans{}, answer: ErasedOrphans{},
		summary: "Erases disks of contexts that were removed, for good; on both units of a pair.",
		handle:  (*Server).eraseOrphans,
	},
	{
		verb: http.MethodDelete, path: "/v1/files", role: RoleAdmin, timeout: quickTimeout,
		params: []string{nameParam}, answer: Deleted{},
		summary: "Deletes a file or an empty directory.",
		handle:  (*Server).deleteFile,
	},
	{
		verb: http.MethodGet, path: "/v1/files/content", role: RolePeer, timeout: transferTimeout,
		params: []string{nameParam, sumParam, offsetParam}, answer: content{},
		summary: "Reads a file; with sha256 only that content, from offset on.",
		stream:  (*Server).readFile,
	},
	{
		verb: http.MethodPut, path: "/v1/files/content", role: RoleAdmin, timeout: transferTimeout,
		params: []string{nameParam}, body: content{}, answer: FileInfo{},
		summary: "Makes or replaces a file. The request needs a Content-Length.",
		handle:  (*Server).writeFile,
	},
	{
		verb: http.MethodGet, path: "/v1/files/checksum", role: RoleRead, timeout: transferTimeout,
		params: []string{nameParam}, answer: FileInfo{},
		summary: "Reads a whole file and returns its checksum.",
		handle:  (*Server).verifyFile,
	},
	{
		verb: http.MethodPost, path: "/v1/files/copy", role: RoleAdmin, timeout: transferTimeout,
		body: Copy{}, answer: CopyEvent{},
		summary: "Copies a file; the answer is one event per line, the last with the file or an error.",
		stream:  (*Server).copyFile,
	},
	{
		verb: http.MethodGet, path: "/v1/disks", role: RoleRead, timeout: quickTimeout,
		params: []string{wakeParam}, answer: Versions{},
		summary: "Tells in which state the disks are; wake=true has them follow the other unit's at once.",
		handle:  (*Server).versions,
	},
	{
		verb: http.MethodGet, path: "/v1/disks/news", role: RolePeer, timeout: quickTimeout,
		params: []string{contextParam, sessionParam, sinceParam}, answer: content{},
		summary: "Tells what has changed on the disk of a context behind a position: what the units of a pair tell " +
			"each other.",
		stream: (*Server).news,
	},
	{
		verb: http.MethodGet, path: "/v1/disks/manifest", role: RoleRead, timeout: transferTimeout,
		params: []string{contextParam}, answer: Manifest{},
		summary: "Lists everything on the disk of a context, with checksums, and what was deleted there: for a unit " +
			"whose program is older.",
		handle: (*Server).manifest,
	},
	{
		verb: http.MethodGet, path: "/v1/openapi.json", role: RoleRead, timeout: quickTimeout,
		answer:  map[string]any{},
		summary: "Serves this document.",
		handle:  (*Server).openAPI,
	},
}
