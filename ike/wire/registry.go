package wire

import "fmt"

// PayloadType is the "next payload" value (RFC 7296 section 3.2).
type PayloadType uint8

// The payload types of the IANA registry that are IKEv2's.
const (
	NoNextPayload PayloadType = 0
	TypeSA        PayloadType = 33
	TypeKE        PayloadType = 34
	TypeIDi       PayloadType = 35
	TypeIDr       PayloadType = 36
	TypeCert      PayloadType = 37
	TypeCertReq   PayloadType = 38
	TypeAuth      PayloadType = 39
	TypeNonce     PayloadType = 40
	TypeNotify    PayloadType = 41
	TypeDelete    PayloadType = 42
	TypeVendor    PayloadType = 43
	TypeTSi       PayloadType = 44
	TypeTSr       PayloadType = 45
	TypeSK        PayloadType = 46
	TypeCP        PayloadType = 47
	TypeEAP       PayloadType = 48
	TypeGSPM      PayloadType = 49 // RFC 6467
	TypeIDg       PayloadType = 50 // RFC 9838
	TypeGSA       PayloadType = 51 // RFC 9838
	TypeKD        PayloadType = 52 // RFC 9838
	TypeSKF       PayloadType = 53 // RFC 7383
	TypePuzzle    PayloadType = 54 // RFC 8019
)

var payloadNames = map[PayloadType]string{
	NoNextPayload: "none", TypeSA: "SA", TypeKE: "KE", TypeIDi: "IDi", TypeIDr: "IDr", TypeCert: "CERT",
	TypeCertReq: "CERTREQ", TypeAuth: "AUTH", TypeNonce: "nonce", TypeNotify: "N", TypeDelete: "D",
	TypeVendor: "V", TypeTSi: "TSi", TypeTSr: "TSr", TypeSK: "SK", TypeCP: "CP", TypeEAP: "EAP",
	TypeGSPM: "GSPM", TypeIDg: "IDg", TypeGSA: "GSA", TypeKD: "KD", TypeSKF: "SKF", TypePuzzle: "PS",
}

// String returns the notation of RFC 7296 section 3.2.
func (t PayloadType) String() string { return name(payloadNames, t, "payload") }

// ExchangeType is the kind of exchange (RFC 7296 section 3.1).
type ExchangeType uint8

// The exchange types of the IANA registry.
const (
	IKESAInit        ExchangeType = 34
	IKEAuth          ExchangeType = 35
	CreateChildSA    ExchangeType = 36
	Informational    ExchangeType = 37
	IKESessionResume ExchangeType = 38 // RFC 5723
	GSAAuth          ExchangeType = 39
	GSARegistration  ExchangeType = 40
	GSARekey         ExchangeType = 41
	IKEIntermediate  ExchangeType = 43 // RFC 9242
	IKEFollowupKE    ExchangeType = 44 // RFC 9370
)

var exchangeNames = map[ExchangeType]string{
	IKESAInit: "IKE_SA_INIT", IKEAuth: "IKE_AUTH", CreateChildSA: "CREATE_CHILD_SA", Informational: "INFORMATIONAL",
	IKESessionResume: "IKE_SESSION_RESUME", GSAAuth: "GSA_AUTH", GSARegistration: "GSA_REGISTRATION",
	GSARekey: "GSA_REKEY", IKEIntermediate: "IKE_INTERMEDIATE", IKEFollowupKE: "IKE_FOLLOWUP_KE",
}

// String returns the name of the registry.
func (t ExchangeType) String() string { return name(exchangeNames, t, "exchange") }

// ProtocolID says which protocol a proposal, notification or deletion is about.
type ProtocolID uint8

// The protocols of RFC 7296 section 3.3.1.
const (
	ProtocolNone ProtocolID = 0
	ProtocolIKE  ProtocolID = 1
	ProtocolAH   ProtocolID = 2
	ProtocolESP  ProtocolID = 3
)

var protocolNames = map[ProtocolID]string{ProtocolNone: "none", ProtocolIKE: "IKE", ProtocolAH: "AH",
	ProtocolESP: "ESP"}

// String returns the name of the registry.
func (p ProtocolID) String() string { return name(protocolNames, p, "protocol") }

// IDType is the kind of an identity (RFC 7296 section 3.5).
type IDType uint8

// The identity types of the IANA registry.
const (
	IDIPv4   IDType = 1
	IDFQDN   IDType = 2
	IDRFC822 IDType = 3
	IDIPv6   IDType = 5
	IDDN     IDType = 9  // ID_DER_ASN1_DN
	IDGN     IDType = 10 // ID_DER_ASN1_GN
	IDKeyID  IDType = 11
	IDFC     IDType = 12 // RFC 4595
	IDNull   IDType = 13 // RFC 7619
)

var idNames = map[IDType]string{
	IDIPv4: "ID_IPV4_ADDR", IDFQDN: "ID_FQDN", IDRFC822: "ID_RFC822_ADDR", IDIPv6: "ID_IPV6_ADDR",
	IDDN: "ID_DER_ASN1_DN", IDGN: "ID_DER_ASN1_GN", IDKeyID: "ID_KEY_ID", IDFC: "ID_FC_NAME", IDNull: "ID_NULL",
}

// String returns the name of the registry.
func (t IDType) String() string { return name(idNames, t, "identity type") }

// AuthMethod says how an AUTH payload proves an identity (RFC 7296 section 3.8).
type AuthMethod uint8

// The authentication methods of the IANA registry.
const (
	AuthRSA       AuthMethod = 1
	AuthSharedKey AuthMethod = 2
	AuthDSS       AuthMethod = 3
	AuthECDSA256  AuthMethod = 9  // RFC 4754
	AuthECDSA384  AuthMethod = 10 // RFC 4754
	AuthECDSA521  AuthMethod = 11 // RFC 4754
	AuthGSPAKE    AuthMethod = 12 // RFC 6467
	AuthNull      AuthMethod = 13 // RFC 7619
	AuthSignature AuthMethod = 14 // RFC 7427
)

var authNames = map[AuthMethod]string{
	AuthRSA: "RSA signature", AuthSharedKey: "shared key", AuthDSS: "DSS signature", AuthECDSA256: "ECDSA-256",
	AuthECDSA384: "ECDSA-384", AuthECDSA521: "ECDSA-521", AuthGSPAKE: "secure password", AuthNull: "null",
	AuthSignature: "digital signature",
}

// String returns a short name.
func (m AuthMethod) String() string { return name(authNames, m, "authentication method") }

// IsSignature reports whether the method proves an identity with the key of a certificate.
func (m AuthMethod) IsSignature() bool {
	switch m {
	case AuthRSA, AuthDSS, AuthECDSA256, AuthECDSA384, AuthECDSA521, AuthSignature:
		return true
	}
	return false
}

// CertEncoding is the form of a certificate (RFC 7296 section 3.6).
type CertEncoding uint8

// The certificate encodings of the IANA registry that are in use.
const (
	CertPKCS7     CertEncoding = 1
	CertX509      CertEncoding = 4
	CertCRL       CertEncoding = 7
	CertHashURL   CertEncoding = 12
	CertHashURLs  CertEncoding = 13
	CertOCSP      CertEncoding = 14 // RFC 4806
	CertRawPublic CertEncoding = 15 // RFC 7670
)

var certNames = map[CertEncoding]string{
	CertPKCS7: "PKCS #7", CertX509: "X.509", CertCRL: "CRL", CertHashURL: "hash and URL of X.509",
	CertHashURLs: "hash and URL of bundle", CertOCSP: "OCSP", CertRawPublic: "raw public key",
}

// String returns a short name.
func (e CertEncoding) String() string { return name(certNames, e, "certificate encoding") }

// name returns the registered name of v, or kind and number.
func name[T ~uint8 | ~uint16](names map[T]string, v T, kind string) string {
	if s, ok := names[v]; ok {
		return s
	}
	return fmt.Sprintf("%s %d", kind, uint16(v))
}
