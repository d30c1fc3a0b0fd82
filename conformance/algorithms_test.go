//go:build e2e

package conformance

// twoSuites connects carol and dave, each with its proposals for the IKE SA and for
// the child; moon says in its own words what it has with them.
func twoSuites(carol, dave [2]string, carolHas, daveHas [2]string) []step {
	with := func(name string, p [2]string) step {
		return peer(name, client(name, "home.proposals = "+p[0], "home.children.home.esp_proposals = "+p[1]))
	}
	return []step{with("carol", carol), with("dave", dave), up("carol", "home"), up("dave", "home"), sas(2, 1),
		suite("carol", carolHas[0], carolHas[1]), suite("dave", daveHas[0], daveHas[1]), ping("carol", "alice"),
		ping("dave", "alice"), ping("alice", "carol"), ping("alice", "dave")}
}

// byAlgorithms are scenarios about what both ends agree upon.
var byAlgorithms = []scenario{
	{number: 172, moon: gateway(proposals(`"aes-256-gcm", "aes-128-gcm"`, `"modp3072", "ecp256", "x25519"`), roadWarriors),
		steps: twoSuites([2]string{"aes256gcm16-prfsha384-modp3072", "aes256gcm16-modp3072"},
			[2]string{"aes128gcm16-prfsha256-ecp256", "aes128gcm16-ecp256"},
			[2]string{"aes-256-gcm", "modp3072"}, [2]string{"aes-128-gcm", "ecp256"})},
	{number: 173, moon: gateway(proposals(`"chacha20-poly1305"`, `"modp3072", "ecp256"`), roadWarriors),
		steps: twoSuites([2]string{"chacha20poly1305-prfsha256-modp3072", "chacha20poly1305-modp3072"},
			[2]string{"chacha20poly1305-prfsha256-ecp256", "chacha20poly1305-ecp256"},
			[2]string{"chacha20-poly1305", "modp3072"}, [2]string{"chacha20-poly1305", "ecp256"})},
	{number: 174, moon: gateway(proposals(`"aes-256-gcm"`, `"ecp384", "ecp521"`), roadWarriors),
		steps: twoSuites([2]string{"aes256gcm16-prfsha384-ecp384", "aes256gcm16-ecp384"},
			[2]string{"aes256gcm16-prfsha384-ecp521", "aes256gcm16-ecp521"},
			[2]string{"aes-256-gcm", "ecp384"}, [2]string{"aes-256-gcm", "ecp521"})},
	{number: 175, moon: gateway(roadWarriors), steps: []step{
		peer("carol", client("carol", "home.proposals = aes256gcm16-prfsha384-modp1024s160")),
		refused("carol", "home", "NO_PROP"),
		peer("dave", client("dave", "home.proposals = aes256gcm16-prfsha384-modp2048s256-x25519")),
		up("dave", "home"), sas(1, 1),
		logged("dave", "peer didn't accept DH group MODP_2048_256, it requested CURVE_25519"),
		suite("dave", "aes-256-gcm", "x25519"), ping("dave", "alice"),
	}},
}
