package eap

import (
	"crypto/rand"
	"fmt"
	"io"
	"slices"

	"github.com/warrenvpn/warren/internal/secret"
)

// MSKLen is the length of an MSK in bytes (RFC 3748 section 7.10).
const MSKLen = 64

// maxResponses bounds the responses of one conversation: every method may be refused once,
// and the longest one takes three.
const maxResponses = 12

// User is what a server knows of a user. What is empty is not known, and a method that needs
// it lets nobody in.
type User struct {
	Name     string       // the user's own name, whatever the client wrote; "": there is no such user
	Password secret.Value // in plain text, UTF-8: MD5
	NTHash   secret.Value // NTHashLen bytes: MSCHAPv2
	// Verify reports whether a password is the user's: GTC. nil: none is. It takes the same time
	// for every user, also for one who does not exist.
	Verify func(password []byte) bool
}

// Config is what a Server works from.
type Config struct {
	Name    string // of the server, for people
	Methods []Type // TypeMSCHAPv2, TypeGTC, TypeMD5; the first one is offered first
	// Lookup returns what is known of the user called name, as the client writes it. Of one
	// who does not exist that is a User without a Name, whose Verify is there.
	Lookup func(name string) User
	Rand   io.Reader // nil: crypto/rand
}

// Server is the server's side of one conversation. It is not safe for concurrent use.
type Server struct {
	cfg       Config
	identity  string // what the client says that it is called
	left      []Type // methods that have not been refused
	asked     Packet // the request that is not answered
	method    method // whose it is; nil: the conversation has not begun, or is over
	underway  bool   // the client has answered it
	responses int
	over      bool
}

// Outcome says how far a conversation is.
type Outcome uint8

// The outcomes.
const (
	More     Outcome = iota // Message is a Request
	Accepted                // Message is a Success
	Rejected                // Message is a Failure
)

// Step is what a packet of the client comes to.
type Step struct {
	Outcome Outcome
	Message []byte // the packet that answers it

	// Of Accepted: MSK has MSKLen bytes, or none where the method has no key; User is
	// User.Name.
	MSK  secret.Value
	User string

	Reason string // of Rejected, for the operator; of More: the client will be, whatever it answers
}

// method is one method of one conversation.
type method interface {
	// request returns the data of its first request.
	request(identifier uint8) []byte
	// next takes the data of the response to the request called identifier. The next request,
	// where there is one, is called one more.
	next(identifier uint8, data []byte) result
}

// result is what a response comes to: another request, or a user who is let in, or a reason
// why nobody is, with a request that has to be sent nevertheless.
type result struct {
	request []byte
	user    string
	msk     secret.Value
	reason  string
}

// refuse returns the result that lets nobody in.
func refuse(format string, args ...any) result { return result{reason: fmt.Sprintf(format, args...)} }

// NewServer begins a conversation.
func NewServer(cfg *Config) *Server {
	s := &Server{cfg: *cfg, left: slices.Clone(cfg.Methods)}
	if s.cfg.Rand == nil {
		s.cfg.Rand = rand.Reader
	}
	return s
}

// Next takes a packet of the client, the first one its EAP-Response/Identity. After a Step
// that is not More the conversation is over.
func (s *Server) Next(message []byte) Step {
	p, err := ParsePacket(message)
	if err != nil || p.Code != Response || s.over {
		return s.reject(message, "the client sends no EAP response")
	}
	if s.responses++; s.responses > maxResponses {
		return s.reject(message, "the conversation does not end")
	}
	switch {
	case s.responses == 1:
		if s.identity, err = ParseIdentity(p); err != nil {
			return s.reject(message, "the client does not say what it is called")
		}
		return s.begin(s.cfg.Methods, p)
	case s.method == nil || p.Identifier != s.asked.Identifier:
		return s.reject(message, "the client answers another request than the last one")
	case p.Type == TypeNak:
		return s.refused(p)
	case p.Type != s.asked.Type:
		return s.reject(message, fmt.Sprintf("the client answers %v with %v", s.asked.Type, p.Type))
	}
	return s.answer(p, s.method.next(p.Identifier, p.Data))
}

// begin offers the first one of methods that is left, in answer to p.
func (s *Server) begin(methods []Type, p Packet) Step {
	for _, t := range methods {
		i := slices.Index(s.left, t)
		if i < 0 {
			continue
		}
		s.left = slices.Delete(s.left, i, i+1)
		if s.method = s.newMethod(t); s.method == nil {
			continue
		}
		s.underway = false
		s.asked = Packet{Code: Request, Identifier: p.Identifier + 1, Type: t}
		s.asked.Data = s.method.request(s.asked.Identifier)
		return Step{Message: s.asked.AppendTo(nil)}
	}
	return s.reject(p.AppendTo(nil), fmt.Sprintf("the client wants %v, this gateway offers %v", methods, s.cfg.Methods))
}

// refused offers what the client wants instead (RFC 3748 section 5.3.1). It may refuse a
// method only before it has answered anything.
func (s *Server) refused(p Packet) Step {
	if s.underway {
		return s.reject(p.AppendTo(nil), fmt.Sprintf("the client refuses %v in the middle of it", s.asked.Type))
	}
	var wanted []Type
	for _, b := range p.Data[:min(len(p.Data), maxResponses)] {
		wanted = append(wanted, Type(b))
	}
	return s.begin(wanted, p)
}

// newMethod returns method t of this conversation; nil: there is none.
func (s *Server) newMethod(t Type) method {
	switch t {
	case TypeMSCHAPv2:
		return &msCHAP{server: s}
	case TypeGTC:
		return &gtc{server: s}
	case TypeMD5:
		return &md5Challenge{server: s}
	}
	return nil
}

// answer answers p with what it came to.
func (s *Server) answer(p Packet, r result) Step {
	s.underway = true
	switch {
	case r.reason != "" && r.request == nil:
		return s.reject(p.AppendTo(nil), r.reason)
	case r.request != nil:
		s.asked = Packet{Code: Request, Identifier: p.Identifier + 1, Type: s.asked.Type, Data: r.request}
		return Step{Message: s.asked.AppendTo(nil), Reason: r.reason}
	}
	s.method, s.over = nil, true
	return Step{Outcome: Accepted, MSK: r.msk, User: r.user,
		Message: Packet{Code: Success, Identifier: p.Identifier}.AppendTo(nil)}
}

// reject ends the conversation after a message of the client.
func (s *Server) reject(message []byte, reason string) Step {
	s.method, s.over = nil, true
	return Step{Outcome: Rejected, Message: FailureAfter(message), Reason: reason}
}

// random returns n random bytes.
func (s *Server) random(n int) []byte {
	b := make([]byte, n)
	if _, err := io.ReadFull(s.cfg.Rand, b); err != nil {
		panic("eap: internal error: no randomness: " + err.Error())
	}
	return b
}

// wrong says why a user is not let in, for the operator alone.
func wrong(u *User, name, method string, knows bool) string {
	switch {
	case u.Name == "":
		return fmt.Sprintf("there is no user %s", name)
	case !knows:
		return fmt.Sprintf("user %s has no password of a form that EAP-%s can verify", u.Name, method)
	}
	return fmt.Sprintf("wrong password of user %s", u.Name)
}
