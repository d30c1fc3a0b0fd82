package ikev2

import (
	"errors"
	"fmt"

	"github.com/warrenvpn/warren/ike/auth"
	"github.com/warrenvpn/warren/ike/exchange"
	"github.com/warrenvpn/warren/ike/identity"
	"github.com/warrenvpn/warren/ike/wire"
)

// IKE_AUTH is a conversation (RFC 7296 sections 1.2 and 2.16): of one exchange with
// most methods, of as many as it takes where one side asks the other something
// first. Each side takes the messages of the other as steps; a step comes to one of
// five outcomes.

// outcome is what a step of a conversation comes to: the peer has proven who it is,
// or it is told notify, and the operator reason, or work is to be done, or an authority to be
// asked, before that is known, or else more is said to it.
type outcome struct {
	more    []wire.Payload
	proven  bool
	work    *work
	consult *exchange.AskEAP
	notify  wire.Notify
	reason  string // not "": the conversation is over, and more, if there is any, is said instead of notify
	doubt   string // why the peer, which is told more, will not be let in, for the operator; "": it may be
	told    string // what the peer has said about it
}

// refused is the outcome that ends a conversation.
func refused(n wire.NotifyType, reason string) outcome {
	return outcome{notify: wire.Notify{Type: n}, reason: reason}
}

// denied is refused with AUTHENTICATION_FAILED.
func denied(reason string) outcome { return refused(wire.AuthenticationFailed, reason) }

// disproven says why the certificate of a peer does not prove that it is id, and unsigned
// why there is no signature of ours, for the operator.
func disproven(group string, id identity.Identity, err error) string {
	var f *auth.Failure
	if errors.As(err, &f) {
		return fmt.Sprintf("peer %v does not prove its identity (tunnel group %s): %s", id, group, f.Reason)
	}
	return fmt.Sprintf("peer %v does not prove its identity (tunnel group %s): %v", id, group, err)
}

func unsigned(group string, id identity.Identity, err error) string {
	if errors.Is(err, auth.ErrNoHash) {
		return fmt.Sprintf("peer %v understands no signature of the key of this gateway (tunnel group %s); "+
			"with an RSA key, rsa_sig_hash = \"sha1\" is for peers without RFC 7427", id, group)
	}
	return fmt.Sprintf("tunnel group %s has no signature for peer %v: %v", group, id, err)
}

// hint says what an operator should look at.
func hint(t wire.NotifyType) string {
	switch t {
	case wire.AuthenticationFailed:
		return t.String() + ": check pre-shared keys or certificates, and identities, on both sides"
	case wire.NoAdditionalSAs:
		return t.String() + ": its limit of sessions is reached"
	case wire.NoProposalChosen:
		return t.String() + ": no proposal in common"
	}
	return t.String()
}

// errorNotify returns the notification for a message that was authentic but
// cannot be understood.
func errorNotify(err error) wire.Notify {
	var e *wire.Error
	if errors.As(err, &e) {
		return e.Response()
	}
	return wire.Notify{Type: wire.InvalidSyntax}
}
