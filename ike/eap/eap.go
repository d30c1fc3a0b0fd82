// Package eap is EAP as a server of the methods that passwords of a configuration are good
// for: the packets of RFC 3748, the choice of a method, MSCHAPv2 (RFC 2759,
// draft-kamath-pppext-eap-mschapv2), GTC and MD5 (RFC 3748 sections 5.6 and 5.4). It knows
// nothing of what carries the packets, and does no I/O; randomness is an argument.
//
// Whoever does not know the password learns nothing about who is there: an unknown user is
// asked as often, answered the same, and costs the same arithmetic as a known one.
package eap
